"""A motion: the states of the particles of one scene at chosen steps."""

from dataclasses import dataclass, replace
from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from ._mpm_state import Box, Particles


@final
@dataclass(frozen=True)
class Trajectory:
    """States of one scene.

    Args:
        frames: states; x, v, C and F have the frames in front, mass and volume are those of all frames.
        steps: the step after which each frame was taken, ascending; 0 is the start.
        box: box of the scene.
        dt: time step.
        material: for each particle a place in `names`.
        names: names of the materials.
        scene: the scene as YAML text, empty if it is not known.

    Raises:
        ValueError: numbers of frames, particles or materials do not fit.
    """

    frames: Particles
    steps: Int[Tensor, " frames"]
    box: Box
    dt: float
    material: Int[Tensor, " particles"]
    names: tuple[str, ...]
    scene: str = ""

    def __post_init__(self) -> None:
        x, n = self.frames.x, len(self.material)
        if x.ndim != 3 or x.shape[0] != len(self.steps) or x.shape[1] != n:
            raise ValueError(
                f"Trajectory: {len(self.steps)} steps of {n} particles need x of shape ({len(self.steps)}, {n}, d), "
                f"got {tuple(x.shape)}"
            )
        if self.frames.mass.shape != (n,) or self.frames.volume.shape != (n,):
            raise ValueError(f"Trajectory: expected mass and volume of shape ({n},), got {tuple(self.frames.mass.shape)}")
        if n and not 0 <= int(self.material.min()) <= int(self.material.max()) < len(self.names):
            raise ValueError(f"Trajectory: material points beyond the {len(self.names)} names")

    @property
    def times(self) -> Float[Tensor, " frames"]:
        """Time of each frame."""
        return self.steps.to(self.frames.x.dtype) * self.dt

    def to(self, *args, **kwargs) -> "Trajectory":
        """Returns the motion on another device, or with states of another dtype."""
        frames = self.frames.to(*args, **kwargs)
        return replace(self, frames=frames, steps=self.steps.to(frames.x.device), material=self.material.to(frames.x.device))

    def frame(self, i: int) -> Particles:
        """Returns the state of frame i."""
        f = self.frames
        return Particles(f.x[i], f.v[i], f.C[i], f.F[i], f.mass, f.volume)
