"""Training of decoders."""

import functools
import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from geoops.data import read_motion
from geoops.learning import DecoderFit, read_decoder
from geoops.models import POD, FlowMap, IntegralKernel, LocalAffine, MovingLeastSquares
from geoops.physics import motion_mse, relative_displacement_error
from geoops.testing import random_motion

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*tensorboard"),
]


def fit(trainer, model, data, **kwargs):
    trainer.fit(model, datamodule=data, weights_only=True, **kwargs)
    return model


def weights(model):
    return {k: v.clone() for k, v in model.network.state_dict().items()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Killed(Exception):
    pass


def test_learns(trainer, particles):
    model = DecoderFit(functools.partial(IntegralKernel, radius=0.2), lr=3e-3, frames=3, ema=0.9)
    fit(trainer(max_steps=60, val_check_interval=30), model, particles())
    losses = [row["train_loss"] for row in model.history]
    assert losses[1] < losses[0]
    assert model.headline(model.metrics).startswith("val displacement error ")


def test_what_is_learned_starts_from_moving_least_squares(trainer, particles):
    """Our decoder is that of no training before the first step."""
    data = particles()
    model = fit(trainer(max_steps=1), DecoderFit(LocalAffine, lr=1e-9, ema=0.0), data)
    t = trainer()
    t.test(model, datamodule=data, verbose=False)
    found, plain = model.metrics["test/displacement"], model.metrics["test/MovingLeastSquares/displacement"]
    assert found == pytest.approx(plain, rel=0.3)
    assert found < model.metrics["test/Nearest/displacement"]
    assert {f"test/{name}/mse_low" for name in ("Nearest", "InverseDistance", "MovingLeastSquares")} <= model.metrics.keys()


def test_metrics_are_those_of_the_averaged_decoder_applied_by_hand(trainer, particles):
    data = particles()
    model = fit(trainer(max_steps=6, val_check_interval=6), DecoderFit(IntegralKernel, ema=0.5, chunk=7), data)
    decoder = IntegralKernel(2)
    decoder.load_state_dict({**model.network.state_dict(), **model.averaged_weights()})
    displacement, mse = [], []
    for motion in data.motions("val"):
        chosen = data.sample(motion)
        with torch.no_grad():
            placed = decoder(motion.x[:, chosen], motion.x[0])
        dense = replace(motion, x=placed)
        displacement.append(relative_displacement_error(dense, motion, seeds=1).nanmean().item())
        mse.append(motion_mse(dense, motion, seeds=1).mean().item())
    assert model.metrics["val/displacement"] == pytest.approx(sum(displacement) / 2, rel=1e-4)
    assert model.metrics["val/mse"] == pytest.approx(sum(mse) / 2, rel=1e-4)


def test_the_loss_is_the_relative_error(trainer, particles):
    data = particles()
    model = fit(trainer(max_steps=1), DecoderFit(IntegralKernel), data)
    batch = next(itertools.islice(data.train_dataloader(), 2, None))
    with torch.no_grad():
        placed = model.network(batch.samples, batch.queries[0])
        moved = (batch.queries[1:] - batch.queries[0]).square().sum()
        expected = (placed[1:] - batch.queries[1:]).square().sum() / moved
        assert model.loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)
        at_rest = batch._replace(queries=batch.queries[:1].expand_as(batch.queries))
        assert model.loss(at_rest).isfinite()


def test_flow_maps_learn_from_frames_in_a_row(trainer, particles):
    data = particles()
    model = DecoderFit(FlowMap, frames=4)
    t = trainer(max_steps=1)
    if any(p.requires_grad for p in FlowMap(2).parameters()):
        fit(t, model, data)
    else:
        with pytest.raises(ValueError, match="FlowMap has no parameters to train: evaluate it with geoops test"):
            fit(t, model, data)
    assert data.serves == "sequences"
    assert data.steps == 4


