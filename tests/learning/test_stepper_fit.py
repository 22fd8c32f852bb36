"""Training of steppers."""

import functools
import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from geoops.data import WindowBatch, read_motion, write_motion
from geoops.inference import rollout
from geoops.learning import StepperFit, read_stepper
from geoops.models import GIOROM, GNS, StepperSizes
from geoops.physics import motion_mse
from geoops.testing import random_motion

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*tensorboard"),
]


tiny = functools.partial(GIOROM, width=8, before=1, after=1, lattice=4, channels=(4, 6), momentum=False)


def fit(trainer, model, data, **kwargs):
    trainer.fit(model, datamodule=data, weights_only=True, **kwargs)
    return model


def weights(model):
    return {k: v.clone() for k, v in model.network.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Killed(Exception):
    pass


def fit_until(step, path, trainer, model, data):
    """Saves a checkpoint after a step and stops as a killed run does: no hook at the end runs."""

    def end(outputs, batch, batch_idx):
        if trainer.global_step == step:
            trainer.save_checkpoint(path)
            raise Killed

    model.on_train_batch_end = end
    with pytest.raises(Killed):
        fit(trainer, model, data)


def test_learns(trainer, particles):
    model = StepperFit(functools.partial(tiny, width=16), lr=5e-3, ema=0.9)
    fit(trainer(max_steps=60, val_check_interval=30), model, particles())
    assert [row["step"] for row in model.history] == [30, 60]
    losses = [row["train_loss"] for row in model.history]
    assert losses[1] < losses[0]
    assert {"val/one_step", "val/rollout_mse", "val/rollout_displacement", "val/free_fall_mse"} <= model.history[0].keys()
    assert model.headline(model.metrics).startswith("val one step ")
    json.dumps(model.history)


def test_statistics_of_the_training_are_those_of_the_stepper(trainer, particles):
    data = particles()
    model = fit(trainer(max_steps=1), StepperFit(tiny), data)
    for name, value in data.statistics().items():
        torch.testing.assert_close(getattr(model.network.scale, name), value.float())
    assert model.network.scale.noise.item() == pytest.approx(1e-4)
    assert model.network.sizes.materials == ("jelly",)


def test_the_loss_asks_for_one_acceleration(trainer, particles):
    """Defect 8: the error of the position and that of the acceleration are the same number, and the noise is corrected in it.

    The published loss has a term for the position after a clean window beside one for the noisy acceleration.
    """
    data = particles(noise=1e-3)
    model = fit(trainer(max_steps=1), StepperFit(tiny, unroll=3, unroll_from=1.0), data)
    graph, future = next(iter(data.train_dataloader()))
    size = model.network.scale.acceleration_size
    model._trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.reset()
    x = graph.positions
    target = future[:, 0] - 2 * x[:, -1] + x[:, -2]
    with torch.no_grad():
        by_acceleration = ((model.network(graph) - target) / size).square().mean()
        assert model.progress < 1
        torch.testing.assert_close(model.loss(WindowBatch(graph, future)), by_acceleration, rtol=1e-3, atol=0)
        # a stepper that gives the target has no loss
        model.network.forward = lambda graph: target
        assert model.loss(WindowBatch(graph, future)) < 1e-6


def test_steps_in_a_row_are_in_units_of_a_constant_error(trainer, particles):
    data = particles(noise=0.0)
    model = fit(trainer(max_steps=1), StepperFit(tiny, unroll=3, unroll_from=0.0), data)
    graph, future = next(iter(data.train_dataloader()))
    size = model.network.scale.acceleration_size
    frames = torch.cat([graph.positions, future], 1)
    truth = frames.diff(n=2, dim=1)
    calls = []

    def off_by_one(graph):
        calls.append(graph)
        return truth[:, 3 + len(calls)] + size

    model.network.forward = off_by_one
    with torch.no_grad():
        assert model.loss(WindowBatch(graph, future)).item() == pytest.approx(1.0, rel=1e-3)
    assert len(calls) == 3
    assert not torch.equal(calls[0].newest, calls[1].newest)
    assert torch.equal(calls[1].edge_index, calls[1].joined().edge_index)  # edges are those of the new positions


def test_runs_repeat(trainer, particles):
    """Check 13: the same seed gives the same loss after 20 steps, whatever drew random numbers before; here to the bit."""
    models = []
    for seed in (1, 1, 2):
        torch.rand(7)
        models.append(fit(trainer(max_steps=20, val_check_interval=20), StepperFit(tiny, lr=1e-3), particles(seed=seed)))
    a, b, c = ([row["train_loss"] for row in model.history] for model in models)
    assert a == pytest.approx(b, rel=1e-6)
    assert a != pytest.approx(c, rel=1e-6)
    assert equal(weights(models[0]), weights(models[1]))


@pytest.mark.parametrize("step", [1, 5, 6])
def test_resumes_bit_for_bit(trainer, particles, tmp_path, step):
    """After one step, just before a validation, and after it."""
    make = functools.partial(StepperFit, tiny, unroll=2, unroll_from=0.7)
    whole = fit(trainer(), make(), particles())
    fit_until(step, tmp_path / "c.ckpt", trainer(), make(), particles())
    second = fit(trainer(), make(), particles(), ckpt_path=tmp_path / "c.ckpt")
    assert equal(weights(whole), weights(second))
    assert equal(whole.average.weights, second.average.weights)
    if step != 5:  # the validation that was killed is not made up for
        rows = [[{k: v for k, v in row.items() if k != "elapsed"} for row in model.history] for model in (whole, second)]
        assert rows[0] == rows[1]


def test_checkpoints_hold_plain_types_and_are_checked(trainer, particles, tmp_path):
    t, path = trainer(max_steps=2), tmp_path / "c.ckpt"
    fit(t, StepperFit(tiny), particles())
    t.save_checkpoint(path)
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["geoops"]["network"] == "GIOROM"
    assert checkpoint["geoops"]["options"]["width"] == 8
    with pytest.raises(ValueError, match="of another model: its network is GIOROM, this run has GNS"):
        fit(trainer(), StepperFit(functools.partial(GNS, width=4, layers=1)), particles(), ckpt_path=path)
    with pytest.raises(ValueError, match=r"its options is .*'width': 8.* this run has .*'width': 9"):
        fit(trainer(), StepperFit(functools.partial(tiny, width=9)), particles(), ckpt_path=path)
    checkpoint["geoops"]["format"] = 99
    torch.save(checkpoint, path)
    with pytest.raises(
        ValueError, match=r"not one of StepperFit, or has another format than this geoops reads \(99 instead of 1\)"
    ):
        fit(trainer(), StepperFit(tiny), particles(), ckpt_path=path)


def test_errors_are_reported_apart(trainer, particles, tmp_path):
    """Defect 16: a decoder on true samples says nothing of the whole; and each number is what one finds by hand."""
    data, t = particles(seeds=1), trainer(max_steps=3)
    model = fit(t, StepperFit(tiny), data)
    t.test(model, datamodule=data, verbose=False)
    found = model.metrics
    for name in ("one_step", "rollout_mse", "decoder_mse", "full_mse", "free_fall_mse", "decoder_displacement"):
        assert math.isfinite(found[f"test/{name}"])
    assert found["test/full_mse"] != found["test/decoder_mse"]
    path = model.export(tmp_path / "model.safetensors", {}, {})
    by_hand = {"samples": [], "decoder on true samples": [], "stepper and decoder": []}
    for i, file in enumerate(data.files("test")):
        report = rollout(path, file, tmp_path / f"{i}.vtkhdf", progress=False)
        for name, values in by_hand.items():
            values.append(report.errors[name])
        full = motion_mse(read_motion(tmp_path / f"{i}.vtkhdf"), read_motion(file)).mean().item()
        assert report.errors["stepper and decoder"] == pytest.approx(full, rel=1e-4)
    means = {name: sum(values) / 2 for name, values in by_hand.items()}
    assert found["test/rollout_mse"] == pytest.approx(means["samples"], rel=1e-3)
    assert found["test/decoder_mse"] == pytest.approx(means["decoder on true samples"], rel=1e-3)
    assert found["test/full_mse"] == pytest.approx(means["stepper and decoder"], rel=1e-3)


def test_several_samples_have_a_spread(trainer, particles):
    data, t = particles(), trainer(max_steps=1)
    model = fit(t, StepperFit(tiny), data)
    t.test(model, datamodule=data, verbose=False)
    for name in ("rollout_mse", "full_displacement"):
        low, mean, high = (model.metrics[f"test/{name}{end}"] for end in ("_low", "", "_high"))
        assert low < mean < high
        assert mean == pytest.approx((low + high) / 2)


def test_explosions_count_as_infinite(trainer, particles):
    """Means over motions that did not explode would hide them; the decoder alone is still known."""
    data, t = particles(), trainer(max_steps=1)
    model = fit(t, StepperFit(tiny), data)
    model.network.scale.acceleration_std.fill_(1e9)
    with torch.no_grad():
        for p in model.average.weights.values():
            p.add_(0.1)
    t.test(model, datamodule=data, verbose=False)
    for name in ("rollout_mse", "rollout_displacement", "full_mse", "full_displacement"):
        assert model.metrics[f"test/{name}"] == math.inf
    assert math.isfinite(model.metrics["test/decoder_mse"])


def test_bundles_give_the_same_stepper(trainer, particles, tmp_path):
    data, t = particles(), trainer(max_steps=3)
    model = fit(t, StepperFit(tiny, ema=0.5), data)
    path = model.export(tmp_path / "model.safetensors", {"step": 3}, {"val/rollout_mse": 1.0})
    stepper, meta = read_stepper(path)
    assert equal(dict(stepper.named_parameters()), model.averaged_weights())
    assert meta["data"]["keep"] == 0.4
    assert meta["data"]["spacing"] == pytest.approx(5e-3)
    other = StepperFit(tiny)
    other.restore(path)
    t.test(other, datamodule=data, verbose=False)
    t.test(model, datamodule=data, verbose=False)
    assert other.metrics == pytest.approx(model.metrics, rel=1e-5)
    assert all(p.requires_grad for p in other.network.parameters())


def test_a_budget_of_time(trainer, particles):
    """Rates fall and steps are unrolled by the share of the time that is spent."""
    model, unrolled = StepperFit(tiny, unroll=2, unroll_from=0.5), []
    t = trainer(max_steps=-1, max_time={"seconds": 1.0}, val_check_interval=100_000)
    plain = model.loss

    def loss(batch):
        unrolled.append(model.progress)
        return plain(batch)

    model.loss = loss
    fit(t, model, particles())
    assert 1.0 <= model.elapsed < 5.0
    assert unrolled == sorted(unrolled)
    assert unrolled[0] < 0.3
    assert unrolled[-1] > 0.8
    assert t.optimizers[0].param_groups[0]["lr"] < 1e-4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unroll": 0}, "expected unroll >= 1 and unroll_from"),
        ({"unroll_from": 1.5}, "unroll_from in"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"ema": 1.0}, "ema must lie in"),
    ],
)
def test_bad_options(options, words, unchecked):
    with pytest.raises(ValueError, match=words):
        StepperFit(tiny, **options)


