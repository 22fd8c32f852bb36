import math

import numpy as np
import pytest
import torch

from geoops.geometry import Facets, Outline, signed_distance
from geoops.testing import observed_rate

HALF = np.array([0.5])


def loop(points):
    n = len(points)
    index = torch.stack([torch.arange(n), torch.arange(1, n + 1) % n], 1)
    return Facets.from_index(points, index)


def circle(n, radius=1.0, start=0.0):
    angle = start + torch.arange(n).double() * 2 * math.pi / n
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def square(n):
    side = torch.arange(n).double() / n
    zero, one = torch.zeros(n).double(), torch.ones(n).double()
    return torch.cat([torch.stack(p, 1) for p in ((side, zero), (one, side), (1 - side, one), (zero, 1 - side))])


def test_a_coarse_and_a_fine_mesh_have_nearly_the_same_pieces():
    """Positions and normals of the pieces differ by the error of the curves, not of the chords."""
    coarse, fine = (Outline.of(loop(circle(n))).divide(0.2, HALF) for n in (24, 192))
    assert coarse.pos.shape == fine.pos.shape == (1, 31, 2)
    chord_error = 1 - math.cos(math.pi / 24)
    assert float((coarse.pos - fine.pos).abs().max()) < 0.05 * chord_error
    assert float((coarse.normal - fine.normal).abs().max()) < 2e-3


def test_curves_converge_faster_than_chords():
    sizes = [16, 32, 64, 128]

    def error(facets):
        return float((facets.pos.norm(dim=1) - 1).abs().max())

    outlines = [Outline.of(loop(circle(n) * torch.tensor([1.0, 1.0]))) for n in sizes]
    off = [
        float(np.abs(np.linalg.norm(o.at(np.arange(n), np.full(n, 0.3)), axis=1) - 1).max())
        for o, n in zip(outlines, sizes, strict=True)
    ]
    assert observed_rate([1 / n for n in sizes], off) > 2.9
    assert error(outlines[1].refined()) < error(loop(circle(32))) / 4


def test_refined_loops_stay_closed_and_keep_their_vertices():
    facets = loop(circle(12))
    refined = Outline.of(facets).refined()
    assert len(refined) > len(facets)
    assert sorted(refined.index[:, 0].tolist()) == sorted(refined.index[:, 1].tolist())
    assert torch.equal(refined.points[:, 1], refined.points.roll(-1, 0)[:, 0])
    assert (signed_distance(refined, circle(12)) == 0).all()
    assert set(refined.cell.tolist()) == set(range(12))


def test_straight_lines_and_corners_stay():
    outline = Outline.of(loop(square(5)))
    assert [len(path.segments) for path in outline.paths] == [5] * 4
    assert len(outline.refined()) == 20
    pieces = outline.divide(0.25, HALF)
    assert pieces.pos.shape == (1, 20, 2)
    on_edge = torch.minimum(pieces.pos[0], 1 - pieces.pos[0]).amin(1)
    assert float(on_edge.abs().max()) < 1e-12
    assert set(map(tuple, pieces.normal[0].round(decimals=9).tolist())) == {(0, -1), (1, 0), (0, 1), (-1, 0)}


def test_phases_move_the_cuts_and_keep_length_and_number():
    points = torch.cat([square(8), 0.5 + circle(20, -0.2)])
    index = torch.cat([torch.arange(52), torch.arange(1, 33) % 32, 32 + torch.arange(1, 21) % 20]).view(2, -1).T
    outline = Outline.of(Facets.from_index(points, index))
    phases = np.array([0.1, 0.5, 0.9])
    pieces = outline.divide(0.2, phases)
    assert pieces.pos.shape[0] == 3
    total = pieces.size.sum((1, 2))
    torch.testing.assert_close(total, total[:1].expand(3))
    assert float(total[0]) >= outline.length - 1e-6
    assert float((pieces.pos[0] - pieces.pos[1]).norm(dim=1).max()) > 0.01
    torch.testing.assert_close(pieces.weight.sum(-1), torch.ones_like(pieces.weight[..., 0]))
    # The weights say where between two nodes of the mesh a piece lies.
    between = (points[pieces.index] * pieces.weight[..., None]).sum(2)
    assert float((between - pieces.pos).norm(dim=-1).max()) < 0.01


def test_one_segment_alone_is_one_piece():
    facets = Facets.from_index(torch.tensor([[0.0, 0], [1, 0]]).double(), torch.tensor([[0, 1]]))
    pieces = Outline.of(facets).divide(5.0, HALF)
    assert float(pieces.size.sum()) == 1
    torch.testing.assert_close(pieces.normal[0, 0], torch.tensor([0.0, -1.0]).double())


def test_touching_loops_are_not_joined_across_their_common_point():
    """Where two segments leave a point there is no telling which follows."""
    points = torch.tensor([[0.0, 0], [1, 0], [1, 1], [-1, 0], [-1, -1]]).double()
    index = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 3], [3, 4], [4, 0]])
    outline = Outline.of(Facets.from_index(points, index))
    assert all(not path.closed for path in outline.paths)
    assert sum(len(path.segments) for path in outline.paths) == 6


def test_a_boundary_without_segments_has_no_pieces():
    facets = Facets.from_index(torch.zeros(0, 2), torch.zeros(0, 2, dtype=torch.int64))
    outline = Outline.of(facets)
    assert len(outline.refined()) == 0
    assert outline.divide(0.1, HALF).pos.shape == (1, 0, 2)


def test_facets_in_space_are_refused():
    with pytest.raises(ValueError, match="segments in the plane"):
        Outline.of(Facets.from_index(torch.eye(3), torch.tensor([[0, 1, 2]])))


def test_pieces_need_a_length():
    with pytest.raises(ValueError, match="positive length"):
        Outline.of(loop(circle(5))).divide(0.0, HALF)


def test_points_that_coincide_do_no_harm():
    points = circle(12)
    points = torch.cat([points[:5], points[4:5], points[5:]])
    outline = Outline.of(loop(points))
    pieces = outline.divide(0.3, HALF)
    assert all(bool(part.isfinite().all()) for part in (pieces.pos, pieces.normal, pieces.size))
    assert outline.refined().points.isfinite().all()
