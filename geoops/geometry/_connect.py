"""Graphs that join samples: how far edges have to reach, and which points hang together."""

import math
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops import ops

#: Mean number of neighbours that a radius is made for.
_DEGREE = {2: 12.0, 3: 20.0}
#: Volume of the ball of radius 1.
_BALL = {2: math.pi, 3: 4 * math.pi / 3}
_STEP = 1.1


def sample_spacing(volume_total: float, n: int, dim: int) -> float:
    r"""Returns the distance between n points that fill a volume evenly, $(V/n)^{1/d}$.

    Raises:
        ValueError: the volume is not positive, there is no point, or the dimension is not 2 or 3.
    """
    if not (volume_total > 0 and n > 0 and dim in (2, 3)):
        raise ValueError(f"sample_spacing: expected a volume > 0, n > 0 and dim of 2 or 3, got {volume_total}, {n} and {dim}")
    return (volume_total / n) ** (1 / dim)


def degree_radius(spacing: float, dim: int, degree: float | None = None) -> float:
    r"""Returns the radius within which evenly spaced points have a number of neighbours on average.

    $$r = s\,(k / c_d)^{1/d}, \qquad c_2 = \pi, \quad c_3 = 4 \pi / 3$$

    Args:
        spacing: s, distance between points (`sample_spacing`).
        dim: 2 or 3.
        degree: k; 12 in two dimensions and 20 in three if it is not given.
    """
    return spacing * ((_DEGREE[dim] if degree is None else degree) / _BALL[dim]) ** (1 / dim)


def components(edge_index: Int[Tensor, "2 edges"], n: int) -> Int[Tensor, " {n}"]:
    """Returns for each of n points the number of the connected component it is in, in the order of their first points.

    Raises:
        ValueError: an edge ends at a point that is not there.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < n:
        raise ValueError(f"components: edge_index: expected numbers from 0 to {n - 1}, got {int(edge_index.max())}")
    if n == 0:
        return edge_index.new_empty(0, dtype=torch.int64)
    source, target = edge_index.cpu().numpy()
    joined = coo_array(([True] * len(source), (source, target)), shape=(n, n))
    return torch.from_numpy(connected_components(joined, directed=False)[1]).long().to(edge_index.device)


def bodies(
    points: Float[Tensor, "points dim"], radius: float, kind: Int[Tensor, " points"] | None = None
) -> Int[Tensor, " points"]:
    """Returns the number of the body of each point: what hangs together by edges of a radius, between points of one kind."""
    edges = ops.radius_graph(points.detach(), radius)
    return components(edges if kind is None else edges[:, kind[edges[0]] == kind[edges[1]]], len(points))


def connecting_radius(
    points: Float[Tensor, "points dim"],
    spacing: float,
    *,
    degree: float | None = None,
    body: Int[Tensor, " points"] | None = None,
    cloud: Float[Tensor, "all dim"] | None = None,
    most: float | None = None,
) -> float:
    r"""Returns a radius within which points have enough neighbours, and no body falls into parts.

    $$r = 1.1^m\,s \left(k / c_d\right)^{1/d}, \qquad c_2 = \pi, \quad c_3 = 4 \pi / 3$$

    with the least m for which the points of each body hang together by edges between themselves.

    Args:
        points: samples at the start.
        spacing: s, distance between samples that fill the bodies evenly (`sample_spacing`).
        degree: k, mean number of neighbours; 12 in two dimensions and 20 in three if it is not given.
        body: number of the body of each point; where it is not given, bodies are what hangs together in the cloud.
        cloud: all points, of which `points` are some, see `bodies`; without either all points are one body.
        most: largest radius that is allowed, such as half of the domain; if it is not given, the longest side of the box around
            the points.

    Raises:
        ValueError: the graph is disconnected at any radius up to the largest; a number is not positive, or there are no points.
    """
    n, dim = points.shape
    if dim not in (2, 3) or n == 0:
        raise ValueError(f"connecting_radius: expected at least one point in 2 or 3 dimensions, got {n} in {dim}")
    k = _DEGREE[dim] if degree is None else degree
    if not (spacing > 0 and k > 0 and math.isfinite(spacing)):
        raise ValueError(f"connecting_radius: expected a spacing > 0 and a degree > 0, got {spacing} and {k}")
    x = points.detach()
    r = degree_radius(spacing, dim, k)
    if body is None:
        body = torch.zeros_like(x[:, 0], dtype=torch.int64)
        if cloud is not None:
            body = bodies(cloud, r * (n / len(cloud)) ** (1 / dim))[ops.nearest(x, cloud.detach())]
    elif len(body) != n:
        raise ValueError(f"connecting_radius: expected the body of each of {n} points, got {len(body)}")
    everything = x if cloud is None else cloud.detach()
    limit = max(r, float((everything.amax(0) - everything.amin(0)).max())) if most is None else most
    there, found = len(body.unique()), n
    while r <= limit:
        found = len(bodies(x, r, body).unique())
        if found == there:
            return r
        r *= _STEP
    raise ValueError(
        f"disconnected graph at any affordable radius: up to {limit:.4g}, {n} points of {there} bodies at a spacing of "
        f"{spacing:.4g} are in {found} parts; take more samples, choose them by farthest points, or number the bodies apart"
    )


def delaunay_graph(points: Float[Tensor, "points dim"], *, longest: float = math.inf, loop: bool = False) -> Int[Tensor, "2 edges"]:
    """Returns all edges of the triangles or tetrahedra of Delaunay, each in both directions.

    A point that lies upon another is joined with it. Where there are no more points than d, each is joined with each.

    Args:
        points: positions in two or three dimensions.
        longest: edges that are longer are left out, such as those across gaps.
        loop: whether a point is joined with itself.

    Returns:
        Numbers of source and target of each edge, in the order of the targets, then of the sources.

    Raises:
        ValueError: a coordinate is not finite, the dimension is not 2 or 3, or all points are in one line (2D) or plane (3D).
    """
    n, dim = points.shape
    if dim not in (2, 3):
        raise ValueError(f"delaunay_graph: expected points in 2 or 3 dimensions, got {dim}")
    if not points.isfinite().all():
        raise ValueError("delaunay_graph: points has coordinates that are NaN or infinite; take these points out first")
    pairs = _simplex_edges(points.detach().cpu()) if n > dim else torch.combinations(torch.arange(n)).T
    pairs = torch.cat([pairs, pairs.flip(0), *[torch.arange(n).expand(2, n)] * loop], 1)
    codes = (pairs[1] * n + pairs[0]).unique()  # ascending: in the order of the targets, then of the sources
    edges = torch.stack([codes % max(n, 1), codes // max(n, 1)]).to(points.device)
    x = points.detach()
    return edges[:, (x[edges[0]] - x[edges[1]]).norm(dim=1) <= longest]


def _simplex_edges(points: Tensor) -> Tensor:
    from scipy.spatial import Delaunay, QhullError

    try:
        made = Delaunay(points.double().numpy())
    except QhullError as error:
        flat = "line" if points.shape[1] == 2 else "plane"
        raise ValueError(f"delaunay_graph: all {len(points)} points are in one {flat}; use a radius graph") from error
    simplices = torch.from_numpy(made.simplices).long()
    sides = [simplices[:, list(pair)] for pair in combinations(range(simplices.shape[1]), 2)]
    return torch.cat([*sides, torch.from_numpy(made.coplanar[:, [0, 2]]).long()]).T
