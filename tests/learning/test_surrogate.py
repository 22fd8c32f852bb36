import functools
import json
import types

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping

from geoops import io
from geoops.data import MeshData
from geoops.learning import MetricRegion, Surrogate
from geoops.models import PointwiseMLP

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*tensorboard"),
]


def fit(trainer, surrogate, data, **kwargs):
    trainer.fit(surrogate, datamodule=data, weights_only=True, **kwargs)
    return surrogate


class Killed(Exception):
    pass


def fit_until(step, path, trainer, surrogate, data):
    """Saves a checkpoint after a step and stops as a killed run does: no hook at the end runs."""

    def end(outputs, batch, batch_idx):
        if trainer.global_step == step:
            trainer.save_checkpoint(path)
            raise Killed

    surrogate.on_train_batch_end = end
    with pytest.raises(Killed):
        fit(trainer, surrogate, data)


def weights(surrogate):
    return {k: v.clone() for k, v in surrogate.network.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("options", [{}, {"loss": "mse"}, {"optimizer": "muon"}, {"ema": 0.0}])
def test_learns(trainer, data, tiny, options):
    surrogate = Surrogate(functools.partial(tiny, width=24, dropout=0.0), lr=2e-2, **options)
    fit(trainer(max_steps=90, val_check_interval=30), surrogate, data())
    errors = [row["val/rel_l2"] for row in surrogate.history]
    assert [row["step"] for row in surrogate.history] == [30, 60, 90]
    assert errors[-1] < 0.07
    assert surrogate.history[-1]["progress"] == 1.0
    json.dumps(surrogate.history)


def test_metrics_are_those_of_the_averaged_weights(trainer, data, tiny):
    d = data()
    surrogate = fit(trainer(max_steps=20), Surrogate(tiny, lr=1e-2), d)
    network = tiny(d.sizes).eval()
    network.load_state_dict(surrogate.averaged_weights())
    errors = []
    for i, file in enumerate(d.files("val")):
        mesh = io.read(file)
        sample = d.normalizer.sample(mesh, name=str(i))
        with torch.no_grad():
            u = d.normalizer.restore(network.decode(None, sample.pos[None], sample.sdf[None])[0], "stress")[:, 0]
        truth = mesh.point_fields["stress"]
        errors.append(((u - truth).norm() / truth.norm()).item())
    assert surrogate.history[-1]["val/rel_l2"] == pytest.approx(sum(errors) / 3, rel=1e-5)
    assert surrogate.history[-1]["val/rel_l2_median"] == pytest.approx(sorted(errors)[1], rel=1e-5)


def test_regions_and_fields_have_metrics(trainer, data, tiny):
    region = MetricRegion("away", [[0.0, 0.0]], 0.3)
    surrogate = Surrogate(tiny, regions=[region])
    fit(trainer(), surrogate, data(targets=["stress", "shift"]))
    row = surrogate.history[-1]
    for name in ("rel_l2", "rel_l2/away", "stress/rel_l2", "shift/rel_l2/away"):
        assert {f"val/{name}", f"val/{name}_median", f"val/{name}_p95"} <= row.keys()
    assert row["val/rel_l2"] == pytest.approx((row["val/stress/rel_l2"] + row["val/shift/rel_l2"]) / 2)


def test_a_region_without_points_is_refused(trainer, data, tiny):
    with pytest.raises(ValueError, match="'all' has no points in a shape"):
        fit(trainer(), Surrogate(tiny, regions=[MetricRegion("all", [[0.0, 0.0]], 9.0)]), data())


def test_runs_repeat_bit_for_bit_whatever_came_before(trainer, data, tiny):
    one = weights(fit(trainer(), Surrogate(tiny), data()))
    torch.rand(7)
    two = weights(fit(trainer(val_check_interval=3), Surrogate(tiny), data(workers=1)))
    assert equal(one, two)
    other = weights(fit(trainer(), Surrogate(tiny), data(seed=2)))
    assert not equal(one, other)


@pytest.mark.parametrize("options", [{}, {"optimizer": "muon"}])
def test_resumes_bit_for_bit(trainer, data, tiny, tmp_path, options):
    whole = fit(trainer(), Surrogate(tiny, **options), data())
    fit_until(6, tmp_path / "c.ckpt", trainer(), Surrogate(tiny, **options), data())
    second = fit(trainer(), Surrogate(tiny, **options), data(), ckpt_path=tmp_path / "c.ckpt")
    assert equal(weights(whole), weights(second))
    assert equal(whole.average.weights, second.average.weights)
    strip = [{k: v for k, v in row.items() if k != "elapsed"} for row in whole.history]
    assert [{k: v for k, v in row.items() if k != "elapsed"} for row in second.history] == strip


def test_checkpoints_hold_plain_types_and_are_checked(trainer, data, tiny, tmp_path):
    t = trainer()
    fit(t, Surrogate(tiny), data())
    t.save_checkpoint(tmp_path / "c.ckpt")
    checkpoint = torch.load(tmp_path / "c.ckpt", weights_only=True)
    assert checkpoint["geoops"]["network"] == "Tiny"
    assert checkpoint["geoops"]["options"] == {"width": 16, "dropout": 0.1}
    with pytest.raises(ValueError, match=r"of another model: its network is Tiny, this run has PointwiseMLP"):
        fit(trainer(), Surrogate(PointwiseMLP), data(), ckpt_path=tmp_path / "c.ckpt")
    with pytest.raises(ValueError, match=r"its options is .*'width': 16.* this run has .*'width': 17"):
        fit(trainer(), Surrogate(functools.partial(tiny, width=17)), data(), ckpt_path=tmp_path / "c.ckpt")
    checkpoint["geoops"]["format"] = 99
    torch.save(checkpoint, tmp_path / "c.ckpt")
    with pytest.raises(ValueError, match=r"not one of Surrogate, or has another format than this geoops reads \(99 instead of 1\)"):
        fit(trainer(), Surrogate(tiny), data(), ckpt_path=tmp_path / "c.ckpt")


def test_evaluation_of_a_checkpoint(trainer, data, tiny, tmp_path):
    t = trainer()
    surrogate = fit(t, Surrogate(tiny), data())
    t.save_checkpoint(tmp_path / "c.ckpt")
    other = Surrogate(tiny)
    trainer().validate(other, datamodule=data(), ckpt_path=tmp_path / "c.ckpt", weights_only=True, verbose=False)
    assert other.metrics["val/rel_l2"] == pytest.approx(surrogate.history[-1]["val/rel_l2"], rel=1e-6)
    trainer().test(other, datamodule=data(), ckpt_path=tmp_path / "c.ckpt", weights_only=True, verbose=False)
    assert other.metrics.keys() >= {"test/rel_l2", "test/rel_l2_median", "test/rel_l2_p95"}


def test_stages_follow_each_other(trainer, data, staged):
    built = []

    def factory(sizes):
        built.append(staged(sizes))
        return built[-1]

    surrogate = Surrogate(factory, stages={"geometry": 0.4, "field": 0.6}, lr=1e-2, ema=0.9)
    fit(trainer(val_check_interval=1), surrogate, data())
    network = built[0]
    names = [entry if isinstance(entry, str) else entry[0].upper() for entry in network.log]
    assert names == ["GEOMETRY", *["geometry"] * 4, "FIELD", *["field"] * 6]
    assert network.seen == 12
    # The second stage froze the averaged encoder of the first.
    frozen = network.log[5][1]
    assert torch.equal(network.first.weight, frozen)
    assert torch.equal(surrogate.averaged_weights()["first.weight"], frozen)
    assert [row["stage"] for row in surrogate.history] == ["geometry"] * 4 + ["field"] * 6


def test_stages_resume_bit_for_bit(trainer, data, staged, tmp_path):
    whole = fit(trainer(), Surrogate(staged, lr=1e-2), data())

    for step in (3, 5, 7):
        fit_until(step, tmp_path / "c.ckpt", trainer(), Surrogate(staged, lr=1e-2), data())
        second = fit(trainer(), Surrogate(staged, lr=1e-2), data(), ckpt_path=tmp_path / "c.ckpt")
        assert equal(weights(whole), weights(second))
        assert equal(whole.average.weights, second.average.weights)


def test_stage_rates(trainer, data, staged):
    surrogate = Surrogate(staged, lr=1.0, warmup=0.0, stage_lr_scale={"field": 0.0})
    fit(trainer(), surrogate, data())
    torch.manual_seed(1)
    start = staged(data().sizes)
    assert torch.equal(surrogate.network.field.weight, start.field.weight)
    assert not torch.equal(surrogate.network.first.weight, start.first.weight)


def test_time_budget(trainer, data, tiny):
    surrogate = Surrogate(tiny)
    t = trainer(max_steps=-1, max_time={"seconds": 1.0}, val_check_interval=100000)
    fit(t, surrogate, data())
    assert 1.0 <= surrogate.elapsed < 5.0
    assert t.global_step > 5
    assert max(g["lr"] for g in t.optimizers[0].param_groups) < 1e-4


def test_no_nodes_for_networks_that_do_not_read_them(trainer, data, tiny, staged):
    d = data()
    fit(trainer(max_steps=1), Surrogate(tiny), d)
    assert d.with_nodes is False
    fit(trainer(max_steps=2), Surrogate(staged), d)
    assert d.with_nodes is True


def test_half_precision_flag(trainer, data, tiny):
    surrogate = fit(trainer(precision="bf16-mixed"), Surrogate(tiny), data())
    assert torch.isfinite(torch.tensor(surrogate.history[-1]["val/rel_l2"]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "l1"}, "loss must be"),
        ({"optimizer": "sgd"}, "optimizer must be"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"warmup": 1.0}, "warmup is a share"),
    ],
)
def test_bad_options(tiny, options, words, unchecked):
    with pytest.raises(ValueError, match=words):
        Surrogate(tiny, **options)


