import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from geoops.data import MotionData, MotionTest
from geoops.learning import MaterialFit, read_bundle, read_material
from geoops.models import IsotropicEnergy, NCLawElastic, NCLawPlastic, YieldProjection
from geoops.physics import Law

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*tensorboard"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint"),
]

SCENE = """
box: {cells: [12, 12, 12], dx: 0.1, eps: 1.0e-7}
dt: 1.0e-3
steps: 60
bodies:
  - {material: NAME, shape: {lattice: [3, 3, 3]}, size: 0.3, centre: [0.6, 0.5, 0.6],
     velocity: [0.5, -2.0, 0.2], spin: [9.0, 8.0, 7.0]}
"""


@pytest.fixture
def data(tmp_path):
    def make(name="jelly", **options):
        (tmp_path / f"{name}.yaml").write_text(SCENE.replace("NAME", name))
        return MotionData(str(tmp_path / f"{name}.yaml"), seed=5, **options)

    return make


def run(fit, data, epochs, ckpt_path=None, **options):
    kept = {"enable_checkpointing": False} | options
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        check_val_every_n_epoch=epochs, **kept,
    )  # fmt: skip
    trainer.fit(fit, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def structured(**options):
    torch.manual_seed(0)
    lr = {"elastic": 1e-2, "elastic.log_moduli": 0.1, "plastic": 1e-2}
    return MaterialFit(IsotropicEnergy(modulus=1e4, hidden=8), YieldProjection(), lr=lr, betas=(0.9, 0.99), **options)


def faithful(**options):
    torch.manual_seed(0)
    return MaterialFit(NCLawElastic(hidden=8), NCLawPlastic(hidden=8), lr={"elastic": 1.0, "plastic": 0.1}, **options)


@pytest.mark.parametrize(
    ("name", "unknown", "truth"),
    [
        ("jelly", {"elastic.log_young": math.log(7e4)}, {"elastic.log_young": math.log(1e5)}),
        ("sand", {"plastic.friction": 20.0}, {"plastic.friction": 25.0}),
        ("plasticine", {"plastic.log_yield": math.log(4e3)}, {"plastic.log_yield": math.log(5e3)}),
    ],
)
def test_unknown_constants_are_found(data, name, unknown, truth):
    fit = MaterialFit(
        formula=name,
        unknown=unknown,
        lr={"elastic": 0.1, "plastic": 0.05} | ({"plastic.friction": 1.0} if name == "sand" else {}),
        betas=(0.8, 0.9),
        restarts=(20, 60),
    )
    run(fit, data(name), 40)
    found = dict(fit.material.named_parameters())
    for key, value in truth.items():
        assert found[key].item() == pytest.approx(value, rel=0.01 if key == "plastic.friction" else 0, abs=0.02)
    assert fit.metrics["reconstruction"] < 1e-8
    assert not found["elastic.poisson"].requires_grad


@pytest.mark.parametrize("name", ["jelly", "sand"])
def test_the_weak_form_finds_a_law(data, name):
    fit = structured(weak_form=30)
    before = None
    motion = data(name)
    run(fit, motion, 31)
    assert fit.history[-1]["epoch"] == 31
    learned = fit.metrics["reconstruction"]
    other = structured()
    other.trainer = fit.trainer
    before = other.error(motion.observed)
    assert learned < 0.05 * before


@pytest.mark.parametrize(
    "options",
    [
        {"position_only": True},
        {"velocity_weight": 1e-4},
        {"position_only": True, "weak_form": 2},
        {"position_only": True, "velocity_weight": 1.0},
    ],
)
def test_observables(data, options):
    fit = structured(**options)
    run(fit, data(), 4)
    assert math.isfinite(fit.metrics["reconstruction"])
    assert math.isfinite(fit.history[-1]["train_loss"])


def test_position_only_sees_nothing_but_positions_after_the_first_frame(data):
    losses = []
    for unseen in (1.0, math.nan):
        motion, fit = data(), structured(position_only=True, weak_form=2, velocity_weight=1e-4)
        for name in ("v", "C", "F"):
            getattr(motion.observed.frames, name)[1:] *= unseen
        fit.validation_step = lambda *_: None
        fit.on_validation_epoch_end = lambda: None
        run(fit, motion, 4)
        losses.append(fit._loss)
        assert math.isfinite(losses[-1])
    assert losses[0] == losses[1]


def test_labels_of_the_true_material(data):
    fit = faithful(labelled=2)
    trainer = run(fit, data("plasticine"), 2)
    assert trainer.global_step == 2 * 2  # 60 steps of 27 particles in rows of 1000
    assert [fit.phase(e)[0] for e in (0, 1, 2)] == ["labelled", "labelled", "restarts"]


class Killed(Exception):
    pass


class Kill(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 3:
            raise Killed


@pytest.mark.parametrize("options", [{"weak_form": 2}, {"weak_form": 4}, {"position_only": True}])
def test_a_killed_run_resumes_to_the_same_bits(data, tmp_path, options):
    whole, first, second = (structured(**options) for _ in range(3))
    run(whole, data(), 6)
    keep = ModelCheckpoint(tmp_path, "last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False)
    with pytest.raises(Killed):
        run(first, data(), 6, callbacks=[keep, Kill()], enable_checkpointing=True)
    run(second, data(), 6, ckpt_path=tmp_path / "last.ckpt")
    for a, b in zip(whole.material.parameters(), second.material.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.metrics == second.metrics


def test_tests_run_with_the_learned_law_in_place_of_its_material(data, tmp_path):
    tests = {
        "longer": MotionTest(str(tmp_path / "jelly.yaml"), steps=80),
        "thrown": MotionTest(str(tmp_path / "jelly.yaml"), steps=20, throw=3),
    }
    motion = data(tests=tests)
    (tmp_path / "both.yaml").write_text(
        SCENE.replace("NAME", "jelly") + SCENE.split("bodies:\n")[1].replace("NAME", "water").replace("0.5, 0.6]", "0.85, 0.6]")
    )
    motion.tests["two materials"] = MotionTest(str(tmp_path / "both.yaml"))
    fit = MaterialFit(formula="jelly", unknown={"elastic.log_young": math.log(1e5)}, lr={"elastic": 0.1})
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.test(fit, datamodule=motion, verbose=False)
    assert list(fit.metrics) == ["test/reconstruction", "test/longer", "test/thrown", "test/two materials"]
    assert max(fit.metrics.values()) < 1e-11
    fit.material.elastic.log_young.data += 1
    trainer.test(fit, datamodule=motion, verbose=False)
    assert min(fit.metrics.values()) > 1e-10


TWO = SCENE.replace("steps: 60", "steps: 20").replace("NAME", "jelly") + SCENE.split("bodies:\n")[1].replace(
    "NAME", "water"
).replace("0.5, 0.6]", "0.85, 0.6]")


@pytest.mark.parametrize("options", [{"weak_form": 1}, {"position_only": True}, {"labelled": 1}], ids=str)
def test_other_materials_of_a_motion_keep_their_laws(tmp_path, options):
    (tmp_path / "two.yaml").write_text(TWO)
    motion = MotionData(str(tmp_path / "two.yaml"), learned="jelly", seed=5)
    fit = MaterialFit(formula="jelly", unknown={"elastic.log_young": math.log(1e5)}, lr={"elastic": 1e-9}, **options)
    losses = []
    fit.on_train_epoch_end = lambda: losses.append(fit._loss)
    run(fit, motion, 2)
    if not fit._position_only:
        assert max(losses) < 1e-6
    assert len(losses) == 2
    assert fit.metrics["reconstruction"] < 1e-10


def test_tests_need_the_material_that_is_learned(data, tmp_path):
    (tmp_path / "sand.yaml").write_text(SCENE.replace("NAME", "sand"))
    tests = {"other": MotionTest(str(tmp_path / "sand.yaml"))}
    fit = structured()
    with pytest.raises(ValueError, match=r"test 'other': there is no material 'jelly' in .*sand.yaml, which has 'sand'"):
        run(fit, data(tests=tests), 1)
    assert not fit.history
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    with pytest.raises(ValueError, match=r"the motion has the materials sand, none of them is 'jelly'"):
        trainer.test(fit, datamodule=data(tests=tests), verbose=False)


def test_a_run_does_not_go_on_with_another_motion(data, tmp_path):
    keep = ModelCheckpoint(tmp_path, "last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False)
    run(structured(), data(), 1, callbacks=[keep], enable_checkpointing=True)
    with pytest.raises(ValueError, match=r"trained on .*jelly.*, this run has .*sand"):
        run(structured(), data("sand"), 2, ckpt_path=tmp_path / "last.ckpt")


def test_laws_to_compare_with_have_names_of_their_own(data, tmp_path):
    paths = [tmp_path / "a" / "model.safetensors", tmp_path / "b" / "model.safetensors"]
    for path in paths:
        structured().export(path, {}, {})
    fit, trainer = structured(), Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.test(fit, datamodule=data(against=[*map(str, paths), "nclaw/jelly-structured"]), verbose=False)
    assert list(fit.metrics) == [f"{name}/reconstruction" for name in ("test", "a", "b", "jelly-structured")]
    for twice in ([str(paths[0])] * 2, [str(structured().export(tmp_path / "test.safetensors", {}, {}))]):
        with pytest.raises(ValueError, match=r"data.against: .* would be called '(a|test)', but .* has it"):
            trainer.test(fit, datamodule=data(against=twice), verbose=False)


@pytest.mark.parametrize("make", [structured, faithful])
def test_materials_come_back_from_their_files(make, tmp_path):
    fit = make()
    path = fit.export(tmp_path / "law.safetensors", {"seed": 1}, {"reconstruction": 1e-6})
    found = read_material(path)
    F = torch.eye(3) + 0.1 * torch.randn(5, 3, 3)
    assert torch.equal(found.elastic(F), fit.material.elastic(F))
    assert torch.equal(found.plastic(F), fit.material.plastic(F))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"holds a material, not a network: geoops.learning.read_material"):
        read_bundle(path)


class Spring(Law):
    def __init__(self, power: int = 1):
        super().__init__()
        self.power, self.stiffness = power, torch.nn.Parameter(torch.tensor(3e4))

    def forward(self, F):
        return self.stiffness * (F @ F.mT - torch.eye(F.shape[-1], device=F.device)) ** self.power


def test_a_law_of_ones_own_trains_and_comes_back(data, tmp_path):
    fit = MaterialFit(Spring(), lr={"elastic": 1e3}, weak_form=1)
    run(fit, data(), 2)
    path = fit.export(tmp_path / "law.safetensors", {}, {})
    found = read_material(path, Spring)
    assert found.elastic.stiffness == fit.material.elastic.stiffness
    fit.restore(path)
    with pytest.raises(ValueError, match=r"'Spring' is no law of geoops: give its class, read_material\(path, Spring\)"):
        read_material(path)


def test_bad_input(unchecked, data, tmp_path):
    with pytest.raises(ValueError, match="give a law as `elastic`, or the name"):
        MaterialFit(lr={"elastic": 1.0})
    with pytest.raises(ValueError, match=r"unknown 'elastic.young' is not among the constants elastic.log_young"):
        MaterialFit(formula="jelly", unknown={"elastic.young": 1.0}, lr={"elastic": 1.0})
    with pytest.raises(ValueError, match="no parameters to learn"):
        MaterialFit(formula="jelly", lr={"elastic": 1.0})
    with pytest.raises(ValueError, match=r"lr has no rate for plastic.root"):
        MaterialFit(IsotropicEnergy(), YieldProjection(), lr={"elastic": 1.0})
    with pytest.raises(ValueError, match=r"lr names 'elastic.log_module', which is no parameter; there are elastic.log_moduli"):
        MaterialFit(IsotropicEnergy(), None, lr={"elastic": 1.0, "elastic.log_module": 0.1})
    with pytest.raises(ValueError, match="1 <= first <= last"):
        structured(restarts=(30, 20))
    with pytest.raises(ValueError, match="weak_batch >= weak_frames"):
        structured(weak_frames=20, weak_batch=10)
    with pytest.raises(ValueError, match="weak_frames is 80, the motion has 61 frames"):
        run(structured(weak_form=1, weak_frames=80, weak_batch=80), data(), 1)
    with pytest.raises(ValueError, match="has the materials 'jelly', not 'sand'"):
        data(learned="sand").learned  # noqa: B018
    fit = structured()
    path = fit.export(tmp_path / "law.safetensors", {}, {})
    with pytest.raises(ValueError, match=r"law.safetensors holds .*IsotropicEnergy.* the recipe has"):
        faithful().restore(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"law.safetensors is truncated"):
        read_material(path)


def test_a_loss_that_is_not_finite_stops_the_training(data):
    fit = structured()
    fit.material.elastic.log_moduli.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"epoch 0 broke down .*: lower the learning rates"):
        run(fit, data(), 1)
