"""Positions of particles at even times: what steppers and decoders learn from, and what they make."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.geometry import bodies, degree_radius, sample_spacing

from ._mpm_state import Box


@final
@dataclass(frozen=True)
class Motion:
    """Positions of one scene.

    Args:
        x: positions; the first frame is the start, before anything is deformed.
        spacing: time between frames.
        box: box of the scene.
        material: for each particle a place in `names`.
        names: names of the materials.
        volume: of each particle at the start; taken to the dtype of x.
        scene: the scene as YAML text, empty if it is not known.

    Raises:
        ValueError: numbers of particles, dimensions, dtypes or materials do not fit, or the time between frames is not positive.
    """

    x: Float[Tensor, "frames particles dim"]
    spacing: float
    box: Box
    material: Int[Tensor, " particles"]
    names: tuple[str, ...]
    volume: Float[Tensor, " particles"]
    scene: str = ""

    def __post_init__(self) -> None:
        n = len(self.material)
        if self.x.ndim != 3 or self.x.shape[1:] != (n, len(self.box.cells)) or self.volume.shape != (n,):
            raise ValueError(
                f"Motion: {n} materials in a box of {len(self.box.cells)} dimensions need x of shape "
                f"(frames, {n}, {len(self.box.cells)}) and {n} volumes, got {tuple(self.x.shape)} and {tuple(self.volume.shape)}"
            )
        if self.x.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"Motion: expected x of float32 or float64, got {self.x.dtype}")
        object.__setattr__(self, "volume", self.volume.to(self.x.dtype))
        object.__setattr__(self, "material", self.material.long())
        if not self.spacing > 0:
            raise ValueError(f"Motion: expected a time between frames > 0, got {self.spacing}")
        if n and not 0 <= int(self.material.min()) <= int(self.material.max()) < len(self.names):
            raise ValueError(f"Motion: material points beyond the {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def times(self) -> Float[Tensor, " frames"]:
        """Time of each frame."""
        return torch.arange(len(self.x), dtype=torch.float64, device=self.x.device) * self.spacing

    @property
    def gravity(self) -> Float[Tensor, " dim"]:
        """Change of velocity in a frame, in length per frame squared."""
        return torch.tensor(self.box.gravity, dtype=self.x.dtype, device=self.x.device) * self.spacing**2

    @property
    def bounds(self) -> Float[Tensor, "dim 2"]:
        """Lowest and highest coordinate that particles reach along each axis: one cell within the last node of the walls."""
        box = self.box
        margin = max(box.bound - 1, 0) * box.dx
        low, high = self.x.new_full((len(box.cells),), margin), self.x.new_tensor(box.lengths) - margin
        return torch.stack([low, high], 1)

    @cached_property
    def body(self) -> Int[Tensor, " particles"]:
        """Number of the body of each particle: what hangs together at the start, by particles of one material."""
        d = self.x.shape[2]
        largest = float(self.volume.max()) if len(self.volume) else 1.0
        return bodies(self.x[0], degree_radius(sample_spacing(largest, 1, d), d), self.material)

    def to(self, *args, **kwargs) -> "Motion":
        """Returns the motion on another device, or with positions of another dtype."""
        x = self.x.to(*args, **kwargs)
        return replace(self, x=x, material=self.material.to(x.device), volume=self.volume.to(x))

    def of(self, particles: Int[Tensor, " chosen"]) -> "Motion":
        """Returns the motion of some particles."""
        return replace(self, x=self.x[:, particles], material=self.material[particles], volume=self.volume[particles])
