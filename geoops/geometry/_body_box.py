"""Boxes around bodies, in whose coordinates bodies of any size and place are alike."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
@dataclass(frozen=True)
class BodyBox:
    """The bounding box of the points of each body.

    Args:
        low: lowest coordinates.
        length: lengths along the axes; the longest of the body where a body is flat.
        size: the longest length.
    """

    low: Float[Tensor, "bodies dim"]
    length: Float[Tensor, "bodies dim"]
    size: Float[Tensor, " bodies"]

    @classmethod
    def around(cls, points: Float[Tensor, "points dim"], body: Int[Tensor, " points"], bodies: int) -> "BodyBox":
        """Returns the boxes of bodies 0 to `bodies` - 1; of a body without points it is the unit cube."""
        where = body[:, None].expand_as(points)
        start = points.new_zeros(bodies, points.shape[1])
        low = start.scatter_reduce(0, where, points, "amin", include_self=False)
        high = start.scatter_reduce(0, where, points, "amax", include_self=False)
        size = (high - low).amax(1)
        size = torch.where(size > torch.finfo(size.dtype).tiny ** 0.5, size, 1.0)
        length = high - low
        flat = length < 1e-3 * size[:, None]
        return cls(torch.where(flat, (low + high - size[:, None]) / 2, low), torch.where(flat, size[:, None], length), size)

    def unit(self, points: Float[Tensor, "points dim"], body: Int[Tensor, " points"]) -> Float[Tensor, "points dim"]:
        """Returns points of bodies with their box scaled to the unit cube."""
        return (points - self.low[body]) / self.length[body]


def mean_of_bodies(
    values: Float[Tensor, "frames points channels"], body: Int[Tensor, " points"], bodies: int
) -> Float[Tensor, "frames bodies channels"]:
    """Returns means over the points of each body; zero where there are none."""
    count = torch.bincount(body, minlength=bodies).clamp_min(1).to(values.dtype)
    sums = values.new_zeros(len(values), bodies, values.shape[-1]).index_add(1, body, values)
    return sums / count[:, None]
