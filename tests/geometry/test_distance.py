"""Signed distances against formulas, brute force and motions."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geoops.ops
from geoops.geometry import Cells, Facets, Mesh, PointCloud, boundary_facets, closest_points, distance, signed_distance
from geoops.geometry._nearest import nearest, search, squared_distance, weights
from geoops.geometry._winding import winding_2d, winding_3d


def uniform(count, dim, scale=2.0, seed=0):
    return (torch.rand(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5) * 2 * scale


def box_distance(p, half):
    q = (p - half).abs() - half
    return q.clamp_min(0).norm(dim=1) + q.amax(1).clamp_max(0)


def test_square_is_exact(make):
    p = uniform(4000, 2)
    assert torch.allclose(signed_distance(make.square(4), p), box_distance(p, 0.5), atol=1e-14)


def test_cube_is_exact(make):
    p = uniform(3000, 3)
    assert torch.allclose(signed_distance(make.cube(2), p), box_distance(p, 0.5), atol=1e-14)


def test_points_of_the_lattice_itself(make):
    for mesh in (make.square(4), make.cube(3)):
        found = signed_distance(mesh, mesh.points)
        assert torch.allclose(found, box_distance(mesh.points, 0.5), atol=1e-15)
        on = (mesh.points == 0).any(1) | (mesh.points == 1).any(1)
        assert (found[on] == 0).all()


def test_ring_converges_at_second_order(make):
    p = uniform(2000, 2, 2.5)
    r = p.norm(dim=1)
    exact = torch.maximum(r - 2, 1 - r)
    errors = [(signed_distance(make.ring(n, 2.0, 1.0), p) - exact).abs().max().item() for n in (16, 32, 64)]
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert rates == pytest.approx([2, 2], abs=0.1)


def test_sphere_converges_at_second_order(make):
    p = uniform(500, 3, 1.5)
    exact = p.norm(dim=1) - 1
    errors = [(signed_distance(make.sphere(level), p) - exact).abs().max().item() for level in (1, 2, 3)]
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert rates == pytest.approx([2, 2], abs=0.35)


def test_several_outlines_with_voids_and_islands(make):
    parts = [(2.0, 1.0, (0.0, 0.0)), (0.5, 0.2, (0.0, 0.0)), (1.0, 0.3, (4.0, 1.0))]
    points, blocks, start = [], [], 0
    for outer, inner, centre in parts:
        ring = make.ring(40, outer, inner)
        points.append(ring.points + torch.tensor(centre, dtype=torch.float64))
        blocks += [(name, nodes + start) for name, nodes in ring.cells.blocks()]
        start += len(ring)
    mesh = Mesh(torch.cat(points), Cells.from_blocks(blocks))
    p = uniform(3000, 2, 5)
    inside = torch.zeros(len(p), dtype=torch.bool)
    unsure = torch.zeros(len(p), dtype=torch.bool)
    for outer, inner, centre in parts:
        r = (p - torch.tensor(centre, dtype=torch.float64)).norm(dim=1)
        inside |= (r < outer) & (r > inner)
        unsure |= ((r - outer).abs() < 0.02) | ((r - inner).abs() < 0.02)
    assert torch.equal((signed_distance(mesh, p) < 0)[~unsure], inside[~unsure])


@given(st.integers(0, 10**6), st.floats(0, 2 * math.pi), st.tuples(st.floats(-10, 10), st.floats(-10, 10)))
@settings(max_examples=20, deadline=None)
def test_motions_change_nothing(seed, angle, shift):
    generator = torch.Generator().manual_seed(seed)
    radius = 0.5 + torch.rand(11, generator=generator, dtype=torch.float64)
    at = torch.arange(11, dtype=torch.float64) * (2 * math.pi / 11)
    points = torch.stack([radius * at.cos(), radius * at.sin()], 1)
    cells = Cells.from_blocks({"polygon": torch.arange(11)[None]})
    p = uniform(200, 2, 2, seed)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    before = signed_distance(Mesh(points, cells), p)
    after = signed_distance(Mesh(points @ turn.T + torch.tensor(shift), cells), p @ turn.T + torch.tensor(shift))
    assert torch.allclose(before, after, atol=1e-12)
    # Distances never change faster than one moves.
    assert ((before[1:] - before[:-1]).abs() <= (p[1:] - p[:-1]).norm(dim=1) + 1e-12).all()


@given(
    st.integers(0, 10**6),
    st.sampled_from([(2, 2), (2, 3), (3, 3)]),
    st.integers(1, 60),
    st.integers(1, 3000),
    st.sampled_from([0.02, 0.3, 3.0]),
)
@settings(max_examples=40, deadline=None)
def test_nearest_equals_brute_force(seed, shape, items, queries, size):
    rng = np.random.default_rng(seed)
    count, dim = shape
    corners = rng.normal(size=(items, 1, dim)) + size * rng.normal(size=(items, count, dim))
    # Points without extent and repeated points occur in real files.
    corners[: items // 5] = corners[: items // 5, :1]
    points = np.concatenate([rng.normal(size=(queries, dim)) * 2, corners.reshape(-1, dim)])
    index, squared = nearest(corners, points)
    found = search(corners, points)
    assert np.array_equal(index, found[0])
    assert np.array_equal(squared, found[1])
    parts = [corners[:, i, j] for i in range(count) for j in range(dim)]
    brute = np.stack([squared_distance(parts, [np.full(items, x) for x in p]).min() for p in points])
    assert np.allclose(squared, brute, rtol=1e-10, atol=1e-25)
    own = squared_distance([p[index] for p in parts], list(points.T))
    assert np.allclose(own, brute, rtol=1e-10, atol=1e-25)
    assert (squared[queries:] == 0).all()
    weight = weights(corners[index], points)
    assert weight.min() >= 0
    assert np.allclose(weight.sum(1), 1)
    foot = (weight[:, :, None] * corners[index]).sum(1)
    assert np.allclose(((points - foot) ** 2).sum(1), brute, rtol=1e-6, atol=1e-12)


def test_of_facets_at_the_same_distance_the_first_counts():
    corner = np.array([[[0.0, 0], [1, 0]], [[0, 0], [0, 1]], [[-1, 0], [0, 0]], [[0, -1], [0, 0]]])
    many = np.tile(corner, (20, 1, 1))
    points = np.array([[-0.0, 0.0], [0.3, 0.3], [-0.3, -0.3]])
    for way in (nearest, search):
        assert way(many, points)[0].tolist() == [0, 0, 2]


@pytest.mark.parametrize("corners", [2, 3])
@pytest.mark.parametrize("dim", [2, 3])
def test_every_device_finds_the_same_facets(device, corners, dim):
    if geoops.ops.info().cpu != "native" or (device.type == "cuda" and geoops.ops.info().cuda != "native"):
        pytest.skip("the native library is not built")
    facets, points = uniform(500 * corners, dim).view(500, corners, dim), uniform(3000, dim)
    op = torch.ops.geoops.nearest_facet.default
    for there, here in zip(op(facets.to(device), points.to(device)), op(facets, points), strict=True):
        assert torch.equal(there.cpu(), here)


def test_nearest_passes_opcheck_and_states_what_it_expects():
    op = torch.ops.geoops.nearest_facet.default
    corners, points = uniform(20, 2).view(10, 2, 2), uniform(7, 2)
    torch.library.opcheck(op, (corners, points))
    torch.library.opcheck(op, (corners[:0], points[:0]))
    assert [part.shape for part in op(corners, points[:0])] == [(0,), (0,)]
    if geoops.ops.info().cpu != "native":
        pytest.skip("the native library is not built")
    wrong = {
        "there are no facets": (corners[:0], points),
        "expected float64, got Float": (corners.float(), points),
        "points have 3 coordinates, corners have 2": (corners, uniform(7, 3)),
        "expected 2 or 3 corners in 2 or 3 dimensions, got 5 in 4": (uniform(10, 4).view(2, 5, 4), uniform(7, 4)),
        r"expected corners \(facets, corners, dim\)": (corners[0], points),
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message):
            op(*arguments)


def test_winding_numbers_against_angles(make):
    corners = boundary_facets(make.ring(17, 2.0, 1.0)).points.numpy()
    p = uniform(500, 2, 2.5).numpy()
    a, b = corners[None, :, 0] - p[:, None], corners[None, :, 1] - p[:, None]
    angle = np.arctan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(-1)).sum(1) / (2 * np.pi)
    assert np.array_equal(winding_2d(corners, p), angle.round().astype(int))


def test_winding_numbers_against_solid_angles(make):
    corners = boundary_facets(make.sphere(1)).points.numpy()
    p = uniform(300, 3, 1.3).numpy()
    a, b, c = (corners[None, :, i] - p[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=-1) for v in (a, b, c))
    top = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
    bottom = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    angle = 2 * np.arctan2(top, bottom).sum(1) / (4 * np.pi)
    assert np.array_equal(winding_3d(corners, p), angle.round().astype(int))
    # Rays through corners and edges: straight above and below each of them.
    for scale in (0.5, 1.5):
        assert (winding_3d(corners, corners.reshape(-1, 3) * scale) == (scale < 1)).all()
        middle = (corners + np.roll(corners, 1, 1)).reshape(-1, 3) / 2
        assert (winding_3d(corners, middle * scale) == (scale < 1)).all()


def test_files_without_shared_points_are_closed(make):
    mesh = make.sphere(1)
    loose = mesh.points[mesh.cells.of_kind("triangle")].reshape(-1, 3)
    soup = Mesh(loose, Cells.from_blocks({"triangle": torch.arange(len(loose)).reshape(-1, 3)}))
    p = uniform(200, 3)
    assert torch.equal(signed_distance(soup, p), signed_distance(mesh, p))


def test_open_boundaries_have_no_inside(make):
    mesh = make.sphere(1)
    cells = Cells.from_blocks({"triangle": mesh.cells.of_kind("triangle")[1:]})
    with pytest.raises(ValueError, match="3 of 79 facets end freely"):
        signed_distance(Mesh(mesh.points, cells), uniform(2, 3))
    assert torch.allclose(distance(Mesh(mesh.points, cells), mesh.points), torch.zeros(len(mesh), dtype=torch.float64))
    line = Mesh(torch.rand(3, 2), Cells.from_blocks({"line": torch.tensor([[0, 1], [1, 2]])}))
    with pytest.raises(ValueError, match="not closed"):
        signed_distance(line, torch.rand(2, 2))


def test_distance_of_everything(make):
    p = uniform(100, 2)
    ring = make.ring(12, 2.0, 1.0)
    assert torch.allclose(distance(ring, p), signed_distance(ring, p).abs())
    assert torch.allclose(distance(boundary_facets(ring), p), signed_distance(ring, p).abs())
    cloud = PointCloud(ring.points)
    assert torch.allclose(distance(cloud, p), torch.cdist(p, ring.points).amin(1))
    line = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0]]), Cells.from_blocks({"line": torch.tensor([[0, 1]])}))
    found = distance(line, torch.tensor([[0.5, 1.0, 0], [2, 0, 0], [-3, 4, 0]]))
    assert found.tolist() == [1, 1, 5]
    with pytest.raises(ValueError, match="no edges, faces or solids"):
        distance(Mesh(torch.rand(2, 2), Cells.from_blocks({"vertex": torch.tensor([[0]])})), p)
    twice = Cells.from_blocks({"triangle": make.square(1).cells.of_kind("triangle").repeat(2, 1)})
    with pytest.raises(ValueError, match="every face is shared"):
        distance(Mesh(make.square(1).points, twice), p)


def test_bad_points(make):
    mesh = make.square(2)
    with pytest.raises(ValueError, match=r"points must have shape \(n, 2\)"):
        signed_distance(mesh, torch.rand(4, 3))
    with pytest.raises(ValueError, match="1 points have NaN or infinite coordinates, first point 1"):
        signed_distance(mesh, torch.tensor([[0.0, 0], [torch.nan, 0]]))
    assert signed_distance(mesh, torch.rand(0, 2)).shape == (0,)


def test_dtype_follows_the_points(make):
    mesh = make.ring(12, 2.0, 1.0, torch.float32)
    p = uniform(100, 2)
    single, double = signed_distance(mesh, p.float()), signed_distance(mesh, p)
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    assert torch.allclose(single.double(), double, atol=1e-6)


def test_facets_of_other_shapes_work_too():
    corners = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.float64)
    facets = Facets.from_index(corners, torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0]]))
    assert signed_distance(facets, torch.tensor([[0.5, 0.25]], dtype=torch.float64)).tolist() == [-0.25]


def test_many_points_take_the_grouped_path(make):
    mesh = make.ring(64, 2.0, 1.0)
    p = uniform(20000, 2, 3)
    many = signed_distance(mesh, p)
    few = torch.cat([signed_distance(mesh, part) for part in p.split(500)])
    assert torch.allclose(many, few, atol=1e-14)


def test_the_search_works_in_parts_too(make, monkeypatch):
    from geoops.geometry import _tree, _winding

    mesh, p = make.ring(64, 2.0, 1.0), uniform(300, 2, 3)
    whole = signed_distance(mesh, p)
    monkeypatch.setattr(_tree, "PAIRS", 50)
    monkeypatch.setattr(_winding, "CHUNK", 7)
    assert torch.equal(signed_distance(mesh, p), whole)


def test_closest_points_are_on_the_boundary_at_that_distance(make):
    for mesh in (make.ring(12, 2.0, 1.0), make.sphere(1)):
        shape = boundary_facets(mesh)
        points = uniform(300, mesh.dim, 2.5)
        foot = closest_points(mesh, points)
        torch.testing.assert_close((points - foot).norm(dim=1), distance(shape, points), rtol=1e-9, atol=1e-12)
        assert distance(shape, foot).max() < 1e-12
        assert torch.equal(closest_points(shape, points.float()), closest_points(shape, points.float().double()).float())


def test_closest_points_need_a_boundary_and_the_right_dimension(make):
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        closest_points(make.square(2), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="NaN"):
        closest_points(make.square(2), torch.full((1, 2), torch.nan))
    some = boundary_facets(make.square(2))
    nothing = Facets(*(part[:0] for part in (some.points, some.index, some.pos, some.normal, some.size, some.cell)))
    with pytest.raises(ValueError, match="no boundary"):
        closest_points(nothing, torch.zeros(1, 2))
