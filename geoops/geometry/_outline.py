"""The boundary of a planar shape as smooth curves between corners, whatever the mesh that drew it."""

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._boundary import Facets

#: Pieces of a segment's curve from which lengths are measured.
FINE = 8
#: Degrees between neighbouring segments from which their common point is a corner.
CORNER = 30.0
#: Largest rise of a curve above the chords that stand for it, over the length of its segment.
RISE = 0.0025

Array = np.ndarray


class Pieces(NamedTuple):
    """A boundary in pieces, once for each phase: middles, unit normals, measures, and the nodes that they lie between.

    A field of the nodes has the value `(field[index] * weight[..., None]).sum(-2)` on the pieces.
    """

    pos: Float[Tensor, "phases pieces dim"]
    normal: Float[Tensor, "phases pieces dim"]
    size: Float[Tensor, "phases pieces 1"]
    index: Int[Tensor, "phases pieces corners"]
    weight: Float[Tensor, "phases pieces corners"]


class _Path(NamedTuple):
    segments: Array
    closed: bool


@final
@dataclass(frozen=True, eq=False)
class Outline:
    r"""Curves through the vertices of a planar boundary: cubic between neighbours, smooth between corners.

    The curve of segment i is the cubic Hermite polynomial through its ends whose tangent at a vertex is that of the parabola
    through the vertex and its two neighbours,

    $$T = \frac{l_i\, \delta_{i-1} + l_{i-1}\, \delta_i}{l_{i-1} + l_i}$$

    with lengths $l$ and directions $\delta$ of the segments that meet there. Where they turn by more than 30 degrees, or where
    more than two meet, is a corner, which stays. Straight lines stay straight; the distance from a smooth curve falls with
    the third power of the spacing, so that a coarse and a fine mesh of one shape have nearly the same outline.

    Args:
        facets: the boundary, segments from their first corner to their second.
        slopes: derivatives of each segment's curve at its two ends, by the parameter that runs from 0 to 1.
        paths: runs of segments between corners.
    """

    facets: Facets
    slopes: Float[Array, "segments 2 2"]
    paths: tuple[_Path, ...]

    @classmethod
    def of(cls, facets: Facets) -> "Outline":
        """Finds corners and curves.

        Raises:
            ValueError: the facets do not lie in the plane.
        """
        if facets.points.shape[1:] != (2, 2):
            raise ValueError(f"an outline is made of segments in the plane, got {facets}")
        corners = facets.points.detach().double().numpy()
        chord = corners[:, 1] - corners[:, 0]
        length = np.linalg.norm(chord, axis=1)
        way = chord / np.maximum(length, 1e-300)[:, None]
        paths = tuple(_paths(facets.index.numpy(), way))
        slopes = np.stack([chord, chord], 1)
        for segments, closed in paths:
            if len(segments) > 1:
                tangent = _tangents(way[segments], length[segments], closed)
                slopes[segments, 0] = tangent[:-1] * length[segments, None]
                slopes[segments, 1] = tangent[1:] * length[segments, None]
        return cls(facets, slopes, paths)

    @property
    def length(self) -> float:
        """Length of the chords."""
        return float(self.facets.size.double().sum())

    def at(self, segments: Int[Array, " n"], t: Float[Array, " n"]) -> Float[Array, "n 2"]:
        """Returns points of the curves of segments at parameters in [0, 1]."""
        ends = self.facets.points.detach().double().numpy()[segments]
        t = t[:, None]
        s = 1 - t
        slopes = self.slopes[segments]
        # Bernstein form: exact at both ends.
        near, far = ends[:, 0] + slopes[:, 0] / 3, ends[:, 1] - slopes[:, 1] / 3
        return s**3 * ends[:, 0] + 3 * s * s * t * near + 3 * s * t * t * far + t**3 * ends[:, 1]

    def refined(self) -> Facets:
        """Returns chords of the curves, as many as it takes to rise less than 1/400 of a segment above them."""
        if not len(self.facets):
            return self.facets
        chord = (self.facets.points[:, 1] - self.facets.points[:, 0]).detach().double().numpy()
        bend = np.abs(self.slopes - chord[:, None]).max((1, 2)) / np.maximum(np.linalg.norm(chord, axis=1), 1e-300)
        # A parabola with slopes c - b and c + b at its ends rises by b/4 above its chord.
        pieces = np.ceil(np.sqrt(bend / (4 * RISE))).clip(1, 64).astype(int)
        segments = np.repeat(np.arange(len(pieces)), pieces)
        step = np.arange(len(segments)) - np.repeat(pieces.cumsum() - pieces, pieces)
        count = pieces[segments]
        ends = np.stack([self.at(segments, step / count), self.at(segments, (step + 1) / count)], 1)
        points = torch.from_numpy(ends).to(self.facets.points.dtype)
        # Ends that are vertices keep their digits, so that loops stay closed.
        points[step == 0, 0] = self.facets.points[segments[step == 0], 0]
        points[step + 1 == count, 1] = self.facets.points[segments[step + 1 == count], 1]
        index = torch.from_numpy(_numbered(self.facets.index.numpy(), segments, step, count))
        measured = Facets.from_index(points.flatten(0, 1), torch.arange(2 * len(points)).view(-1, 2))
        cell = self.facets.cell[torch.from_numpy(segments)]
        return Facets(points, index, measured.pos, measured.normal, measured.size, cell)

    def divide(self, length: float, phases: Float[Array, " phases"]) -> Pieces:
        """Divides each path into pieces of equal length, `length` as nearly as possible.

        Args:
            length: of a piece.
            phases: in (0, 1). Pieces end at (i + phase) / n of a path, whose ends cut off two shorter pieces unless it is
                a loop. All phases give the same number of pieces.

        Raises:
            ValueError: the length is not positive.
        """
        if not length > 0:
            raise ValueError(f"pieces of an outline need a positive length, got {length}: the boundary may have no extent")
        parts = [self._divide(path, length, phases) for path in self.paths]
        empty = [np.zeros((len(phases), 0, 2)), np.zeros((len(phases), 0, 2)), np.zeros((len(phases), 0))]
        parts.append((*empty, np.zeros((len(phases), 0), int), np.zeros((len(phases), 0))))
        pos, normal, size, segment, t = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
        dtype = self.facets.points.dtype
        return Pieces(
            torch.from_numpy(pos).to(dtype),
            torch.from_numpy(normal).to(dtype),
            torch.from_numpy(size[..., None]).to(dtype),
            self.facets.index[torch.from_numpy(segment)],
            torch.from_numpy(np.stack([1 - t, t], -1)).to(dtype),
        )

    def _divide(self, path: _Path, length: float, phases: Array) -> tuple[Array, ...]:
        segments = path.segments
        owner = np.repeat(np.arange(len(segments)), FINE)
        t = np.tile(np.arange(FINE) / FINE, len(segments))
        fine = np.concatenate([self.at(segments[owner], t), self.at(segments[-1:], np.ones(1))])
        step = np.linalg.norm(np.diff(fine, axis=0), axis=1)
        way = np.concatenate([[0.0], step.cumsum()])
        total = way[-1]
        count = max(round(total / length), 3 if path.closed else 1)
        breaks = (phases[:, None] + np.arange(count)) / count
        if path.closed:
            breaks = np.concatenate([breaks, breaks[:, :1] + 1], 1)
        else:
            breaks = np.concatenate([np.zeros((len(phases), 1)), breaks, np.ones((len(phases), 1))], 1)
        breaks = breaks * total

        def place(s: Array) -> tuple[Array, Array]:
            s = np.where(s > total, s - total, s)
            i = np.clip(np.searchsorted(way, s, side="right") - 1, 0, len(step) - 1)
            part = np.clip((s - way[i]) / np.maximum(step[i], 1e-300), 0, 1)
            return owner[i], t[i] + part / FINE

        def points(s: Array) -> Array:
            i, u = place(s)
            return self.at(segments[i.ravel()], u.ravel()).reshape(*s.shape, 2)

        middle = (breaks[:, 1:] + breaks[:, :-1]) / 2
        corner = points(breaks)
        chord = np.diff(corner, axis=1)
        normal = np.stack([chord[..., 1], -chord[..., 0]], -1)
        normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
        which, u = place(middle)
        return points(middle), normal, np.diff(breaks, axis=1), segments[which], u


