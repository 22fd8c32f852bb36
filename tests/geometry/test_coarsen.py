import math

import pytest
import torch

from geoops.geometry import Facets, merge_segments


def loop(points):
    n = len(points)
    index = torch.stack([torch.arange(n), torch.arange(1, n + 1) % n], 1)
    return Facets.from_index(points, index)


def circle(n, radius=1.0):
    angle = torch.arange(n).double() * 2 * math.pi / n
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def square(n):
    side = torch.arange(n).double() / n
    zero, one = torch.zeros(n).double(), torch.ones(n).double()
    return torch.cat([torch.stack(p, 1) for p in ((side, zero), (one, side), (1 - side, one), (zero, 1 - side))])


def test_a_circle_of_four_times_as_many_segments_becomes_the_coarse_one():
    coarse, fine = loop(circle(24)), loop(circle(96))
    merged = merge_segments(fine, 1.1 * float(coarse.size[0, 0]))
    assert len(merged) == 24
    torch.testing.assert_close(merged.points, coarse.points)
    torch.testing.assert_close(merged.normal, coarse.normal)
    torch.testing.assert_close(merged.size, coarse.size)
    assert merged.index.tolist() == [[4 * i, 4 * (i + 1) % 96] for i in range(24)]


def test_corners_stay_and_the_loop_stays_closed():
    merged = merge_segments(loop(square(10)), 0.35)
    starts, ends = merged.points[:, 0], merged.points[:, 1]
    for corner in ([0, 0], [1, 0], [1, 1], [0, 1]):
        assert (starts == torch.tensor(corner)).all(1).any()
    assert sorted(map(tuple, starts.tolist())) == sorted(map(tuple, ends.tolist()))
    assert float(merged.size.sum()) == pytest.approx(4)
    assert float(merged.size.max()) <= 0.35


def test_coarse_boundaries_come_back_as_they_are():
    facets = loop(circle(24))
    assert merge_segments(facets, 1.5 * float(facets.size[0, 0])) is facets
    assert merge_segments(facets, 0.0) is facets


def test_touching_loops_are_not_joined_across_their_common_point():
    """Where two segments leave a point there is no telling which follows."""
    points = torch.tensor([[0.0, 0], [1, 0], [1, 1], [-1, 0], [-1, -1]]).double()
    index = torch.tensor([[0, 1], [1, 2], [2, 0], [0, 3], [3, 4], [4, 0]])
    merged = merge_segments(Facets.from_index(points, index), 10.0, turn=180.0)
    assert merged.index.tolist() == [[0, 2], [2, 0], [0, 4], [4, 0]]


def test_facets_in_space_come_back_as_they_are():
    facets = Facets.from_index(torch.eye(3), torch.tensor([[0, 1, 2]]))
    assert merge_segments(facets, 10.0) is facets
