"""Regular lattices of points over a box."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops


@final
@dataclass(frozen=True)
class Lattice:
    """Points at even distances along each axis of a box, both ends included.

    Args:
        count: points along each axis, at least 2.
        box: lowest and highest coordinate along each axis.

    Raises:
        ValueError: there are fewer than 2 points, or an axis has no length.
    """

    count: int
    box: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"Lattice: expected a count of at least 2 points along each axis, got {self.count}")
        if not self.box or any(not low < high for low, high in self.box):
            raise ValueError(f"Lattice: expected a box of (low, high) pairs with low < high, got {self.box}")

    def __len__(self) -> int:
        return self.count ** len(self.box)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.box)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance of neighbours along each axis."""
        return tuple((high - low) / (self.count - 1) for low, high in self.box)

    def nodes(self, like: Tensor) -> Float[Tensor, "nodes dim"]:
        """Returns the points, the last axis running fastest, in the dtype and on the device of a tensor."""
        axes = [torch.linspace(low, high, self.count, dtype=like.dtype, device=like.device) for low, high in self.box]
        return torch.cartesian_prod(*axes).reshape(-1, self.dim)

    def coverage(self, points: Float[Tensor, "points dim"], radius: float) -> float:
        """Returns the fraction of points that have a lattice point within the radius; 1 if there are no points."""
        if not len(points):
            return 1.0
        hits = ops.radius(self.nodes(points), points, radius, max_num_neighbors=1)
        return hits.shape[1] / len(points)
