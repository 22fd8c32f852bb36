"""Numbers that are reported: relative errors of samples, and parts of the domain that are left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@final
@dataclass(frozen=True)
class MetricRegion:
    """The domain without the balls around some points (where the exact field is singular, say).

    Args:
        name: of the metric, for example `away_from_corners`.
        centers: of the balls, in the units of the meshes.
        radius: of all balls, likewise.

    Raises:
        ValueError: without centers, centers of different dimension, or a radius that is not positive.
    """

    name: str
    centers: list[list[float]]
    radius: float

    def __post_init__(self):
        if not self.centers or len({len(c) for c in self.centers}) != 1:
            raise ValueError(f"metric region {self.name!r}: centers must be points of one dimension, got {self.centers}")
        if self.radius <= 0:
            raise ValueError(f"metric region {self.name!r}: radius must be positive, got {self.radius}")

    def contains(self, points: Float[Tensor, "*batch dim"]) -> Bool[Tensor, "*batch"]:
        """Says which points lie in the region, that is outside all balls.

        Raises:
            ValueError: the centers have another dimension than the points.
        """
        centers = torch.tensor(self.centers, dtype=points.dtype, device=points.device)
        if centers.shape[1] != points.shape[-1]:
            raise ValueError(f"metric region {self.name!r}: centers are {centers.shape[1]}D, the points are {points.shape[-1]}D")
        apart = (points[..., None, :] - centers).norm(dim=-1)
        return (apart > self.radius).all(-1)


def summarise(errors: Float[Tensor, " samples"]) -> dict[str, float]:
    """Returns mean, median and 95th percentile (linear interpolation) of the errors of samples."""
    e = errors.double()
    return {"mean": e.mean().item(), "median": e.quantile(0.5).item(), "p95": e.quantile(0.95).item()}


def flatten(groups: Mapping[str, dict[str, float]], prefix: str) -> dict[str, float]:
    """Returns names for logs: the mean under the group's name, other statistics with a suffix."""
    return {
        f"{prefix}/{name}" if stat == "mean" else f"{prefix}/{name}_{stat}": value
        for name, stats in groups.items()
        for stat, value in stats.items()
    }
