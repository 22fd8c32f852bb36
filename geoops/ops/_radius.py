"""All points within a radius."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._knn import Flow, directed
from ._neighbours import Box, check_batch, check_points, sides

_ops = torch.ops.geoops


def radius(
    x: Float[Tensor, "n dim"],
    y: Float[Tensor, "m dim"],
    r: float,
    batch_x: Int[Tensor, " n"] | None = None,
    batch_y: Int[Tensor, " m"] | None = None,
    *,
    max_num_neighbors: int | None = None,
    box: Box | None = None,
) -> Int[Tensor, "2 pairs"]:
    r"""Returns, for each point of y, the points of x at a distance of at most r.

    Row 0 of the result numbers the points of y, row 1 those of x. Pairs are in the order of y, then of x. There is no
    limit to their number unless one is given: then the nearest are kept, ordered by y, distance and x. Distances are
    those of `knn`: a pair is within r where the squared distance is at most the square of r, both rounded to the dtype of
    the points. The result has no gradient.

    Args:
        x: points among which neighbours are sought, float32 or float64.
        y: points whose neighbours are sought, of the dtype of x.
        r: radius, in the unit of the points.
        batch_x: example of each point of x, in ascending order; points of different examples are never neighbours.
        batch_y: example of each point of y, likewise; both or neither.
        max_num_neighbors: largest number of neighbours of one point; None for all.
        box: length of a periodic box along each axis, infinite where space is not periodic. Points are wrapped into it
            and the distance is that of the nearest images, so a pair appears at most once, however large r is.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape, a device, r, max_num_neighbors or a length does not fit, a batch vector is not ascending, or
            a coordinate is NaN or infinite.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [5.0]])
        >>> radius(x, torch.tensor([[4.0], [0.1]]), 1.0)
        tensor([[0, 1, 1],
                [2, 0, 1]])
    """
    k = _check("radius", r, max_num_neighbors, {"x": x, "y": y}, batch_x=batch_x, batch_y=batch_y)
    return _ops.neighbours.default(x.detach(), y.detach(), batch_x, batch_y, sides("radius", box, x), k, r, True)


def radius_graph(
    x: Float[Tensor, "n dim"],
    r: float,
    batch: Int[Tensor, " n"] | None = None,
    *,
    loop: bool = False,
    max_num_neighbors: int | None = None,
    flow: Flow = "source_to_target",
    box: Box | None = None,
) -> Int[Tensor, "2 edges"]:
    """Returns the edges that join points at a distance of at most r, each in both directions, as `radius` finds them.

    Args:
        x: points, float32 or float64.
        r: radius, in the unit of the points.
        batch: example of each point, in ascending order.
        loop: whether a point is its own neighbour.
        max_num_neighbors: largest number of neighbours of one point, the nearest; None for all.
        flow: "source_to_target" puts neighbours in row 0 and the points they are neighbours of in row 1,
            "target_to_source" the other way round.
        box: as in `radius`.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: as in `radius`, or flow is neither of the two.

    Example:
        >>> radius_graph(torch.tensor([[0.0], [1.0], [5.0]]), 2.0)
        tensor([[1, 0],
                [0, 1]])
    """
    k = _check("radius_graph", r, max_num_neighbors, {"x": x}, batch=batch)
    pairs = _ops.neighbours.default(x.detach(), x.detach(), batch, batch, sides("radius_graph", box, x), k, r, loop)
    return directed("radius_graph", pairs, flow)


def _check(op: str, r: float, most: int | None, points: dict[str, Tensor], **batches: Tensor | None) -> int:
    check_points(op, **points)
    check_batch(op, **batches)
    if not r >= 0:
        raise ValueError(f"{op}: expected a radius r >= 0, got {r}")
    if most is not None and most < 0:
        raise ValueError(f"{op}: expected max_num_neighbors >= 0 or None for all neighbours, got {most}")
    return -1 if most is None else most
