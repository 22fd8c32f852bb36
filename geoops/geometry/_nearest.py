"""The nearest segment or triangle of many, for many points, exactly."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import geoops.ops  # noqa: F401, declares the op

from ._tree import Array, BoxTree, Groups, spread_over, starts_of

#: One array for each coordinate.
Coords = Sequence[Array] | Array
# Distances computed at once: few enough to stay in the cache.
CHUNK = 1 << 16
# Points that share one search, where there are many more points than items.
GROUP = 16


def nearest(corners: Array, points: Array) -> tuple[Array, Array]:
    """Returns the number of the nearest segment (items, 2, dim) or triangle (items, 3, dim), and the squared distance; of
    several at the same distance the first.
    """
    index, squared = torch.ops.geoops.nearest_facet.default(torch.from_numpy(corners), torch.from_numpy(points))
    return index.numpy(), squared.numpy()


def search(corners: Array, points: Array) -> tuple[Array, Array]:
    r"""Returns the same without native code.

    Points are searched for in groups. At the centre c of a group's box of radius r let item i be at distance $d_i$ in
    direction $u_i$. Distances to convex items are convex, so $d_i(c + s) \ge d_i + u_i \cdot s$, and
    $d_j(c + s) \le d_j + u_j \cdot s + r^2 / 2(d_j - r)$ for $d_j > r$. With the nearest item as j, item i cannot be
    nearest to any point of the group if $d_i - d_j > r |u_i - u_j| + r^2 / 2(d_j - r)$, or if $d_i - d_j > 2 r$.
    """
    from scipy.spatial import cKDTree

    index, squared = np.zeros(len(points), dtype=np.int64), np.zeros(len(points))
    if not len(points):
        return index, squared
    # Measured: in space, groups are small enough only where points are much denser than items.
    dense = len(points) > (16 if points.shape[1] == 2 else 64) * len(corners)
    groups = Groups.cut(points, GROUP if dense else 1)
    parts = [np.ascontiguousarray(corners[:, i, j]) for i in range(corners.shape[1]) for j in range(corners.shape[2])]
    centre, radius = (groups.low + groups.high) / 2, np.linalg.norm(groups.high - groups.low, axis=1) / 2
    # Some near item bounds the search; which one does not matter.
    _, near = cKDTree(corners.mean(1)).query(centre)
    reach = np.sqrt(squared_distance([part[near] for part in parts], list(centre.T))) + 2 * radius
    reach = np.square(reach * (1 + 1e-9) + 1e-300)

    def keep(query: Array, low: Array, high: Array) -> Array:
        c = centre[query]
        outside = np.maximum(np.maximum(low - c, c - high), 0)
        return np.einsum("ij,ij->i", outside, outside) <= reach[query]

    for group, item in BoxTree.build(corners.min(1), corners.max(1)).search(len(centre), keep):
        if groups.order.shape[1] == 1:
            starts = starts_of(group)
            value = np.concatenate([squared_distance([p[i] for p in parts], list(centre[g].T)) for g, i in _chunks(group, item)])
            chosen, least = _least(value, item, starts)
            place = groups.order[group[starts], 0]
            index[place], squared[place] = chosen, least
            continue
        kept = _possible(parts, group, item, centre, radius)
        group, item = group[kept], item[kept]
        starts = starts_of(group)
        step = max(1, CHUNK // groups.order.shape[1])
        first = 0
        while first < len(starts):
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + step)))
            a, b = starts[first], starts[last] if last < len(starts) else len(group)
            value = squared_distance([p[item[a:b]][:, None] for p in parts], list(groups.points[:, group[a:b]]))
            chosen, least = _least(value, item[a:b], starts[first:last] - a)
            place = groups.order[group[starts[first:last]]]
            index[place], squared[place] = chosen, least
            first = last
    return index, squared


@torch.library.impl("geoops::nearest_facet", "CompositeExplicitAutograd")
def _nearest_facet(corners: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    index, squared = search(corners.numpy(), points.numpy())
    return torch.from_numpy(index), torch.from_numpy(squared)


@torch.library.register_fake("geoops::nearest_facet")
def _nearest_facet_fake(corners: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    return points.new_empty(len(points), dtype=torch.int64), points.new_empty(len(points))


def _possible(parts: list[Array], group: Array, item: Array, centre: Array, radius: Array) -> Array:
    """Whether each item can be the nearest to some point of the group; see `nearest`."""
    starts = starts_of(group)
    away = np.concatenate([np.stack(gap([p[i] for p in parts], list(centre[g].T)), 1) for g, i in _chunks(group, item)])
    distance, radius = np.sqrt(np.einsum("ij,ij->i", away, away)), radius[group]
    least = spread_over(np.minimum.reduceat(distance, starts), starts, len(item))
    hit = np.where(distance == least, np.arange(len(item)), len(item))
    first = spread_over(np.minimum.reduceat(hit, starts), starts, len(item))
    unit = away / np.maximum(distance, 1e-300)[:, None]
    turn = unit - unit[first]
    clear = least > 1.5 * radius
    bound = radius * np.sqrt(np.einsum("ij,ij->i", turn, turn)) + radius**2 / (2 * np.where(clear, least - radius, 1.0))
    margin = np.where(clear, np.minimum(bound, 2 * radius), 2 * radius)
    # The slack covers rounding, which must not drop the nearest item.
    return distance - least <= margin * (1 + 1e-9) + 1e-12 * distance + 1e-300


def _least(value: Array, item: Array, starts: Array) -> tuple[Array, Array]:
    """Returns, for each run, the item with the smallest value (the first of equals) and the value."""
    least = np.minimum.reduceat(value, starts, axis=0)
    hit = value == np.repeat(least, np.diff([*starts, len(item)]), axis=0)
    number = np.where(hit, item if value.ndim == 1 else item[:, None], np.iinfo(np.int64).max)
    return np.minimum.reduceat(number, starts, axis=0), least


def _chunks(group: Array, item: Array) -> list[tuple[Array, Array]]:
    return [(group[i : i + CHUNK], item[i : i + CHUNK]) for i in range(0, len(item), CHUNK)]


def squared_distance(parts: Coords, p: Coords) -> Array:
    """Returns the squared distance from points to segments or triangles; `parts` are the coordinates of the corners in
    turn.
    """
    dim = len(p)
    corner = [parts[i : i + dim] for i in range(0, len(parts), dim)]
    if len(corner) == 2:
        return _to_segment(corner[0], corner[1], p)
    return _to_triangle(*corner, p)


def along_segment(a: Coords, b: Coords, p: Coords) -> Array:
    r"""Returns the parameter $t \in [0, 1]$ of the nearest point $a + t (b - a)$; exactly 0 and 1 at the ends."""
    dot, length = np.zeros(()), np.zeros(())
    for a_i, b_i, p_i in zip(a, b, p, strict=True):
        e = b_i - a_i
        dot, length = dot + e * (p_i - a_i), length + e * e
    return np.clip(dot / np.where(length > 0, length, 1.0), 0, 1)


def gap(parts: Coords, p: Coords) -> list[Array]:
    """Returns the vectors to points from the nearest points of segments or triangles."""
    dim = len(p)
    corner = [parts[i : i + dim] for i in range(0, len(parts), dim)]
    if len(corner) == 2:
        return _segment_gap(corner[0], corner[1], p)
    a, b, c = corner
    beta, gamma, inside = in_triangle(a, b, c, p)
    best = [(p_i - a_i) - beta * (b_i - a_i) - gamma * (c_i - a_i) for a_i, b_i, c_i, p_i in zip(a, b, c, p, strict=True)]
    square = np.where(inside, -1.0, np.inf)
    for s, e in ((a, b), (b, c), (c, a)):
        edge = _segment_gap(s, e, p)
        length = _dot(edge, edge)
        nearer = length < square
        square = np.where(nearer, length, square)
        best = [np.where(nearer, x, y) for x, y in zip(edge, best, strict=True)]
    return best


def _segment_gap(a: Coords, b: Coords, p: Coords) -> list[Array]:
    t = along_segment(a, b, p)
    return [(p_i - a_i) - t * (b_i - a_i) for a_i, b_i, p_i in zip(a, b, p, strict=True)]


def _to_segment(a: Coords, b: Coords, p: Coords) -> Array:
    t = along_segment(a, b, p)
    total = np.zeros(())
    for a_i, b_i, p_i in zip(a, b, p, strict=True):
        total = total + np.square((p_i - a_i) - t * (b_i - a_i))
    return total


def in_triangle(a: Coords, b: Coords, c: Coords, p: Coords) -> tuple[Array, Array, Array]:
    """Returns barycentric coordinates of the projection onto the plane of b and c, and whether it falls inside."""
    u, v, w = ([y_i - a_i for a_i, y_i in zip(a, y, strict=True)] for y in (b, c, p))
    uu, uv, vv, wu, wv = (_dot(s, t) for s, t in ((u, u), (u, v), (v, v), (w, u), (w, v)))
    area = uu * vv - uv * uv
    flat = area <= 1e-24 * uu * vv
    area = np.where(flat, 1.0, area)
    beta, gamma = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    return beta, gamma, ~flat & (beta >= 0) & (gamma >= 0) & (beta + gamma <= 1)


def _to_triangle(a: Coords, b: Coords, c: Coords, p: Coords) -> Array:
    beta, gamma, inside = in_triangle(a, b, c, p)
    off = np.zeros(())
    for a_i, b_i, c_i, p_i in zip(a, b, c, p, strict=True):
        off = off + np.square((p_i - a_i) - beta * (b_i - a_i) - gamma * (c_i - a_i))
    edge = np.minimum(np.minimum(_to_segment(a, b, p), _to_segment(b, c, p)), _to_segment(c, a, p))
    return np.where(inside, off, edge)


def _dot(u: Coords, v: Coords) -> Array:
    total = np.zeros(())
    for x, y in zip(u, v, strict=True):
        total = total + x * y
    return total


def weights(corners: Array, points: Array) -> Array:
    """Returns the barycentric weights (n, corners) of the nearest point of the n-th segment or triangle to the n-th
    point.
    """
    a, b, p = corners[:, 0].T, corners[:, 1].T, points.T
    if corners.shape[1] == 2:
        t = along_segment(a, b, p)
        return np.stack([1 - t, t], 1)
    c = corners[:, 2].T
    beta, gamma, inside = in_triangle(a, b, c, p)
    found = np.stack([1 - beta - gamma, beta, gamma], 1)
    ends = ((a, b, (0, 1)), (b, c, (1, 2)), (c, a, (2, 0)))
    distances = np.stack([_to_segment(s, e, p) for s, e, _ in ends])
    for k, (s, e, (i, j)) in enumerate(ends):
        here = ~inside & (distances.argmin(0) == k)
        t = along_segment(s[:, here], e[:, here], p[:, here])
        found[here] = 0
        found[here, i], found[here, j] = 1 - t, t
    return found
