"""Training of a decoder: the LightningModule."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor

from geoops.data import FrameBatch
from geoops.models._decoder import Decoder
from geoops.physics import Motion, motion_mse, relative_displacement_error

from ._particle_bundle import make_decoder, read_decoder
from ._particle_fit import ParticleFit
from ._roll_out import as_motion


@final
class DecoderFit(ParticleFit):
    r"""Trains and evaluates a decoder on true samples; frames come from the trainer's `ParticleData`.

    $$L = \frac{\sum_q |x_q - \hat x_q|^2}{\sum_q |x_q - X_q|^2}$$

    over the queries and frames of a step, with the first positions X; for sequential decoders (flow maps) X is where the step
    starts, and the frames follow each other.

    Args:
        network: builds the decoder from the dimension of the data.
        frames: frames in a step.
        against: decoders to compare with in tests: classes without training, files or packaged names.
        chunk: most queries that are placed together in evaluations.
        optimizer: `adamw`, or `muon` for hidden matrices with AdamW for the rest.
        lr: highest learning rate.
        weight_decay: of matrices; biases and norms have none.
        betas: of AdamW.
        warmup: share of the budget in which the learning rate rises.
        final_lr: share of `lr` that the cosine ends with.
        ema: decay of the averaged weights; 0 for none.
    """

    monitor: ClassVar[str] = "val/displacement"

    def __init__(
        self,
        network: Callable[[int], Decoder],
        *,
        frames: int = 4,
        against: list[str] | None = None,
        chunk: int = 16384,
        optimizer: Literal["adamw", "muon"] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        warmup: float = 0.02,
        final_lr: float = 0.01,
        ema: float = 0.995,
    ):
        super().__init__(
            network,
            Decoder,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            betas=betas,
            warmup=warmup,
            final_lr=final_lr,
            ema=ema,
        )
        if frames < 1 or chunk < 1:
            raise ValueError(f"expected frames >= 1 and chunk >= 1, got {frames} and {chunk}")
        self._frames, self._chunk = frames, chunk
        self._against = ["Nearest", "InverseDistance", "MovingLeastSquares"] if against is None else list(against)

    def sizes(self) -> int:
        """Returns the dimension of the data."""
        return self.trainer.datamodule.dim

    def setup(self, stage: str) -> None:
        """Builds the decoder, and says which batches it needs."""
        super().setup(stage)
        data = self.trainer.datamodule
        data.serves, data.steps = "sequences" if self.network.sequential else "frames", self._frames

    def begin(self) -> None:
        """Lets decoders that have a basis fit it to the bodies of the training motions."""
        motions = self.trainer.datamodule.motions("train")
        self.network.fit([motion.x[:, motion.material == k] for motion in motions for k in motion.material.unique()])

    def data_facts(self) -> dict[str, Any]:
        """Returns how motions of the training are sampled."""
        data = self.trainer.datamodule
        return {"keep": data.keep, "choice": data.choice, "samples": [data.sampling.least, data.sampling.most]}

    def restore(self, path: Path) -> None:
        """Takes the decoder of a bundle."""
        from ._bundle import read_meta

        self.adopt(read_decoder(path).requires_grad_(True), read_meta(path)["options"])

    def loss(self, batch: FrameBatch) -> Tensor:
        """Returns the relative error of the placed positions."""
        samples, queries, *bodies = batch
        return self.network.loss(samples[0], queries[0], samples[1:], queries[1:], *bodies)

    def validation_step(self, number: int, batch_idx: int) -> None:
        """Places all particles of a motion."""
        self.note(0, self._measured(self.network, self.motion("val", number), 0))

    def test_step(self, number: int, batch_idx: int) -> None:
        """Does so for several samples, and with the decoders to compare with."""
        motion = self.motion("test", number)
        for seed in range(self.trainer.datamodule.seeds):
            self.note(seed, self._measured(self.network, motion, seed))
            for name in self._against:
                other = make_decoder(name, motion.x.shape[2]).to(motion.x.device)
                measured = self._measured(other, motion, seed)
                self.note(seed, {f"{Path(name).stem}/{key}": value for key, value in measured.items()})

    def _measured(self, decoder: Decoder, motion: Motion, seed: int) -> dict[str, float]:
        chosen = self.trainer.datamodule.sample(motion, seed)
        body = motion.material
        parts = []
        with torch.no_grad():
            for some in torch.arange(len(body), device=body.device).split(self._chunk):
                state = decoder.begin(motion.x[0, chosen], motion.x[0, some], body[chosen], body[some], motion.bounds)
                parts.append(decoder.place(state, motion.x[1:, chosen])[0])
        dense = as_motion(motion, torch.arange(len(body), device=body.device), 0, torch.cat(parts, 1))
        error = relative_displacement_error(dense, motion, seeds=1).nanmean()
        return {"displacement": float(error), "mse": float(motion_mse(dense, motion, seeds=1).mean())}

    def headline(self, metrics: dict[str, Any]) -> str:
        """Returns the validation error in words."""
        return f"val displacement error {100 * metrics['val/displacement']:.3f} %" if "val/displacement" in metrics else ""
