"""Trajectories and motions as files that VTK and ParaView play."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from geoops.physics import Box, Motion, Particles, Trajectory

from ._frames_write import FrameWriter

#: Fields of a state that change, with the number of axes of a value, and those that stay.
MOVING = {"v": 1, "C": 2, "F": 2}
FIXED = ("mass", "volume")


@final
class TrajectoryWriter(FrameWriter):
    """Writes states of particles while they are computed, see `FrameWriter`.

    Args:
        path: file to write, usually with the suffix `.vtkhdf`.
        box: box of the scene.
        dt: time step.
        material: for each particle a place in `names`.
        names: names of the materials.
        scene: the scene as YAML text.
        whole: keep nothing after an interruption, either.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        box: Box,
        dt: float,
        material: Int[Tensor, " particles"],
        names: Sequence[str],
        scene: str = "",
        whole: bool = False,
    ):
        self._material = material.long()
        super().__init__(path, len(material), dt, _about(box, names), scene, whole)

    def append(self, particles: Particles, step: int) -> None:
        """Adds a frame: the state after `step` steps.

        Raises:
            ValueError: another number of particles, or another dtype, than in the frames before.
        """
        fixed = {"material": self._material, **{name: getattr(particles, name) for name in FIXED}}
        self._add(particles.x, {name: getattr(particles, name) for name in MOVING}, fixed, step)


@final
class MotionWriter(FrameWriter):
    """Writes positions of particles while they are computed, see `FrameWriter`.

    Args:
        path: file to write, usually with the suffix `.vtkhdf`.
        box: box of the scene.
        spacing: time between frames.
        material: for each particle a place in `names`.
        names: names of the materials.
        volume: of each particle.
        scene: the scene as YAML text.
        fields: numbers of each particle that stay the same, such as which ones were simulated.
        whole: keep nothing after an interruption, either.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        box: Box,
        spacing: float,
        material: Int[Tensor, " particles"],
        names: Sequence[str],
        volume: Float[Tensor, " particles"],
        scene: str = "",
        fields: dict[str, Tensor] | None = None,
        whole: bool = False,
    ):
        self._fixed = {"material": material.long(), "volume": volume, **(fields or {})}
        super().__init__(path, len(material), spacing, _about(box, names), scene, whole)

    def append(self, x: Float[Tensor, "particles dim"], frame: int) -> None:
        """Adds positions in a frame, counted from 0.

        Raises:
            ValueError: another number of particles, or another dtype, than in the frames before.
        """
        self._add(x, {}, self._fixed, frame)


def write_trajectory(path: str | Path, trajectory: Trajectory) -> None:
    """Writes a trajectory, see `TrajectoryWriter`; the file appears whole or not at all.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """
    about = {name: getattr(trajectory, name) for name in ("box", "dt", "material", "names", "scene")}
    with TrajectoryWriter(path, **about, whole=True) as out:
        for i, step in enumerate(trajectory.steps.tolist()):
            out.append(trajectory.frame(i), step)


def write_motion(path: str | Path, motion: Motion, fields: dict[str, Tensor] | None = None) -> None:
    """Writes a motion, see `MotionWriter`; the file appears whole or not at all.

    Raises:
        ValueError: it has no frames or no particles.
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """
    if motion.x.numel() == 0:
        raise ValueError(f"{path}: a motion needs frames and particles, got x of shape {tuple(motion.x.shape)}")
    about = {name: getattr(motion, name) for name in ("box", "spacing", "material", "names", "volume", "scene")}
    with MotionWriter(path, **about, fields=fields, whole=True) as out:
        for i, x in enumerate(motion.x):
            out.append(x, i)


def _about(box: Box, names: Sequence[str]) -> dict[str, int | str]:
    return {"dim": len(box.cells), "box": json.dumps(asdict(box)), "names": json.dumps(list(names))}
