"""Points that fill a solid evenly."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ._solids import Solid

CANDIDATES = 16  # points for each of the result, whose means stand for the means of the cells
CHUNK = 1 << 16  # random points drawn together


def lattice(counts: Sequence[int], *, size: float | Sequence[float] = 1.0, centre: Sequence[float]) -> Float[Tensor, "points dim"]:
    """Returns a regular lattice in a box that includes its faces, the last axis running fastest.

    Args:
        counts: points along each axis, two or three numbers.
        size: lengths of the box.
        centre: its centre.

    Raises:
        ValueError: counts, lengths and centre do not fit.
    """
    lengths = _lengths(size, len(centre))
    whole = isinstance(counts, Sequence) and all(isinstance(count, int) for count in counts)
    if not whole or len(counts) != len(centre) or min(counts) < 1:
        raise ValueError(f"lattice: expected {len(centre)} whole counts >= 1, got {counts}")
    axes = [torch.linspace(-n / 2, n / 2, count, dtype=torch.float64) for n, count in zip(lengths, counts, strict=True)]
    return torch.cartesian_prod(*axes) + torch.tensor(centre, dtype=torch.float64)


def fill(
    solid: Solid,
    count: int,
    *,
    size: float | Sequence[float] = 1.0,
    centre: Sequence[float],
    seed: int = 0,
    relaxations: int = 5,
) -> Float[Tensor, "{count} dim"]:
    """Returns points in a solid, random but at even distances (blue noise).

    Points of a scrambled Sobol sequence are taken where they lie inside, so that every part gets its share; then each moves
    a few times to the mean of what is nearest to it (the relaxation of Lloyd), unless that lies outside.

    Args:
        solid: what to fill.
        count: how many points.
        size: factors by which the solid, whose longest side is one, is scaled along each axis, or one for all.
        centre: where its centre goes.
        seed: equal seeds give equal points.
        relaxations: how often points move; 0 gives independent, uniform random points instead.

    Raises:
        ValueError: a number is out of range; the solid is for another dimension, or too thin to be met by random points.

    Example:
        >>> from geoops.geometry import Sphere, fill
        >>> fill(Sphere(), 1000, size=0.4, centre=(0.5, 0.5, 0.5)).shape
        torch.Size([1000, 3])
    """
    dim = len(centre)
    if count < 1 or relaxations < 0:
        raise ValueError(f"fill: expected count >= 1 and relaxations >= 0, got {count} and {relaxations}")
    lengths = torch.tensor(_lengths(size, dim), dtype=torch.float64)
    share = solid.volume(dim) / np.prod(solid.sides(dim))
    if share < 1e-4:
        raise ValueError(f"fill: the solid takes {share:.2g} of the box around it; too thin to be filled with random points")
    if relaxations == 0:
        generator = np.random.Generator(np.random.PCG64(seed))
        x = _inside(solid, count, dim, lambda n: torch.from_numpy(generator.random((n, dim))))
    else:
        sobol = torch.quasirandom.SobolEngine(dim, scramble=True, seed=seed)
        x = _inside(solid, (1 + CANDIDATES) * count, dim, lambda n: sobol.draw(n, dtype=torch.float64))
        x = _relaxed(solid, x[:count], x[count:], lengths, relaxations)
    return x * lengths + torch.tensor(centre, dtype=torch.float64)


def _inside(solid: Solid, count: int, dim: int, draw: Callable[[int], Tensor]) -> Float[Tensor, "{count} {dim}"]:
    sides, found, missing = torch.tensor(solid.sides(dim), dtype=torch.float64), [], count
    while missing > 0:
        drawn = (draw(CHUNK) - 0.5) * sides
        found.append(drawn[solid.inside(drawn)])
        missing -= len(found[-1])
    return torch.cat(found)[:count]


def _relaxed(solid: Solid, x: Tensor, candidates: Tensor, lengths: Tensor, relaxations: int) -> Tensor:
    from scipy.spatial import cKDTree

    places = (candidates * lengths).numpy()
    for _ in range(relaxations):
        _, nearest = cKDTree((x * lengths).numpy()).query(places)
        near = torch.from_numpy(nearest)
        sums = torch.zeros_like(x).index_add_(0, near, candidates)
        mean = sums / torch.bincount(near, minlength=len(x)).clamp_min(1)[:, None]
        x = torch.where(solid.inside(mean)[:, None] & (near.bincount(minlength=len(x)) > 0)[:, None], mean, x)
    return x


def _lengths(size: float | Sequence[float], dim: int) -> tuple[float, ...]:
    lengths = (size,) * dim if isinstance(size, float | int) else tuple(size)
    if len(lengths) != dim or not all(0 < n < math.inf for n in lengths):
        raise ValueError(f"expected size > 0, one number or {dim}, got {size}")
    return lengths
