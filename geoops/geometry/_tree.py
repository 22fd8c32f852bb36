"""Which items can matter for which points: a search that is exact, vectorised and bounded in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

BRANCH = 8
# Pairs of a query and a node looked at together; bounds the memory.
PAIRS = 1 << 19


@dataclass(frozen=True)
class Groups:
    """Points sorted along a space-filling curve and cut into groups of equal size.

    Args:
        order: numbers of the points (groups, size); the last point is repeated to fill the last group.
        points: sorted coordinates (dim, groups, size).
        low: lower corners of the boxes around the groups (groups, dim).
        high: upper corners.
    """

    order: Array
    points: Array
    low: Array
    high: Array

    @classmethod
    def cut(cls, points: Array, size: int) -> "Groups":
        """Sorts and cuts `points` (n, dim), n > 0."""
        order = curve_order(points)
        order = np.concatenate([order, np.repeat(order[-1], -len(order) % size)]).reshape(-1, size)
        sorted_points = points[order]
        low, high = sorted_points.min(1), sorted_points.max(1)
        return cls(order, np.ascontiguousarray(np.moveaxis(sorted_points, 2, 0)), low, high)


@dataclass(frozen=True)
class BoxTree:
    """Boxes around items and around groups of them, level by level; the children of node i are BRANCH * i and so on.

    Args:
        order: number of the item at each place of the lowest level.
        low: lower corners (nodes, dim) of each level, from items to the top.
        high: upper corners.
    """

    order: Array
    low: list[Array]
    high: list[Array]

    @classmethod
    def build(cls, low: Array, high: Array) -> "BoxTree":
        """Builds the tree over the boxes (items, dim) of items, at least one."""
        order = curve_order((low + high) / 2)
        lows, highs = [low[order]], [high[order]]
        while len(lows[-1]) > 4 * BRANCH:
            starts = np.arange(0, len(lows[-1]), BRANCH)
            lows, highs = (
                [*lows, np.minimum.reduceat(lows[-1], starts)],
                [*highs, np.maximum.reduceat(highs[-1], starts)],
            )
        return cls(order, lows, highs)

    def search(self, queries: int, keep: Callable[[Array, Array, Array], Array]) -> Iterator[tuple[Array, Array]]:
        """Yields (query, item) for all pairs that survive, for some queries in turn, sorted by query.

        Args:
            queries: how many queries there are.
            keep: called with queries and the corners (pairs, dim) of the boxes they meet; returns a mask.
        """
        top = len(self.low) - 1
        count = len(self.low[top])
        step = max(1, PAIRS // count)
        for first in range(0, queries, step):
            some = np.arange(first, min(first + step, queries))
            stack = [(top, np.repeat(some, count), np.tile(np.arange(count), len(some)))]
            while stack:
                level, query, node = stack.pop()
                if len(query) > 2 * PAIRS and query[0] != query[-1]:
                    half = int(np.searchsorted(query, query[len(query) // 2]))
                    half = half if half > 0 else int(np.searchsorted(query, query[0], side="right"))
                    stack += [(level, query[half:], node[half:]), (level, query[:half], node[:half])]
                    continue
                kept = np.flatnonzero(keep(query, self.low[level][node], self.high[level][node]))
                query, node = query[kept], node[kept]
                if not len(query):
                    continue
                if level == 0:
                    yield query, self.order[node]
                    continue
                children = np.minimum(BRANCH, len(self.low[level - 1]) - node * BRANCH)
                stack.append((level - 1, np.repeat(query, children), np.repeat(node * BRANCH, children) + ranges(children)))


def ranges(counts: Array) -> Array:
    """Returns 0..counts[0]-1, 0..counts[1]-1, and so on."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def starts_of(sorted_numbers: Array) -> Array:
    """Returns where each run of equal numbers begins."""
    if not len(sorted_numbers):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.concatenate([[True], sorted_numbers[1:] != sorted_numbers[:-1]]))


def spread_over(values: Array, starts: Array, total: int) -> Array:
    """Repeats one value for each run over the run."""
    return np.repeat(values, np.diff([*starts, total]))


def curve_order(points: Array) -> Array:
    """Returns the order of points along the Z-order curve through a cube of 2^16 cells on a side."""
    low = points.min(0)
    extent = float((points.max(0) - low).max()) or 1.0
    code = np.zeros(len(points), dtype=np.int64)
    dim = points.shape[1]
    for axis in range(dim):
        code |= _spread(((points[:, axis] - low[axis]) * (65535 / extent)).astype(np.int64), dim) << axis
    return np.argsort(code)


def _spread(v: Array, dim: int) -> Array:
    """Puts dim - 1 zeros between the 16 low bits."""
    steps = ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)) if dim == 2 else (
        (16, 0xFF0000FF), (8, 0xF00F00F00F), (4, 0xC30C30C30C3), (2, 0x249249249249)
    )  # fmt: skip
    for shift, mask in steps:
        v = (v | (v << shift)) & mask
    return v
