"""Choices of the particles that stand for all: even, random, or with more of them on the surface."""

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from geoops import ops

Choice = Literal["fps", "random", "boundary"]

#: Neighbours that are looked at to tell the surface, and how far their centroid has to be off, in units of the farthest.
_NEIGHBOURS = {2: 24, 3: 40}
_OFFSET = {2: 0.3, 3: 0.25}


def choose_samples(
    points: Float[Tensor, "points dim"],
    n: int,
    method: Choice = "fps",
    *,
    seed: int = 0,
    generator: torch.Generator | None = None,
    body: Int[Tensor, " points"] | None = None,
) -> Int[Tensor, " {n}"]:
    """Chooses n points that stand for all, and returns their numbers in ascending order.

    The choice is the same on every device.

    Args:
        points: positions at the start, in two or three dimensions.
        n: number of samples, at least d + 2 and at most all points.
        method: `fps`, farthest point sampling from a random start, which is the most even; `random`, all choices are equally
            likely; or `boundary`, half of the samples from points near the surface (`near_surface`) and half from the others,
            each by farthest point sampling.
        seed: start of the random numbers.
        generator: source of random numbers on the CPU, instead of a seed.
        body: number of the body of each point. Each body then has its share of the samples by its number of points, and at least
            d + 2 where it has as many.

    Raises:
        ValueError: n is out of range or too small for the bodies, the method is not known, or a coordinate is not finite.
    """
    total, dim = points.shape
    if method not in get_args(Choice):
        raise ValueError(f"choose_samples: expected a method of {', '.join(get_args(Choice))}, got {method!r}")
    if dim not in (2, 3):
        raise ValueError(f"choose_samples: expected points in 2 or 3 dimensions, got {dim}")
    _check_number("choose_samples: n", n, total, dim)
    if not points.isfinite().all():
        raise ValueError("choose_samples: points has coordinates that are NaN or infinite; take these points out first")
    if body is not None and len(body) != total:
        raise ValueError(f"choose_samples: expected the body of each of {total} points, got {len(body)}")
    source = generator if generator is not None else torch.Generator().manual_seed(seed)
    where = points.detach()
    if body is None:
        return _chosen(where, n, method, source).sort()[0]
    numbers, counts = body.unique(return_counts=True)
    parts = []
    for number, share in zip(numbers, _shares(counts.tolist(), n, dim), strict=True):
        own = (body == number).nonzero()[:, 0]
        parts.append(own[_chosen(where[own], share, method, source)])
    return torch.cat(parts).sort()[0]


def check_samples(indices: Int[Tensor, " samples"], total: int, dim: int) -> Int[Tensor, " samples"]:
    """Returns chosen numbers of points in ascending order, after a check.

    Args:
        indices: numbers of the samples.
        total: number of points that they are chosen from.
        dim: 2 or 3.

    Raises:
        ValueError: there are fewer samples than d + 2, one is there twice, or one is not the number of a point.
    """
    _check_number("check_samples: the number of indices", len(indices), total, dim)
    chosen = indices.long().sort()[0]
    if not 0 <= int(chosen[0]) <= int(chosen[-1]) < total:
        wrong = int(chosen[0]) if chosen[0] < 0 else int(chosen[-1])
        raise ValueError(f"check_samples: indices: expected numbers from 0 to {total - 1}, got {wrong}")
    if len(twice := chosen[1:][chosen.diff() == 0]):
        raise ValueError(f"check_samples: indices: the number {int(twice[0])} is there more than once; name each sample once")
    return chosen


def near_surface(points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
    r"""Tells which points are near the surface of the body that they fill.

    $$\Big\|\frac1k \sum_{j \in N_k(i)} x_j - x_i\Big\| > c \max_{j \in N_k(i)} \|x_j - x_i\|$$

    In a full neighbourhood the centroid of the k nearest is close to the point; at a flat surface it is 0.42 (2D) or 0.375 (3D) of
    its radius away. With k = 24 and c = 0.3 (2D), or 40 and 0.25 (3D), the first layer below the surface passes. Sheets of few
    layers have neighbours on both sides and do not, but along their rims.
    """
    total, dim = points.shape
    if total < 2:
        return torch.ones(total, dtype=torch.bool, device=points.device)
    where = points.detach()
    k = min(_NEIGHBOURS[dim], total - 1)
    neighbour, centre = ops.knn_graph(where, k)
    apart = (where[neighbour] - where[centre]).view(total, k, dim)  # knn_graph goes point after point, the farthest last
    return apart.mean(1).norm(dim=1) > _OFFSET[dim] * apart[:, -1].norm(dim=1)


def _chosen(points: Tensor, n: int, method: Choice, source: torch.Generator) -> Tensor:
    if method == "random":
        return torch.randperm(len(points), generator=source)[:n].to(points.device)
    if method == "fps":
        return _spread(points, n, source)
    surface = near_surface(points)
    rim, inside = surface.nonzero()[:, 0], (~surface).nonzero()[:, 0]
    outer = min(len(rim), max(n // 2, n - len(inside)))
    return torch.cat([rim[_spread(points[rim], outer, source)], inside[_spread(points[inside], n - outer, source)]])


def _spread(points: Tensor, n: int, source: torch.Generator) -> Tensor:
    """Returns n points by farthest point sampling; the start is drawn on the CPU, so that all devices choose the same."""
    if n == 0:
        return torch.empty(0, dtype=torch.int64, device=points.device)
    start = int(torch.randint(len(points), (), generator=source))
    return (ops.fps(points.roll(-start, 0), number=n) + start) % len(points)


def _shares(counts: list[int], n: int, dim: int) -> list[int]:
    """Returns how many samples each body has: as near to its share as the least numbers allow."""
    least = [min(count, dim + 2) for count in counts]
    if sum(least) > n:
        raise ValueError(
            f"choose_samples: n: {len(counts)} bodies need at least {sum(least)} samples, d + 2 each, got {n}; "
            "take more samples or join bodies"
        )
    ideal = [n * count / sum(counts) for count in counts]
    shares = [max(low, int(share)) for low, share in zip(least, ideal, strict=True)]
    places = range(len(counts))
    while sum(shares) < n:
        shares[max((k for k in places if shares[k] < counts[k]), key=lambda k: ideal[k] - shares[k])] += 1
    while sum(shares) > n:
        shares[max((k for k in places if shares[k] > least[k]), key=lambda k: shares[k] - ideal[k])] -= 1
    return shares


def _check_number(what: str, n: int, total: int, dim: int) -> None:
    if n < dim + 2:
        raise ValueError(f"{what}: expected at least d + 2 = {dim + 2} samples, got {n}; motion is not known from fewer")
    if n > total:
        raise ValueError(f"{what}: expected at most all {total} points, got {n}; take fewer samples")
