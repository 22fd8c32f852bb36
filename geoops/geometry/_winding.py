"""How often a closed curve or surface winds around a point, exactly, by the crossings of one ray."""

import numpy as np

from ._tree import Array, ranges

# Pairs of a point and a facet looked at together; bounds the memory.
CHUNK = 1 << 20


def winding_2d(corners: Array, points: Array) -> Array:
    """Returns winding numbers of points (n, 2) in closed curves of directed segments (m, 2, 2).

    A ray to the right crosses a segment if the point lies between its ends in y, the lower one included. Segments are
    sorted into slabs between neighbouring values of y, so each point meets only the few whose slab it is in.
    """
    a, b = corners[:, 0], corners[:, 1]
    levels = np.unique(corners[:, :, 1])
    low, high = np.minimum(a[:, 1], b[:, 1]), np.maximum(a[:, 1], b[:, 1])
    first, last = np.searchsorted(levels, low), np.searchsorted(levels, high)
    starts, members = _bins(first, last, len(levels))
    slab = np.searchsorted(levels, points[:, 1], side="right") - 1
    winding = np.zeros(len(points), dtype=np.int64)
    for chosen, of, segment in _meetings(slab, starts, members):
        p, s, e = points[chosen][of], a[segment], b[segment]
        side = (e[:, 0] - s[:, 0]) * (p[:, 1] - s[:, 1]) - (e[:, 1] - s[:, 1]) * (p[:, 0] - s[:, 0])
        upward = e[:, 1] > s[:, 1]
        crossing = (upward & (side > 0)).astype(np.int64) - (~upward & (side < 0))
        winding[chosen] = np.bincount(of, crossing, len(chosen)).astype(np.int64)
    return winding


def winding_3d(corners: Array, points: Array) -> Array:
    """Returns winding numbers of points (n, 3) in closed surfaces of directed triangles (m, 3, 3).

    A ray along z crosses a triangle if (x, y) lies in its shadow. The side of an edge is computed from its ends in a
    fixed order and a point on it counts as left, which is what moving the point by (-e^2, e) with an infinitely small
    e does; so a ray through an edge or a corner meets the surface as a generic one would.
    """
    shadow = corners[:, :, :2]
    low, high = shadow.min(1), shadow.max(1)
    origin, extent = low.min(0), np.maximum((high.max(0) - low.min(0)), 1e-300)
    count = int(np.clip(np.sqrt(len(corners) / 2), 1, 1024))
    scale = count / extent
    # One column in x and y for each bin; a triangle is listed in all columns its box touches.
    cells_low = np.clip(((low - origin) * scale).astype(np.int64), 0, count - 1)
    cells_high = np.clip(((high - origin) * scale).astype(np.int64), 0, count - 1)
    spans = cells_high - cells_low + 1
    per = spans[:, 0] * spans[:, 1]
    owner, local = np.repeat(np.arange(len(corners)), per), ranges(per)
    column = (cells_low[owner, 0] + local // spans[owner, 1]) * count + cells_low[owner, 1] + local % spans[owner, 1]
    order = np.argsort(column, kind="stable")
    members, starts = owner[order], np.searchsorted(column[order], np.arange(count * count + 1))
    place = (points[:, :2] - origin) * scale
    inside = ((points[:, :2] >= origin) & (points[:, :2] <= high.max(0))).all(1)
    xy = np.clip(np.where(inside[:, None], place, 0).astype(np.int64), 0, count - 1)
    bins = np.where(inside, xy[:, 0] * count + xy[:, 1], -1)
    winding = np.zeros(len(points), dtype=np.int64)
    for chosen, of, triangle in _meetings(bins, starts, members):
        p, t = points[chosen][of], corners[triangle]
        left = np.stack([_left(t[:, i], t[:, (i + 1) % 3], p) for i in range(3)])
        meets = left.all(0) | ~left.any(0)
        of, p, t, turn = of[meets], p[meets], t[meets], left[0][meets]
        u, v, w = t[:, 1] - t[:, 0], t[:, 2] - t[:, 0], p - t[:, 0]
        # The plane is above the point if the point lies behind it, seen along an upward normal.
        volume = (np.cross(u, v) * w).sum(1)
        above = np.where(turn, volume < 0, volume > 0)
        crossing = np.where(above, np.where(turn, 1, -1), 0)
        winding[chosen] = np.bincount(of, crossing, len(chosen)).astype(np.int64)
    return winding


def _left(a: Array, b: Array, p: Array) -> Array:
    """Whether p is left of the way from a to b, seen from above; the same answer reversed for the way back."""
    swap = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    s, e = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    side = (e[:, 0] - s[:, 0]) * (p[:, 1] - s[:, 1]) - (e[:, 1] - s[:, 1]) * (p[:, 0] - s[:, 0]) >= 0
    return side ^ swap


def _bins(first: Array, last: Array, count: int) -> tuple[Array, Array]:
    """Lists, for each of `count` bins, the items i with first[i] <= bin < last[i]."""
    per = last - first
    item = np.repeat(np.arange(len(first)), per)
    where = first[item] + ranges(per)
    order = np.argsort(where, kind="stable")
    return np.searchsorted(where[order], np.arange(count + 1)), item[order]


def _meetings(bins: Array, starts: Array, members: Array):
    """Yields (points, of, members): for some points in turn, each point's place and each member of its bin."""
    valid = np.flatnonzero((bins >= 0) & (bins < len(starts) - 1))
    counts = starts[bins[valid] + 1] - starts[bins[valid]]
    valid, counts = valid[counts > 0], counts[counts > 0]
    ends = np.cumsum(counts)
    first = 0
    while first < len(valid):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
        chosen, some = valid[first:last], counts[first:last]
        of = np.repeat(np.arange(len(chosen)), some)
        yield chosen, of, members[starts[bins[chosen]][of] + ranges(some)]
        first = last