def _tangents(way: Array, length: Array, closed: bool) -> Array:
    """Returns unit-speed tangents at the n + 1 vertices of n segments."""
    if closed:
        before, step = np.roll(way, 1, 0), np.roll(length, 1)
        inner = (length[:, None] * before + step[:, None] * way) / (step + length)[:, None]
        return np.concatenate([inner, inner[:1]])
    inner = (length[1:, None] * way[:-1] + length[:-1, None] * way[1:]) / (length[:-1] + length[1:])[:, None]
    return np.concatenate([2 * way[:1] - inner[:1], inner, 2 * way[-1:] - inner[-1:]])


def _paths(index: Array, way: Array) -> list[_Path]:
    """Returns runs of segments between corners; a loop without corners begins at its first segment."""
    leaving: dict[int, list[int]] = {}
    entering: dict[int, int] = {}
    for segment, (start, end) in enumerate(index.tolist()):
        leaving.setdefault(start, []).append(segment)
        entering[end] = entering.get(end, 0) + 1
    after: dict[int, int] = {}
    for segment, end in enumerate(index[:, 1].tolist()):
        found = leaving.get(end, [])
        if len(found) == 1 and entering[end] == 1 and way[segment] @ way[found[0]] > math.cos(math.radians(CORNER)):
            after[segment] = found[0]
    begins = sorted(set(range(len(index))) - set(after.values()))
    seen: set[int] = set()
    paths = []
    for begin in [*begins, *range(len(index))]:
        path, segment = [], begin
        while segment is not None and segment not in seen:
            seen.add(segment)
            path.append(segment)
            segment = after.get(segment)
        if path:
            paths.append(_Path(np.array(path), closed=segment == begin))
    return paths


def _numbered(index: Array, segments: Array, step: Array, count: Array) -> Array:
    """Returns node numbers of the ends of pieces; those between vertices get numbers that no vertex has."""
    inner = step + 1 < count
    fresh = index.max() + 1 + np.cumsum(inner) - 1
    end = np.where(inner, fresh, index[segments, 1])
    start = np.where(step > 0, np.roll(end, 1), index[segments, 0])
    return np.stack([start, end], 1)
