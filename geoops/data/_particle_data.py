"""Motions of particles for steppers and decoders: the data module."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from geoops.physics import Motion

from ._frames import Frames
from ._observe import ENDINGS
from ._trajectory_read import read_motion
from ._windows import Choice, Sampling, Windows, chosen_samples, connected_radius

SPLITS = ("train", "val", "test")


@final
class ParticleData(LightningDataModule):
    """Serves windows of motions to steppers, and frames to decoders; statistics come from the training motions alone.

    Args:
        root: folder with sub-folders train, val and test of trajectory files, such as `geoops data make particles` makes.
        samples: fewest and most particles of a training sample.
        choices: how training samples are chosen: `random`, `fps`, `boundary`; one is drawn each time.
        degree: mean number of neighbours within the radius; 12 in the plane and 20 in space unless given.
        jitter: most that the radius is changed at random in training, as a share.
        history: velocities that a stepper sees.
        noise: deviation of the noise on the newest velocity in training, in lengths per frame.
        strain: deviation of the strain per frame of noise that neighbours share, at all lengths up to the size of the bodies.
        restore: whether the frames after a window do not have the noise of its positions, so that steppers learn to take it back;
            otherwise they keep it, as in GNS.
        particles_per_step: about how many particles a training batch has; small samples come in larger batches.
        symmetric: whether axes are mirrored and exchanged at random in training, and gravity with them, in boxes whose walls are
            all alike.
        queries: points that a decoder places in a training step.
        keep: share of the particles that are simulated in validation and test.
        choice: how those are chosen.
        seeds: number of such samples of each test motion, of which errors are reported with their spread.
        limit_train: use only this many training files (the first ones).
        limit_val: use only this many validation files; null for all.
        limit_test: use only this many test files; null for all.
        test_split: sub-folder that `geoops test` reads, such as test, test_geometry or test_velocity.
        seed: of all draws; null for `seed_everything`.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        samples: tuple[int, int] = (150, 600),
        choices: tuple[Choice, ...] = ("random", "fps"),
        degree: float | None = None,
        jitter: float = 0.1,
        history: int = 5,
        noise: float = 3e-4,
        strain: float = 0.0,
        restore: bool = False,
        particles_per_step: int = 1000,
        symmetric: bool = True,
        queries: int = 2048,
        keep: float = 1 / 16,
        choice: Choice = "fps",
        seeds: int = 3,
        limit_train: int | None = None,
        limit_val: int | None = 4,
        limit_test: int | None = None,
        test_split: str = "test",
        seed: int | None = None,
    ):
        super().__init__()
        for name in ("particles_per_step", "queries", "seeds", "history", "limit_train", "limit_val", "limit_test"):
            if (value := locals()[name]) is not None and value < 1:
                raise ValueError(f"data.{name} must be at least 1, got {value}")
        if not 0 < keep <= 1:
            raise ValueError(f"data.keep is a share of the particles in (0, 1], got {keep}")
        if not noise >= 0 or not strain >= 0 or not 0 <= jitter < 1:
            raise ValueError(
                f"data.noise and data.strain must be at least 0 and data.jitter in [0, 1), got {noise}, {strain} and {jitter}"
            )
        self.root, self.history, self.noise = Path(root), history, noise
        self.strain, self.restore = strain, restore
        self.sampling = Sampling(*samples, choices=tuple(choices), degree=degree, jitter=jitter)
        self.particles_per_step, self.symmetric, self.queries = particles_per_step, symmetric, queries
        self.keep, self.choice, self.seeds = keep, choice, seeds
        self.limits = {"train": limit_train, "val": limit_val, "test": limit_test}
        self.test_split = test_split
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        #: What training batches hold: `windows` for steppers, `frames` for decoders, `sequences` for flow maps; fits say.
        self.serves: Literal["windows", "frames", "sequences"] = "windows"
        #: Frames after a window, or frames that a decoder places in a step; fits say.
        self.steps = 1
        self._motions: dict[str, list[Motion]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Reads what a stage (fit, validate, test) needs, and checks that no motion of it is in two splits."""
        needed = {"fit": ["train", "val"], "validate": ["val"], "test": ["test"]}.get(stage or "", list(SPLITS))
        for split in needed:
            if split != "val" or self.files("val"):
                self.motions(split)
        if stage in (None, "fit"):
            self.check_splits()
            least = (self.dim + 2) * len(self.names)
            if self.sampling.least < least:
                raise ValueError(f"data.samples: expected at least d + 2 of each material, {least}, got {self.sampling.least}")

    def files(self, split: str) -> list[Path]:
        """Returns the files of a split."""
        folder = self.root / (self.test_split if split == "test" else split)
        if not self.root.is_dir():
            raise FileNotFoundError(f"no folder {self.root}; make one with geoops data make particles {self.root}")
        found = sorted(p for p in folder.glob("*") if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
        return found[: self.limits[split]]

    def motions(self, split: str) -> list[Motion]:
        """Returns the motions of a split.

        Raises:
            FileNotFoundError: there are none.
            ValueError: a file is damaged, or its dimension or time between frames is another than that of the first.
        """
        if split not in self._motions:
            files = self.files(split)
            if not files:
                folder = self.test_split if split == "test" else split
                raise FileNotFoundError(f"no trajectories in {self.root / folder}; make some with geoops data make particles")
            motions = [read_motion(file).to(torch.float32) for file in files]
            first = next(iter(self._motions.values()), motions)[0]
            for file, motion in zip(files, motions, strict=True):
                check_alike(str(file), motion, first.x.shape[2], first.spacing)
            self._motions[split] = motions
        return self._motions[split]

    def check_splits(self) -> None:
        """Compares the first positions of all motions of the folders train, val, and those whose names begin with test.

        Raises:
            ValueError: a motion is in two of them; names both files.
        """
        tests = sorted(p.name for p in self.root.glob("test*") if p.is_dir())
        seen: dict[str, Path] = {}
        for folder in dict.fromkeys(["train", "val", *tests, self.test_split]):
            for file in sorted((self.root / folder).glob("*")):
                if file.suffix.lower() not in ENDINGS or file.name.startswith("."):
                    continue
                key = digest(read_motion(file, frames=1))
                if key in seen and seen[key].parent != file.parent:
                    raise ValueError(f"{file} begins with the same positions as {seen[key]}: no motion may be in two splits")
                seen[key] = file

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the materials of the training."""
        return tuple(dict.fromkeys(name for motion in self.motions("train") for name in motion.names))

    @property
    def dim(self) -> int:
        """Dimension of the motions."""
        return next(iter(self._motions.values() or [self.motions("train")]))[0].x.shape[2]

    def statistics(self) -> dict[str, Tensor]:
        """Returns mean and deviation of velocities and accelerations, over all particles, frames and training motions."""
        sums: dict[str, Tensor] = {}
        count = {"velocity": 0, "acceleration": 0}
        for motion in self.motions("train"):
            for name, order in (("velocity", 1), ("acceleration", 2)):
                value = motion.x.double().diff(n=order, dim=0).flatten(0, 1)
                both = torch.stack([value.sum(0), value.square().sum(0)])
                sums[name] = sums.get(name, torch.zeros_like(both)) + both
                count[name] += len(value)
        out = {}
        for name, both in sums.items():
            mean, square = both / max(count[name], 1)
            out[f"{name}_mean"], out[f"{name}_std"] = mean, (square - mean.square()).clamp_min(1e-16).sqrt()
        return out

    def sample(self, motion: Motion, seed: int = 0) -> Tensor:
        """Returns the particles of a motion that are simulated in validation and test."""
        n = min(max(round(self.keep * len(motion.material)), motion.x.shape[2] + 2), len(motion.material))
        return chosen_samples(motion, n, self.choice, seed)

    def radius(self, motion: Motion, chosen: Tensor) -> float:
        """Returns the radius of the edges between particles that are simulated in validation and test."""
        return connected_radius(motion, chosen, self.sampling.degree)

    def facts(self) -> dict[str, Any]:
        """Returns what a record of a training says of its data."""
        return {"data": str(self.root), "train_motions": len(self.files("train")), "keep": self.keep}

    def train_dataloader(self) -> DataLoader:
        """Returns endless training batches that go on at the step of the trainer."""
        # Lightning restores its loops before it asks for loaders, so that a resumed run goes on where it was.
        start = self.trainer.fit_loop.epoch_loop.batch_progress.total.processed if self.trainer else 0
        frames, particles = 1 + self.steps, self.dim + 2
        for file, motion in zip(self.files("train"), self.motions("train"), strict=True):
            if len(motion) < frames:
                raise ValueError(f"{file}: expected at least {frames} frames for {self.steps} steps in a row, got {len(motion)}")
            if len(motion.material) < particles:
                raise ValueError(f"{file}: expected at least d + 2 = {particles} particles, got {len(motion.material)}")
        if self.serves == "windows":
            batches: Any = Windows(
                self.motions("train"),
                self.names,
                history=self.history,
                sampling=self.sampling,
                particles=self.particles_per_step,
                noise=self.noise,
                strain=self.strain,
                restore=self.restore,
                steps=self.steps,
                symmetric=self.symmetric,
                seed=self.seed,
                start=start,
            )
        else:
            batches = Frames(
                self.motions("train"),
                sampling=self.sampling,
                queries=self.queries,
                frames=self.steps,
                in_a_row=self.serves == "sequences",
                seed=self.seed,
                start=start,
            )
        return DataLoader(_Stream(batches), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        """Returns the numbers of the validation motions."""
        return DataLoader(range(len(self.motions("val")) if self.files("val") else 0), batch_size=None)

    def test_dataloader(self) -> DataLoader:
        """Returns the numbers of the test motions."""
        return DataLoader(range(len(self.motions("test"))), batch_size=None)


class _Stream(IterableDataset):
    def __init__(self, batches: Any):
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


def check_alike(where: str, motion: Motion, dim: int, spacing: float) -> None:
    """Compares a motion with others that it is used with.

    Raises:
        ValueError: its dimension or its time between frames differs, or a position is not finite.
    """
    if motion.x.shape[2] != dim:
        raise ValueError(f"{where}: expected a motion in {dim} dimensions, got {motion.x.shape[2]}")
    if abs(motion.spacing - spacing) > 1e-6 * spacing:
        raise ValueError(
            f"{where}: expected {spacing:g} s between frames, got {motion.spacing:g}; steppers know one time step only, "
            "simulate the scene again with another `every`"
        )
    if not motion.x.isfinite().all():
        frame, particle = (~motion.x.isfinite()).any(2).nonzero()[0].tolist()
        raise ValueError(f"{where}: the position of particle {particle} in frame {frame} is not finite")


def digest(motion: Motion) -> str:
    """Returns a number that motions with the same first positions in single precision share."""
    return hashlib.sha256(np.ascontiguousarray(motion.x[0].float().numpy()).tobytes()).hexdigest()