def test_bad_runs(trainer, data, tiny, folder):
    with pytest.raises(ValueError, match=r"no end: give trainer\.max_steps or trainer\.max_time"):
        fit(trainer(max_steps=-1, max_epochs=2), Surrogate(tiny), data())
    with pytest.raises(ValueError, match=r"stage_lr_scale names \['geo'\]"):
        fit(trainer(), Surrogate(tiny, stage_lr_scale={"geo": 1.0}), data())
    with pytest.raises(TypeError, match=r"must build a geoops\.models\.Network"):
        fit(trainer(), Surrogate(lambda sizes: torch.nn.Linear(1, 1)), data())
    with pytest.raises(ValueError, match="needs a MeshData as datamodule"):
        trainer().fit(Surrogate(tiny), train_dataloaders=[1], val_dataloaders=[1])
    assert isinstance(MeshData(folder, inputs=[], targets=["stress"]), MeshData)


def test_a_folder_of_five_formats_trains(trainer, plate, tiny, tmp_path):
    """Extra arrays do not matter, and every file gives the sample its mesh gives."""
    root = tmp_path / "mixed"
    root.mkdir()
    meshes = []
    for i, suffix in enumerate(("vtu", "vtk", "ply", "msh", "xdmf")):
        mesh = plate(i).with_fields(points={"extra": torch.rand(25, 3)})
        io.write(root / f"{i}.{suffix}", mesh)
        meshes.append(mesh)
    d = MeshData(root, inputs=["kind"], targets=["stress"], val_fraction=0.2, test_fraction=0.0, batch_size=2, seed=0)
    surrogate = fit(trainer(max_steps=2, val_check_interval=2), Surrogate(tiny), d)
    assert len(surrogate.history) == 1
    files = {split: [int(f.stem) for f in d.files(split)] for split in ("train", "val")}
    assert sorted(files["train"] + files["val"]) == [0, 1, 2, 3, 4]
    for split, numbers in files.items():
        expected = torch.cat([d.normalizer.sample(meshes[i]).y for i in numbers])
        torch.testing.assert_close(d.pack(split).arrays["y"][:-1], expected)


def test_early_stopping(trainer, data, tiny):
    stop = EarlyStopping("val/rel_l2", patience=0, min_delta=1.0)
    t = trainer(max_steps=100, callbacks=[stop])
    fit(t, Surrogate(tiny), data())
    assert t.global_step == 10


def test_processes_need_steps_and_know_of_stages(data, tiny, staged):
    from lightning.pytorch.strategies import DDPStrategy

    def check(network, strategy, interval):
        surrogate = Surrogate(network)
        surrogate.adopt(network(data().sizes), {})
        surrogate._trainer = types.SimpleNamespace(
            max_steps=5, world_size=2, strategy=strategy, callbacks=[], _val_check_time_interval=interval
        )
        surrogate._check_budget()

    with pytest.raises(ValueError, match=r"validate by steps, for example --trainer\.val_check_interval 500"):
        check(tiny, DDPStrategy(), 60.0)
    with pytest.raises(ValueError, match=r"Staged trains in stages: use .*ddp_find_unused_parameters_true"):
        check(staged, DDPStrategy(), None)
    check(tiny, DDPStrategy(), None)
    check(staged, DDPStrategy(find_unused_parameters=True), None)