def test_bases_are_fitted_to_the_training_alone(trainer, particles):
    data = particles()
    model = DecoderFit(POD)
    model.trainer = trainer()
    model.trainer.datamodule = data
    model.setup("validate")
    by_hand = POD(2)
    by_hand.fit([motion.x for motion in data.motions("train")])
    assert equal(model.network.state_dict(), by_hand.state_dict())


def test_runs_repeat_and_resume_bit_for_bit(trainer, particles, tmp_path):
    make = functools.partial(DecoderFit, IntegralKernel, frames=2)
    whole, again = (fit(trainer(), make(), particles()) for _ in range(2))
    assert equal(weights(whole), weights(again))
    assert [row["train_loss"] for row in whole.history] == [row["train_loss"] for row in again.history]
    for step in (1, 6):
        t, first = trainer(), make()

        def end(outputs, batch, batch_idx, t=t, step=step):
            if t.global_step == step:
                t.save_checkpoint(tmp_path / "c.ckpt")
                raise Killed

        first.on_train_batch_end = end
        with pytest.raises(Killed):
            fit(t, first, particles())
        second = fit(trainer(), make(), particles(), ckpt_path=tmp_path / "c.ckpt")
        assert equal(weights(whole), weights(second))
        assert equal(whole.average.weights, second.average.weights)
    with pytest.raises(ValueError, match="of another model: its network is IntegralKernel, this run has LocalAffine"):
        fit(trainer(), DecoderFit(LocalAffine), particles(), ckpt_path=tmp_path / "c.ckpt")


def test_bundles_give_the_same_decoder(trainer, particles, tmp_path):
    data, t = particles(seeds=1), trainer(max_steps=3)
    model = fit(t, DecoderFit(IntegralKernel, against=[], ema=0.5), data)
    path = model.export(tmp_path / "decoder.safetensors", {}, {})
    assert equal(dict(read_decoder(path).named_parameters()), model.averaged_weights())
    other = DecoderFit(IntegralKernel, against=["MovingLeastSquares", str(path)])
    other.restore(path)
    t.test(other, datamodule=data, verbose=False)
    assert other.metrics["test/decoder/displacement"] == pytest.approx(other.metrics["test/displacement"])
    motion = read_motion(data.files("test")[0])
    chosen = data.sample(motion)
    plain = MovingLeastSquares(2)(motion.x[:, chosen], motion.x[0])
    assert math.isfinite(plain.sum())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frames": 0}, "expected frames >= 1 and chunk >= 1, got 0"),
        ({"chunk": 0}, "chunk >= 1"),
        ({"lr": -1.0}, "lr must be positive"),
    ],
)
def test_bad_options(options, words, unchecked):
    with pytest.raises(ValueError, match=words):
        DecoderFit(IntegralKernel, **options)


def test_bad_runs(trainer, particles):
    with pytest.raises(ValueError, match="MovingLeastSquares has no parameters to train: evaluate it with geoops test"):
        fit(trainer(), DecoderFit(MovingLeastSquares), particles())
    with pytest.raises(ValueError, match="expected at least 21 frames for 20 steps in a row, got 16"):
        fit(trainer(), DecoderFit(IntegralKernel, frames=20), particles())
    with pytest.raises(TypeError, match="Decoder"):
        fit(trainer(), DecoderFit(lambda dim: torch.nn.Linear(1, 1)), particles())


def test_modes_are_those_of_single_bodies(particles, monkeypatch):
    data = particles()
    data._motions["train"] = [random_motion(60, frames=16, names=("jelly", "water"), seed=i) for i in range(3)]
    seen = []
    monkeypatch.setattr(POD, "fit", lambda self, motions: seen.extend(motions))
    model = DecoderFit(POD, against=[])
    model._trainer = SimpleNamespace(datamodule=data, world_size=1)
    model.setup("test")
    assert [x.shape for x in seen] == [(16, 30, 2)] * 6
