"""The k nearest points."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._neighbours import Box, check_batch, check_points, sides

_ops = torch.ops.geoops

Flow = Literal["source_to_target", "target_to_source"]


def knn(
    x: Float[Tensor, "n dim"],
    y: Float[Tensor, "m dim"],
    k: int,
    batch_x: Int[Tensor, " n"] | None = None,
    batch_y: Int[Tensor, " m"] | None = None,
    *,
    box: Box | None = None,
) -> Int[Tensor, "2 pairs"]:
    r"""Returns, for each point of y, its k nearest points of x, or all of them where there are fewer.

    Row 0 of the result numbers the points of y, row 1 those of x. Pairs are in the order of y, then of the distance, then
    of x: of several points at the same distance those with the smaller numbers are taken. The search is exact. Squared
    distances $\sum_d (x_d - y_d)^2$ are computed in the dtype of the points, axis after axis, without fused
    multiply-adds, so the result is the same for any number of threads, on every processor and on CUDA; points so far apart
    that squares overflow count as equally far. The result has no gradient; compute distances from it with torch.

    Args:
        x: points among which neighbours are sought, float32 or float64.
        y: points whose neighbours are sought, of the dtype of x.
        k: number of neighbours.
        batch_x: example of each point of x, in ascending order; points of different examples are never neighbours.
        batch_y: example of each point of y, likewise; both or neither.
        box: length of a periodic box along each axis, infinite where space is not periodic. Points are wrapped into it
            and the distance is that of the nearest images, so a pair appears at most once.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape, a device, k or a length does not fit, a batch vector is not ascending, or a coordinate is
            NaN or infinite.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [5.0]])
        >>> knn(x, torch.tensor([[4.0], [0.1]]), 2)
        tensor([[0, 0, 1, 1],
                [2, 1, 0, 1]])
    """
    _check("knn", k, {"x": x, "y": y}, batch_x=batch_x, batch_y=batch_y)
    return _ops.neighbours.default(x.detach(), y.detach(), batch_x, batch_y, sides("knn", box, x), k, math.inf, True)


def knn_graph(
    x: Float[Tensor, "n dim"],
    k: int,
    batch: Int[Tensor, " n"] | None = None,
    *,
    loop: bool = False,
    flow: Flow = "source_to_target",
    box: Box | None = None,
) -> Int[Tensor, "2 edges"]:
    """Returns the edges that join each point with its k nearest, as `knn` finds them.

    Args:
        x: points, float32 or float64.
        k: number of neighbours; without loops the point itself is not one of them, whatever else lies upon it.
        batch: example of each point, in ascending order.
        loop: whether a point is its own neighbour.
        flow: "source_to_target" puts neighbours in row 0 and the points they are neighbours of in row 1,
            "target_to_source" the other way round. Edges are in the order of the points, then of the distance.
        box: as in `knn`.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: as in `knn`, or flow is neither of the two.

    Example:
        >>> knn_graph(torch.tensor([[0.0], [1.0], [5.0]]), 1)
        tensor([[1, 0, 1],
                [0, 1, 2]])
    """
    _check("knn_graph", k, {"x": x}, batch=batch)
    pairs = _ops.neighbours.default(x.detach(), x.detach(), batch, batch, sides("knn_graph", box, x), k, math.inf, loop)
    return directed("knn_graph", pairs, flow)


def nearest(
    x: Float[Tensor, "n dim"],
    y: Float[Tensor, "m dim"],
    batch_x: Int[Tensor, " n"] | None = None,
    batch_y: Int[Tensor, " m"] | None = None,
    *,
    box: Box | None = None,
) -> Int[Tensor, " n"]:
    """Returns, for each point of x, the number of the nearest point of y; of several the first.

    Args:
        x: points whose neighbours are sought, float32 or float64.
        y: points among which they are sought, of the dtype of x.
        batch_x: example of each point of x, in ascending order.
        batch_y: example of each point of y, likewise; both or neither.
        box: as in `knn`.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: as in `knn`, or a point of x has no points of y in its example.

    Example:
        >>> nearest(torch.tensor([[0.2], [4.0]]), torch.tensor([[0.0], [1.0], [5.0]]))
        tensor([0, 2])
    """
    _check("nearest", 1, {"x": x, "y": y}, batch_x=batch_x, batch_y=batch_y)
    return _ops.nearest.default(x.detach(), y.detach(), batch_x, batch_y, sides("nearest", box, x))


def _check(op: str, k: int, points: dict[str, Tensor], **batches: Tensor | None) -> None:
    check_points(op, **points)
    check_batch(op, **batches)
    if k < 0:
        raise ValueError(f"{op}: expected a number of neighbours k >= 0, got {k}")


def directed(op: str, pairs: Tensor, flow: str) -> Tensor:
    """Returns pairs (point, neighbour) as edges along a flow."""
    if flow not in ("source_to_target", "target_to_source"):
        raise ValueError(f"{op}: expected flow source_to_target or target_to_source, got {flow!r}")
    return pairs.flip(0) if flow == "source_to_target" else pairs
