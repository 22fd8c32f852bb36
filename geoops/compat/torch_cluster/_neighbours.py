"""Searches for neighbours with the arguments of torch_cluster."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from geoops import ops

from ._points import as_points


def knn(
    x: Tensor,
    y: Tensor,
    k: int,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Returns, for each point of y, its k nearest points of x, with `geoops.ops.knn`.

    Args:
        x: points among which neighbours are sought, (points, dim), or (points,) on a line.
        y: points whose neighbours are sought.
        k: number of neighbours.
        batch_x: example of each point of x, in ascending order.
        batch_y: example of each point of y, likewise; one batch vector alone leaves the other points in example 0.
        cosine: whether the distance is that of directions, one minus the cosine of the angle.
        num_workers: accepted and not needed: torch says how many threads there are.
        batch_size: accepted and not needed.

    Returns:
        Numbers of points of y in row 0 and of their neighbours in row 1, in the order of y, then of the distance.

    Raises:
        TypeError, ValueError: as in `geoops.ops.knn`.
    """
    if x.numel() == 0 or y.numel() == 0:
        return _none(x)
    x, y = _prepared(x, cosine), _prepared(y, cosine)
    return ops.knn(x, y, k, *_both(x, y, batch_x, batch_y))


def knn_graph(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    loop: bool = False,
    flow: str = "source_to_target",
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Returns the edges that join each point with its k nearest, with `geoops.ops.knn_graph`.

    With loop a point is its own neighbour. flow "source_to_target" puts neighbours in row 0, "target_to_source" in row 1.
    Other arguments and errors are those of `knn`.
    """
    if x.numel() == 0:
        return _none(x)
    return ops.knn_graph(_prepared(x, cosine), k, batch, loop=loop, flow=flow)  # pyright: ignore[reportArgumentType]


def radius(
    x: Tensor,
    y: Tensor,
    r: float,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    max_num_neighbors: int = 32,
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Returns, for each point of y, the points of x at a distance of at most r, with `geoops.ops.radius`.

    Of more than max_num_neighbors neighbours of one point the nearest are kept. Pairs are ordered as in `knn`, whose other
    arguments and errors these are.
    """
    if x.numel() == 0 or y.numel() == 0:
        return _none(x)
    x, y = as_points(x), as_points(y)
    return ops.radius(x, y, float(r), *_both(x, y, batch_x, batch_y), max_num_neighbors=max_num_neighbors)


def radius_graph(
    x: Tensor,
    r: float,
    batch: Tensor | None = None,
    loop: bool = False,
    max_num_neighbors: int = 32,
    flow: str = "source_to_target",
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Returns the edges that join points at a distance of at most r, with `geoops.ops.radius_graph`.

    Of more than max_num_neighbors neighbours of one point the nearest are kept. Other arguments and errors are those of
    `knn_graph`.
    """
    if x.numel() == 0:
        return _none(x)
    most = max_num_neighbors
    return ops.radius_graph(as_points(x), float(r), batch, loop=loop, max_num_neighbors=most, flow=flow)  # pyright: ignore[reportArgumentType]


def nearest(x: Tensor, y: Tensor, batch_x: Tensor | None = None, batch_y: Tensor | None = None) -> Tensor:
    """Returns, for each point of x, the number of the nearest point of y, with `geoops.ops.nearest`.

    Here x are the points whose neighbours are sought. Other arguments and errors are those of `knn`; it is a ValueError, too,
    if a point of x has no points of y in its example.
    """
    x, y = as_points(x), as_points(y)
    return ops.nearest(x, y, *_both(x, y, batch_x, batch_y))


def _none(x: Tensor) -> Tensor:
    return torch.empty(2, 0, dtype=torch.int64, device=x.device)


def _prepared(x: Tensor, cosine: bool) -> Tensor:
    x = as_points(x).detach()
    return normalize(x) if cosine else x


def _both(x: Tensor, y: Tensor, batch_x: Tensor | None, batch_y: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Completes one batch vector by another of zeros."""
    if batch_x is None and batch_y is not None:
        batch_x = batch_y.new_zeros(x.shape[0])
    if batch_y is None and batch_x is not None:
        batch_y = batch_x.new_zeros(y.shape[0])
    return batch_x, batch_y
