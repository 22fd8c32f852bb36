"""Boundaries as coarse as those that a network was trained on."""

import math

import torch

from ._boundary import Facets


def merge_segments(facets: Facets, length: float, turn: float = 30.0) -> Facets:
    """Joins neighbouring segments of a planar boundary to chords that span at most `length` of it, without cutting corners.

    A finer mesh of a shape then has a boundary like that of a coarse one: chords between points on the same curve. Facets in
    space, and segments that are long enough already, come back as they are.

    Args:
        facets: the boundary; in the plane each segment goes from its first corner to its second.
        length: longest piece of the boundary that a chord may span.
        turn: degrees between neighbouring segments from which their common point is a corner and stays.
    """
    if facets.points.shape[-1] != 2 or length <= 0 or not len(facets) or float(facets.size.min()) * 2 > length:
        return facets
    start, end = (facets.index[:, i].tolist() for i in (0, 1))
    after = _following(start, end)
    follower = torch.tensor([i if f is None else f for i, f in enumerate(after)])
    smooth = ((facets.normal * facets.normal[follower]).sum(1) > math.cos(math.radians(turn))).tolist()
    size = facets.size.flatten().double().tolist()

    chords: list[tuple[int, int]] = []
    for path in _paths(after, smooth):
        first, reach = path[0], size[path[0]]
        for facet, following in zip(path, [*path[1:], None], strict=True):
            reach += size[following] if following is not None else 0.0
            # A loop must not shrink to a point.
            if following is None or reach > length or end[following] == start[first]:
                chords.append((first, facet))
                first, reach = following, size[following] if following is not None else 0.0
    return _join(facets, chords)


def _following(start: list[int], end: list[int]) -> list[int | None]:
    """Returns the segment that begins where each one ends; None where there is none or a choice."""
    leaving: dict[int, list[int]] = {}
    for facet, node in enumerate(start):
        leaving.setdefault(node, []).append(facet)
    return [found[0] if len(found := leaving.get(node, [])) == 1 else None for node in end]


def _paths(after: list[int | None], smooth: list[bool]) -> list[list[int]]:
    """Returns runs of segments between corners; a loop without corners begins at its first segment."""
    links = {facet: nxt for facet, nxt in enumerate(after) if nxt is not None and smooth[facet]}
    begins = sorted(set(range(len(after))) - set(links.values()))
    seen: set[int] = set()
    paths = []
    for begin in [*begins, *range(len(after))]:
        path, facet = [], begin
        while facet is not None and facet not in seen:
            seen.add(facet)
            path.append(facet)
            facet = links.get(facet)
        if path:
            paths.append(path)
    return paths


def _join(facets: Facets, chords: list[tuple[int, int]]) -> Facets:
    first, last = torch.tensor(chords).T
    points = torch.stack([facets.points[first, 0], facets.points[last, 1]], 1)
    index = torch.stack([facets.index[first, 0], facets.index[last, 1]], 1)
    place = torch.arange(2 * len(chords)).view(-1, 2)
    measured = Facets.from_index(points.flatten(0, 1), place)
    return Facets(points, index, measured.pos, measured.normal, measured.size, facets.cell[first])
