"""Farthest points and spacings."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.geometry import farthest_points, point_spacing


def cloud(seed, count, dim):
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(0, 1000), st.integers(1, 60), st.sampled_from([2, 3]), st.data())
@settings(max_examples=40, deadline=None)
def test_farthest_points_cover(seed, count, dim, data):
    points = cloud(seed, count, dim)
    n, start = data.draw(st.integers(1, count)), data.draw(st.integers(0, count - 1))
    chosen = farthest_points(points, n, start)
    assert chosen[0] == start
    assert len(chosen.unique()) == n
    assert torch.equal(chosen, farthest_points(points, n, start))
    # A longer choice begins with the shorter one.
    assert torch.equal(farthest_points(points, count, start)[:n], chosen)
    if n > 1:
        between = torch.cdist(points[chosen], points[chosen]) + torch.eye(n) * 1e9
        cover = torch.cdist(points, points[chosen]).amin(1).max()
        assert cover <= between.min() + 1e-12
        last = torch.cdist(points[chosen[-1:]], points[chosen[:-1]]).min()
        assert last >= cover - 1e-12


def test_farthest_points_move_with_the_points():
    points = cloud(0, 50, 2)
    assert torch.equal(farthest_points(points, 9), farthest_points(points * 3 + 7, 9))


def test_ties_and_repeated_points():
    assert farthest_points(torch.zeros(4, 2), 4).tolist() == [0, 1, 2, 3]
    corners = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    assert farthest_points(corners, 3).tolist() == [0, 3, 1]


@pytest.mark.parametrize(
    ("n", "start", "message"),
    [(0, 0, "between 1 and"), (6, 0, "between 1 and"), (1, 5, "start must"), (1, -1, "start must")],
)
def test_bad_arguments(n, start, message):
    with pytest.raises(ValueError, match=message):
        farthest_points(torch.rand(5, 2), n, start)


def test_spacing():
    points = cloud(3, 200, 3)
    expected = (torch.cdist(points, points) + torch.eye(200) * 1e9).amin(1)
    assert torch.allclose(point_spacing(points), expected)
    assert point_spacing(points.float()).dtype == torch.float32
    assert point_spacing(torch.zeros(1, 2)).tolist() == [float("inf")]
    assert point_spacing(torch.zeros(3, 2)).tolist() == [0, 0, 0]
