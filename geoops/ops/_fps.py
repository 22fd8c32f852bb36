"""Farthest point sampling."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._checks import check_devices
from ._library import plain_torch
from ._neighbours import _check as check_finite
from ._neighbours import check_batch, check_points, ranges, squares

_ops = torch.ops.geoops


def fps(
    x: Float[Tensor, "n dim"],
    batch: Int[Tensor, " n"] | None = None,
    *,
    ratio: float | None = None,
    number: int | None = None,
    random_start: bool = False,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " samples"]:
    """Returns points of which each is as far as possible from those before it, example after example.

    The greedy algorithm of Gonzalez (Clustering to minimize the maximum intercluster distance, 1985), which PointNet++
    made popular (Qi et al., 2017). Of several points at the same distance the first is taken; no point is taken twice.
    Distances are those of `knn`, and the result is exact.

    Args:
        x: points, float32 or float64.
        batch: example of each point, in ascending order.
        ratio: share of the points of each example, in [0, 1]; their number is rounded up.
        number: number of points of each example, or all where there are fewer. Give either this or a ratio.
        random_start: whether each example begins with a random point instead of its first.
        generator: source of randomness for it.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape, a device, ratio or number does not fit, the batch vector is not ascending, or a coordinate is
            NaN or infinite.

    Example:
        >>> fps(torch.tensor([[0.0], [1.0], [5.0], [3.0]]), number=3)
        tensor([0, 2, 3])
    """
    check_points("fps", x=x)
    check_batch("fps", batch=batch)
    if (ratio is None) == (number is None):
        raise ValueError(f"fps: expected either a ratio or a number, got ratio={ratio} and number={number}")
    if ratio is not None and not 0 <= ratio <= 1:
        raise ValueError(f"fps: expected a ratio in [0, 1], got {ratio}")
    if number is not None and number < 0:
        raise ValueError(f"fps: expected a number of points >= 0, got {number}")
    priority = torch.rand(x.shape[0], generator=generator, dtype=x.dtype, device=x.device) if random_start else None
    return _ops.fps.default(x.detach(), batch, priority, 0.0 if ratio is None else ratio, -1 if number is None else number)


def _fps_torch(x: Tensor, batch: Tensor | None, priority: Tensor | None, ratio: float, number: int) -> Tensor:
    check_finite("fps", x=x)
    if number < 0 and not 0 <= ratio <= 1:
        raise ValueError(f"fps: expected a number >= 0 or a ratio in [0, 1], got {number} and {ratio}")
    if priority is not None:
        check_devices("fps", x=x, priority=priority)
        if priority.shape != x.shape[:1] or priority.dtype != x.dtype:
            raise ValueError(f"fps: expected priority of shape ({len(x)},) in {x.dtype}")
    chosen = []
    for begin, end in ranges("fps", "x", x, batch).values():
        points, size = x[begin:end], end - begin
        left = points.new_full((size,), math.inf)
        at = 0 if priority is None else int(priority[begin:end].argmax())
        for _ in range(min(size, number) if number >= 0 else math.ceil(ratio * size * (1 - 1e-12))):
            chosen.append(begin + at)
            left = torch.minimum(left, squares(points, points[at : at + 1])[0])
            left[at] = -1
            at = int((left == left.max()).nonzero()[0])
    return torch.tensor(chosen, dtype=torch.int64, device=x.device)


plain_torch("fps", _fps_torch)


@torch.library.register_fake("geoops::fps")
def _fps_fake(x, batch, priority, ratio, number) -> Tensor:
    return x.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)
