"""Polygons into triangles."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def fan_or_ears(loop: Int[Tensor, "cells nodes"], points: Float[Tensor, "all dim"]) -> Int[Tensor, "cells triangles 3"]:
    """Splits polygons of one size into triangles that keep their sense of turn.

    Convex polygons become the fan about their first node; others are cut ear by ear.
    """
    count = loop.shape[1]
    if count < 3:
        raise ValueError(f"a polygon needs at least 3 nodes, got one with {count}")
    middle = loop[:, 1:]
    fan = torch.stack([loop[:, :1].expand(-1, count - 2), middle[:, :-1], middle[:, 1:]], 2)
    if count == 3 or not len(loop):
        return fan
    areas = _area_vectors(points[fan].to(torch.float64))
    whole = areas.sum(1, keepdim=True)
    folded = ((areas * whole).sum(2) < 0).any(1)
    for i in folded.nonzero().flatten().tolist():
        fan[i] = loop[i][_cut_ears(points[loop[i]].to(torch.float64))]
    return fan


def _area_vectors(corners: Tensor) -> Tensor:
    u, v = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    if corners.shape[-1] == 2:
        return (u[..., :1] * v[..., 1:] - u[..., 1:] * v[..., :1]) / 2
    return torch.linalg.cross(u, v) / 2


def _cut_ears(corners: Tensor) -> Tensor:
    """Ear clipping of one simple polygon; the cut with the roundest ear first keeps slivers away."""
    ring = list(range(len(corners)))
    fan = torch.stack([corners[:1].expand(len(ring) - 2, -1), corners[1:-1], corners[2:]], 1)
    whole = _area_vectors(fan).sum(0)
    unit = whole / whole.norm().clamp_min(1e-300)

    def turn(a: int, b: int, c: int) -> float:
        return float(_area_vectors(corners[[a, b, c]]) @ unit)

    cut = []
    while len(ring) > 3:
        best, quality = None, 0.0
        for i in range(len(ring)):
            a, b, c = ring[i - 1], ring[i], ring[(i + 1) % len(ring)]
            area = turn(a, b, c)
            if area <= 0:
                continue
            others = [p for p in ring if p not in (a, b, c)]
            if any(turn(a, b, p) >= 0 and turn(b, c, p) >= 0 and turn(c, a, p) >= 0 for p in others):
                continue
            sides = sum(float((corners[p] - corners[q]).square().sum()) for p, q in ((a, b), (b, c), (c, a)))
            if area / sides > quality:
                best, quality = i, area / sides
        # A polygon that crosses itself has no ear: any cut is as good.
        best = 1 if best is None else best
        cut.append((ring[best - 1], ring[best], ring[(best + 1) % len(ring)]))
        ring.pop(best)
    return torch.tensor([*cut, tuple(ring)])