def test_motions_too_short_to_roll_out(trainer, particles, motions, tmp_path):
    shutil.copytree(motions, tmp_path / "motions")
    write_motion(tmp_path / "motions" / "val" / "00010.vtkhdf", random_motion(60, frames=6, seed=10))
    data = particles()
    data.root = tmp_path / "motions"
    with pytest.raises(ValueError, match="a roll-out starts from 6 true frames and needs more of them, got a motion of 6"):
        fit(trainer(max_steps=1, val_check_interval=1), StepperFit(tiny, unroll=1), data)


def test_bad_runs(trainer, particles):
    with pytest.raises(ValueError, match=r"no end: give trainer\.max_steps or trainer\.max_time"):
        fit(trainer(max_steps=-1, max_epochs=2), StepperFit(tiny), particles())
    with pytest.raises(TypeError, match="Stepper"):
        fit(trainer(), StepperFit(lambda sizes: torch.nn.Linear(1, 1)), particles())
    with pytest.raises(ValueError, match="needs a ParticleData as datamodule"):
        trainer().fit(StepperFit(tiny), train_dataloaders=[1], val_dataloaders=[1])
    with pytest.raises(ValueError, match="expected at least 21 frames for 20 steps in a row, got 16"):
        fit(trainer(), StepperFit(tiny, unroll=20), particles())
    broken = StepperFit(tiny)
    broken.begin = lambda: broken.network.scale.velocity_std.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r"the loss of step 0 is .*: lower the learning rate, or unroll fewer steps"):
        fit(trainer(), broken, particles())


