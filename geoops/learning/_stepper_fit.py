"""Training of a stepper: the LightningModule."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor

from geoops.data import WindowBatch, check_alike, window
from geoops.models._stepper import Stepper, StepperSizes
from geoops.physics import Motion, motion_mse, relative_displacement_error

from ._particle_bundle import default_decoder, make_decoder, read_stepper
from ._particle_fit import ParticleFit
from ._roll_out import as_motion, free_fall, roll_out, step_errors

SEEDS = 6  # true frames before a roll-out
STEP_FRAMES = 20  # frames of a motion whose one-step error is taken


@final
class StepperFit(ParticleFit):
    r"""Trains and evaluates a stepper; sizes, statistics and windows come from the trainer's `ParticleData`.

    First one step is predicted from noisy windows,

    $$L = \tfrac1{nd} \sum_i |(a_i - \hat a_i) / s|^2,$$

    with the deviation s of the accelerations; after the share `unroll_from` of the budget `unroll` steps are made in a row, each
    with its own graph, and their positions compared, those after k steps in units of $s\,k(k+1)/2$, which is how far a constant
    error of the acceleration would lead.

    Validation rolls out a sample of each motion from six true frames. Tests do so for several samples and report apart: the
    error of one step, of the roll-out of the samples, of a decoder that sees true samples, and of the decoder on the roll-out.

    Args:
        network: builds the stepper from the sizes of the data.
        decoder: what places the other particles in tests: the class of a decoder without training, or a file or packaged name;
            unless given `FlowMap` if there is water or sand, and `MovingLeastSquares` elsewhere.
        unroll: steps in a row.
        unroll_from: share of the budget after which they are made.
        optimizer: `adamw`, or `muon` for hidden matrices with AdamW for the rest.
        lr: highest learning rate.
        weight_decay: of matrices; biases and norms have none.
        betas: of AdamW.
        warmup: share of the budget in which the learning rate rises.
        final_lr: share of `lr` that the cosine ends with.
        ema: decay of the averaged weights; 0 for none.
        clamp: whether roll-outs keep positions within the walls.
    """

    monitor: ClassVar[str] = "val/rollout_mse"
    trainer_defaults: ClassVar[dict[str, Any]] = {"val_check_interval": "00:00:05:00"}  # roll-outs take a while

    def __init__(
        self,
        network: Callable[[StepperSizes], Stepper],
        *,
        decoder: str | None = None,
        unroll: int = 3,
        unroll_from: float = 0.6,
        optimizer: Literal["adamw", "muon"] = "muon",
        lr: float = 2e-3,
        weight_decay: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        warmup: float = 0.02,
        final_lr: float = 0.01,
        ema: float = 0.999,
        clamp: bool = True,
    ):
        super().__init__(
            network,
            Stepper,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            betas=betas,
            warmup=warmup,
            final_lr=final_lr,
            ema=ema,
        )
        if unroll < 1 or not 0 <= unroll_from <= 1:
            raise ValueError(f"expected unroll >= 1 and unroll_from in [0, 1], got {unroll} and {unroll_from}")
        self._decoder, self._unroll, self._unroll_from, self._clamp = decoder, unroll, unroll_from, clamp
        self._spacing: float | None = None  # time between frames of the training, where it was another run

    def sizes(self) -> StepperSizes:
        """Returns dimension, materials and history of the data."""
        data = self.trainer.datamodule
        return StepperSizes(data.dim, data.names, data.history)

    def setup(self, stage: str) -> None:
        """Builds the stepper, and says which batches it needs.

        Raises:
            ValueError: a validation motion has a material that the training has not.
        """
        data = self.trainer.datamodule
        if data is not None:
            data.serves, data.steps = "windows", self._unroll
        super().setup(stage)
        if stage == "fit" and data.files("val"):
            for number in range(len(data.motions("val"))):
                self.motion("val", number)

    def begin(self) -> None:
        """Takes the statistics of the training motions."""
        data, scale = self.trainer.datamodule, self.network.scale
        for name, value in data.statistics().items():
            getattr(scale, name).copy_(value)
        scale.noise.fill_(data.noise)

    def data_facts(self) -> dict[str, Any]:
        """Returns how motions of the training are sampled in space and time."""
        data, sizes = self.trainer.datamodule, self.network.sizes
        motion = next(iter(data._motions.values()))[0]
        facts = {"keep": data.keep, "choice": data.choice, "degree": data.sampling.degree, "spacing": motion.spacing}
        return {**facts, "sizes": asdict(sizes), "samples": [data.sampling.least, data.sampling.most]}

    def restore(self, path: Path) -> None:
        """Takes the stepper of a bundle."""
        bundle = read_stepper(path)
        self.adopt(bundle.stepper.requires_grad_(True), bundle.meta["options"])
        self._spacing = float(bundle.meta["data"]["spacing"])

    def identity(self) -> dict[str, Any]:
        """Returns what a resumed run and its checkpoint have in common: materials in their order, history, time between frames."""
        facts = self.data_facts()
        return {**super().identity(), "sizes": facts["sizes"], "spacing": facts["spacing"]}

    def motion(self, split: str, number: int) -> Motion:
        """Returns a motion of the data on the device of the network.

        Raises:
            ValueError: the stepper was trained with other materials, or another time between frames.
        """
        motion, data = super().motion(split, number), self.trainer.datamodule
        file = str(data.files(split)[number])
        check_alike(file, motion, self.network.sizes.dim, self._spacing or motion.spacing)
        try:
            self.network.material_numbers(motion.names)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return motion

    # Training

    def loss(self, batch: WindowBatch) -> Tensor:
        """Returns the error of one step, or of several in a row."""
        graph, future = batch
        count = self._unroll if self.progress >= self._unroll_from else 1
        size, total = self.network.scale.acceleration_size, graph.positions.new_zeros(())
        for k in range(count):
            x = self.network.next(graph)
            total = total + ((x - future[:, k]) / (size * (k + 1) * (k + 2) / 2)).square().mean() / count
            if k + 1 < count:
                graph = graph.moved(x)
        return total

    # Evaluation

    def validation_step(self, number: int, batch_idx: int) -> None:
        """Rolls out a sample of a motion."""
        self._evaluate(self.motion("val", number), 0)

    def test_step(self, number: int, batch_idx: int) -> None:
        """Rolls out several samples of a motion, and decodes all particles."""
        data, motion = self.trainer.datamodule, self.motion("test", number)
        for seed in range(data.seeds):
            rolled, chosen = self._evaluate(motion, seed)
            which = self._decoder or default_decoder(motion.names)
            decoder = make_decoder(which, motion.x.shape[2]).to(motion.x.device)
            body = motion.material if len(motion.names) > 1 else None
            some = None if body is None else body[chosen]
            truth = motion.of(chosen)
            for name, samples in (("decoder", truth), ("full", rolled)):
                if samples is None:  # means over the motions that did not explode would be too good
                    self.note(seed, {f"{name}_mse": math.inf, f"{name}_displacement": math.inf})
                    continue
                with torch.no_grad():
                    state = decoder.begin(motion.x[0, chosen], motion.x[0], some, body, motion.bounds)
                    placed = decoder.place(state, samples.x)[0]
                dense = as_motion(motion, torch.arange(len(motion.material), device=placed.device), 0, placed[1:])
                mse, relative = motion_mse(dense, motion).mean(), relative_displacement_error(dense, motion).nanmean()
                self.note(seed, {f"{name}_mse": float(mse), f"{name}_displacement": float(relative)})

    def _evaluate(self, motion: Motion, seed: int) -> tuple[Motion | None, Tensor]:
        data, stepper = self.trainer.datamodule, self.network
        chosen = data.sample(motion, seed)
        names, history = stepper.sizes.materials, stepper.sizes.history
        radius = data.radius(motion, chosen)
        first, last = SEEDS - 1, len(motion) - 1
        if last <= first:
            raise ValueError(f"a roll-out starts from {SEEDS} true frames and needs more of them, got a motion of {len(motion)}")
        gap = max(1, (last - first) // STEP_FRAMES)
        squared = zero = 0.0
        for t in range(first, last, gap):
            graph = window(motion, chosen, t, names, history, radius).joined()
            errors = step_errors(stepper, graph, motion.x[t + 1, chosen])
            squared, zero = squared + errors.squared, zero + errors.zero
        graph = window(motion, chosen, first, names, history, radius).joined()
        fall = as_motion(motion, chosen, first, free_fall(motion, first, last - first)[:, chosen])
        truth = motion.of(chosen)
        self.note(seed, {"one_step": squared / max(zero, 1e-30), "free_fall_mse": float(motion_mse(fall, truth).mean())})
        try:
            x = torch.stack(list(roll_out(stepper, graph, last - first, self._clamp)))
        except FloatingPointError:
            self.note(seed, {"rollout_mse": math.inf, "rollout_displacement": math.inf})
            return None, chosen
        rolled = as_motion(motion, chosen, first, x)
        mse, relative = motion_mse(rolled, truth).mean(), relative_displacement_error(rolled, truth).nanmean()
        self.note(seed, {"rollout_mse": float(mse), "rollout_displacement": float(relative)})
        return rolled, chosen

    def headline(self, metrics: dict[str, Any]) -> str:
        """Returns the validation errors in words."""
        if "val/rollout_mse" not in metrics:
            return ""
        return f"val one step {100 * metrics['val/one_step']:.1f} %, roll-out MSE {metrics['val/rollout_mse']:.2e}"
