"""Graphs of samples: parts, radii that join bodies, and the edges of Delaunay."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops import ops
from geoops.geometry import (
    Cuboid,
    Gyroid,
    Sphere,
    Torus,
    choose_samples,
    components,
    connecting_radius,
    delaunay_graph,
    fill,
    sample_spacing,
)


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def parts(points, r):
    return len(components(ops.radius_graph(points, r), len(points)).unique())


def test_components_by_hand(device):
    edges = torch.tensor([[4, 1, 5], [2, 0, 2]], device=device)
    assert components(edges, 7).tolist() == [0, 0, 1, 2, 1, 1, 3]
    assert components(edges[:, :0], 2).tolist() == [0, 1]
    assert components(edges[:, :0], 0).shape == (0,)
    assert components(edges.int(), 7).dtype == torch.int64


@given(st.integers(0, 500), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_components_against_squaring(seed, n):
    source = torch.Generator().manual_seed(seed)
    edges = torch.randint(n, (2, n // 2), generator=source)
    reach = torch.eye(n)
    reach[edges[0], edges[1]] = reach[edges[1], edges[0]] = 1
    for _ in range(6):
        reach = (reach @ reach > 0).float()
    labels = components(edges, n)
    assert torch.equal(labels[:, None] == labels, reach > 0)


@pytest.mark.parametrize("edges", [[[0], [3]], [[-1], [0]]])
def test_edges_to_points_that_are_not_there(edges):
    with pytest.raises(ValueError, match="numbers from 0 to 2"):
        components(torch.tensor(edges), 3)


def test_spacing_of_samples():
    assert sample_spacing(2.0, 50, 2) == pytest.approx(0.2)
    assert sample_spacing(8.0, 1000, 3) == pytest.approx(0.2)
    for bad in ((0.0, 5, 2), (1.0, 0, 2), (1.0, 5, 4)):
        with pytest.raises(ValueError, match="expected a volume > 0"):
            sample_spacing(*bad)


@pytest.mark.parametrize(("dim", "degree"), [(2, None), (3, None), (2, 30.0)])
def test_degree_inside(dim, degree, dtype, device):
    points = fill(Cuboid(), 4000, centre=(0.5,) * dim).to(device, dtype)
    r = connecting_radius(points, sample_spacing(1.0, 4000, dim), degree=degree)
    inside = ((points > r) & (points < 1 - r)).all(1)
    # Of even points, the ball around one holds k with the point itself.
    neighbours = torch.bincount(ops.radius_graph(points, r, loop=True)[1], minlength=4000)[inside].double().mean()
    assert neighbours == pytest.approx(degree or {2: 12, 3: 20}[dim], rel=0.03)


def test_steps_of_ten_percent():
    """Two clusters at a distance: the least power of 1.1 that bridges the gap."""
    points = torch.cat([cloud(100, 2), cloud(100, 2) + torch.tensor([2.0, 0.0])])
    gap = torch.cdist(points[:100], points[100:]).min()
    first = 0.1 * math.sqrt(12 / math.pi)
    r = connecting_radius(points, 0.1)
    assert r == pytest.approx(first * 1.1 ** math.ceil(math.log(gap / first, 1.1)))
    assert parts(points, r) == 1
    assert connecting_radius(points, 0.1, body=torch.arange(200) // 100) == pytest.approx(first)
    assert connecting_radius(points[::2], 0.14, cloud=points) == pytest.approx(0.14 * math.sqrt(12 / math.pi))


def test_bodies_that_touch_do_not_join_each_other():
    """Two halves of a body are far from each other; the other body between them does not count."""
    line = torch.linspace(0, 1, 31)[:, None] * torch.tensor([1.0, 0.0])
    body = torch.ones(31, dtype=torch.int64)
    body[12:18] = 0
    assert connecting_radius(line, 0.02) < 0.06
    assert connecting_radius(line, 0.02, body=body) >= 7 / 30


@pytest.mark.parametrize("dim", [2, 3])
def test_few_samples(dim):
    points = cloud(dim + 2, dim)
    r = connecting_radius(points, sample_spacing(1.0, dim + 2, dim))
    assert parts(points, r) == 1
    assert connecting_radius(points[:1], 1.0) > 0


SHAPES = [
    (Sphere(), 2),
    (Torus(), 3),
    (Cuboid(), 2),
    (Cuboid(), 3),
    (Gyroid(), 3),
]


@pytest.mark.parametrize(("solid", "dim"), SHAPES)
@pytest.mark.parametrize("method", ["fps", "random", "boundary"])
def test_as_many_parts_at_all_ratios(solid, dim, method):
    """Samples of a shape hang together where all particles do, from all to one in 32; the radius does not grow much for it."""
    number = 3000
    points = fill(solid, number, centre=(0.0,) * dim)
    full = parts(points, connecting_radius(points, sample_spacing(solid.volume(dim), number, dim), cloud=points))
    assert full == 1 or isinstance(solid, Gyroid)
    for ratio in (1, 2, 4, 8, 16, 32):
        n = number // ratio
        chosen = points[choose_samples(points, n, method)]
        spacing = sample_spacing(solid.volume(dim), n, dim)
        r = connecting_radius(chosen, spacing, cloud=points, most=0.5)
        assert parts(chosen, r) <= full
        assert r / spacing <= {"fps": 2.0, "random": 3.0, "boundary": 3.0}[method]


def test_bad_radii(unchecked):
    apart = torch.cat([cloud(50, 2), cloud(50, 2) + 9])
    message = "disconnected graph at any affordable radius: up to 0.5, 100 points of 1 bodies at a spacing of 0.15 are in 2 parts"
    with pytest.raises(ValueError, match=message):
        connecting_radius(apart, 0.15, most=0.5)
    with pytest.raises(ValueError, match="disconnected graph at any affordable radius"):
        connecting_radius(cloud(4, 2), 1.0, most=0.5)
    with pytest.raises(ValueError, match="body of each of 100 points, got 3"):
        connecting_radius(apart, 0.1, body=torch.arange(3))
    for spacing, degree in ((0.0, 12.0), (math.inf, 12.0), (0.1, 0.0)):
        with pytest.raises(ValueError, match="expected a spacing > 0 and a degree > 0"):
            connecting_radius(apart, spacing, degree=degree)
    for shape in ((0, 2), (5, 4)):
        with pytest.raises(ValueError, match="at least one point in 2 or 3 dimensions"):
            connecting_radius(torch.rand(shape), 0.1)


@pytest.mark.parametrize("dim", [2, 3])
def test_all_edges_of_a_simplex_both_ways(dim, dtype, device):
    """Regression: edges once from low to high numbers, and in 3D between three of four corners only."""
    corners = torch.cat([torch.zeros(1, dim), torch.eye(dim)]).to(device, dtype)
    edges = delaunay_graph(corners)
    assert edges.T.tolist() == [[a, b] for b in range(dim + 1) for a in range(dim + 1) if a != b]


@given(st.integers(0, 500), st.integers(0, 40), st.sampled_from([2, 3]))
@settings(max_examples=40, deadline=None)
def test_delaunay_is_symmetric_and_joins_all(seed, n, dim):
    edges = delaunay_graph(cloud(n, dim, seed))
    pairs = set(map(tuple, edges.T.tolist()))
    assert len(pairs) == edges.shape[1]
    assert pairs == {(b, a) for a, b in pairs}
    assert all(a != b for a, b in pairs)
    assert len(components(edges, n).unique()) == min(n, 1)
    looped = delaunay_graph(cloud(n, dim, seed), loop=True)
    assert set(map(tuple, looped.T.tolist())) == pairs | {(i, i) for i in range(n)}
    if dim == 2 and n > 3:
        # Every point is joined with its nearest, and a plane graph has at most 3 n - 6 edges.
        near = ops.knn_graph(cloud(n, dim, seed), 1)
        assert pairs >= set(map(tuple, near.T.tolist()))
        assert len(pairs) / 2 <= 3 * n - 6


def test_longest_edge():
    points = cloud(60, 2)
    edges = delaunay_graph(points)
    length = (points[edges[0]] - points[edges[1]]).norm(dim=1)
    assert torch.equal(delaunay_graph(points, longest=0.2), edges[:, length <= 0.2])


def test_points_upon_points():
    points = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [1, 1]])
    assert len(components(delaunay_graph(points), 5).unique()) == 1


def test_bad_points():
    with pytest.raises(ValueError, match="all 5 points are in one line"):
        delaunay_graph(torch.arange(10.0).view(5, 2))
    flat = cloud(9, 3)
    flat[:, 2] = 0
    with pytest.raises(ValueError, match="all 9 points are in one plane"):
        delaunay_graph(flat)
    with pytest.raises(ValueError, match="in 2 or 3 dimensions, got 1"):
        delaunay_graph(torch.rand(5, 1))
    with pytest.raises(ValueError, match="NaN or infinite"):
        delaunay_graph(torch.full((5, 2), torch.inf))
