"""One observed motion to learn a material from, and the motions to test it on: the data module."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, final

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from geoops.ops import Wall
from geoops.physics import Trajectory, material

from ._materials import resolve_material
from ._observe import described, observe

RECONSTRUCTION = "reconstruction"
EVERY = 5  # steps between the frames of tests


class Labels(NamedTuple):
    """What only the true material knows: stresses of deformations, and deformations after the return map."""

    F: Tensor
    tau: Tensor
    trial: Tensor
    mapped: Tensor
    tau_square: Tensor
    mapped_square: Tensor


@final
@dataclass(frozen=True)
class MotionTest:
    """A test of a learned material, simulated with the true one.

    Args:
        scene: a scene, by name or file.
        steps: steps in place of those of the scene.
        throw: seed of a random throw in place of the velocities of the scene.
        walls: what all faces do in place of the walls of the scene.
        gravity: acceleration in place of that of the scene.
    """

    scene: str
    steps: int | None = None
    throw: int | None = None
    walls: Wall | None = None
    gravity: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"test of scene {self.scene}: expected steps >= 1, got {self.steps}")


@final
class MotionData(LightningDataModule):
    """Serves one motion for training, and others for tests.

    Args:
        observed: a trajectory file, or a scene by name or file, which is simulated.
        tests: motions to test on by name, each with its truth.
        against: learned materials to compare with in `geoops test`: files, or names of packaged ones.
        learned: name of the material that is learned; that of the observed motion if it has one only. All tests need a
            material of this name, and keep the true laws of others.
        scene: the scene, by name or file, that an observed trajectory file must be of; not checked unless given.
        seed: of draws in the training; null for `seed_everything`.
    """

    def __init__(
        self,
        observed: str,
        tests: dict[str, MotionTest] | None = None,
        *,
        against: list[str] | None = None,
        learned: str | None = None,
        scene: str | None = None,
        seed: int | None = None,
    ):
        super().__init__()
        self.tests, self.against = dict(tests or {}), list(against or [])
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        self._source, self._learned, self._scene = observed, learned, scene
        self._observed: Trajectory | None = None

    @property
    def observed(self) -> Trajectory:
        """The observed motion."""
        if self._observed is None:
            self._observed = observe(self._source, of=self._scene)
        return self._observed

    @property
    def learned(self) -> str:
        """Name of the material that is learned.

        Raises:
            ValueError: the motion has several materials and none is chosen, or the chosen one is not among them.
        """
        names = self.observed.names
        if self._learned is None and len(names) > 1:
            raise ValueError(f"{self._source} has the materials {_quoted(names)}: say which one is `learned`")
        name = self._learned or names[0]
        if name not in names:
            raise ValueError(f"{self._source} has the materials {_quoted(names)}, not {name!r}")
        return name

    def check(self) -> None:
        """Reads the descriptions of all tests, and simulates nothing.

        Raises:
            FileNotFoundError: a scene or a trajectory is missing.
            ValueError: one is wrong, or has no material of the name of the learned one; names the test.
        """
        for name, test in self.tests.items():
            try:
                specs = described(test.scene)
                if self.learned not in specs:
                    raise ValueError(f"there is no material {self.learned!r} in {test.scene}, which has {_quoted(specs)}")
                for label, spec in specs.items():
                    if label != self.learned:
                        resolve_material(spec)
            except ValueError as error:
                raise ValueError(f"test {name!r}: {error}") from error

    def labels(self, motion: Trajectory) -> Labels:
        """Returns stresses and return maps of the true material along a motion.

        Raises:
            ValueError: the true material has no name, so that its laws are not known, or the motion lacks steps.
        """
        true = material(self.learned).to(motion.frames.x.device)
        if int(motion.steps.diff().max()) != 1:
            raise ValueError("labels need the motion after every step")
        with torch.no_grad():
            mine = motion.material == motion.names.index(self.learned)
            before, C = motion.frames.F[:-1, mine], motion.frames.C[1:, mine]
            F, trial = before.flatten(0, 1), (before + motion.dt * C @ before).flatten(0, 1)
            tau, mapped = true.elastic(F), true.plastic(trial)
            change = (mapped - trial).square().mean()
        return Labels(F, tau, trial, mapped, tau.square().mean(), change.clamp_min(1e-12))

    def facts(self) -> dict[str, Any]:
        """Returns what a record of a training says of its data."""
        return {"observed": self._source, "frames": len(self.observed.steps), "particles": len(self.observed.material)}

    def train_dataloader(self) -> DataLoader:
        """Returns one item for each epoch."""
        return _loader([0])

    def val_dataloader(self) -> DataLoader:
        """Returns one item for each evaluation."""
        return _loader([0])

    def test_dataloader(self) -> DataLoader:
        """Returns the names of the tests, with the observed motion as the first."""
        return _loader([RECONSTRUCTION, *self.tests])

    def test(self, name: str) -> Trajectory:
        """Returns the true motion of a test."""
        if name == RECONSTRUCTION:
            return self.observed
        test = self.tests[name]
        changes = {f.name: getattr(test, f.name) for f in fields(test) if f.name != "scene"}
        return observe(test.scene, every=EVERY, **changes)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _loader(items: list[Any]) -> DataLoader:
    return DataLoader(items, batch_size=None)