def test_motions_that_do_not_fit_the_stepper(trainer, particles, tmp_path):
    """Other materials than those of the training, before the first step; and another time between frames, in tests."""
    data = particles()
    path = tmp_path / "stepper.safetensors"
    model = fit(trainer(max_steps=1), StepperFit(tiny), data)
    model.export(path, {}, {})
    data._motions["val"] = [replace(motion, names=("mud",)) for motion in data.motions("val")]
    with pytest.raises(ValueError, match=r"val/.*the material 'mud' was not there in the training, which had jelly"):
        fit(trainer(max_steps=1), StepperFit(tiny), data)
    other = StepperFit(tiny)
    other.restore(path)
    slow = particles()
    slow._motions["test"] = [replace(motion, spacing=2 * motion.spacing) for motion in slow.motions("test")]
    with pytest.raises(ValueError, match=r"test/.*expected 0\.005 s between frames, got 0\.01; steppers know one time step"):
        trainer().test(other, datamodule=slow, verbose=False)


def test_checkpoints_of_other_data(trainer, particles, tmp_path):
    """Another history, another order of the materials, or another time between frames is another stepper."""
    path, t = tmp_path / "c.ckpt", trainer(max_steps=1)
    fit(t, StepperFit(tiny), particles())
    t.save_checkpoint(path)
    with pytest.raises(ValueError, match=r"its sizes is .*'history': 5.* this run has .*'history': 7"):
        fit(trainer(), StepperFit(tiny), particles(history=7), ckpt_path=path)
    for changes, words in (
        ({"names": ("mud",)}, "its sizes is .*jelly.* this run has .*mud"),
        ({"spacing": 1e-2}, r"its spacing is 0\.005"),
    ):
        data = particles()
        known = {split: data.motions(split) for split in ("train", "val")}
        data._motions = {split: [replace(motion, **changes) for motion in motions] for split, motions in known.items()}
        with pytest.raises(ValueError, match=words):
            fit(trainer(), StepperFit(tiny), data, ckpt_path=path)


def test_a_network_in_place_of_what_builds_it():
    with pytest.raises(TypeError, match=r"expected what builds a network, .* got a GIOROM"):
        StepperFit(tiny(StepperSizes(2, ("jelly",))))


def test_motions_at_rest_have_no_relative_error():
    model = StepperFit(tiny)
    model._errors = {"displacement": {0: [math.nan, 0.5]}, "mse": {0: [1.0, 3.0]}, "none": {0: [math.nan]}}
    model.log_dict = lambda *args, **options: None
    model._trainer = SimpleNamespace(world_size=1)
    model.end_evaluation("val")
    assert model.metrics["val/displacement"] == 0.5
    assert model.metrics["val/mse"] == 2.0
    assert math.isnan(model.metrics["val/none"])
