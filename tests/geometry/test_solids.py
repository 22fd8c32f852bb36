"""Solids, and points that fill them."""

import math

import pytest
import torch

from geoops.geometry import (
    Capsule,
    Cells,
    Cuboid,
    Gyroid,
    Mesh,
    MeshSolid,
    RoundedBox,
    Sphere,
    Star,
    Torus,
    fill,
    lattice,
    point_spacing,
)

CENTRE = (0.5, 0.4, 0.6)
SPACE = [Cuboid(), Sphere(), Torus(), Torus(0.25), Capsule(), RoundedBox(), RoundedBox(0.1, (2.0, 1.0, 0.5)), Gyroid()]
PLANE = [Cuboid(), Sphere(), Capsule(0.1), RoundedBox(0.2), RoundedBox(0.1, (0.5, 1.0))]


@pytest.mark.parametrize(("solid", "dim"), [(s, 3) for s in SPACE] + [(s, 2) for s in PLANE], ids=lambda s: type(s).__name__)
def test_volume_and_sides_agree_with_the_inside(solid, dim):
    points = torch.rand(200_000, dim, dtype=torch.float64) * 1.2 - 0.6
    inside = solid.inside(points)
    assert solid.volume(dim) == pytest.approx(inside.double().mean().item() * 1.2**dim, rel=0.03)
    reach = points[inside].abs().amax(0)
    sides = torch.tensor(solid.sides(dim), dtype=torch.float64)
    assert (reach <= sides / 2).all()
    assert (reach >= 0.45 * sides).all()
    assert max(solid.sides(dim)) == 1


@pytest.mark.parametrize("solid", SPACE, ids=lambda s: type(s).__name__)
def test_points_are_inside_and_even(solid):
    size, count = (0.4, 0.5, 0.3), 700
    x = fill(solid, count, size=size, centre=CENTRE, seed=3)
    assert x.shape == (count, 3)
    assert solid.inside((x - torch.tensor(CENTRE, dtype=x.dtype)) / torch.tensor(size, dtype=x.dtype) * (1 - 1e-12)).all()
    assert torch.equal(x, fill(solid, count, size=size, centre=CENTRE, seed=3))
    assert not torch.equal(x, fill(solid, count, size=size, centre=CENTRE, seed=4))
    uniform = fill(solid, count, size=size, centre=CENTRE, seed=3, relaxations=0)
    near, random = point_spacing(x), point_spacing(uniform)
    spacing = (solid.volume() * math.prod(size) / count) ** (1 / 3)
    assert near.min() > 0.2 * spacing
    assert near.std() / near.mean() < 0.5 * random.std() / random.mean()
    assert solid.inside((uniform - torch.tensor(CENTRE)) / torch.tensor(size) * (1 - 1e-12)).all()


@pytest.mark.parametrize("tips", [3, 4, 5, 8])
@pytest.mark.parametrize("inner", [0.2, 0.5, 1.0])
def test_stars(tips, inner):
    """Area, tips, and the corners between them; as a polygon it is what its corners enclose."""
    star = Star(tips, inner)
    points = torch.rand(200_000, 2, dtype=torch.float64) - 0.5
    inside = star.inside(points)
    assert star.volume(2) == pytest.approx(inside.double().mean().item(), rel=0.02)
    assert (points[inside].norm(dim=1) <= 0.5).all()
    k = torch.arange(2 * tips, dtype=torch.float64)
    radius = 0.5 * (1 - (k % 2) * (1 - inner))
    angle = torch.pi * k / tips
    corners = radius[:, None] * torch.stack([angle.sin(), angle.cos()], 1)  # the first tip is up
    assert star.inside(corners * (1 - 1e-9)).all()
    assert not star.inside(corners * (1 + 1e-6)).any()
    following = corners.roll(-1, 0)
    area = 0.5 * (corners[:, 1] * following[:, 0] - corners[:, 0] * following[:, 1]).sum()
    assert star.volume(2) == pytest.approx(area.item())
    assert star.inside(torch.zeros(1, 2, dtype=torch.float64)).all()
    assert star.inside(torch.zeros(0, 2)).shape == (0,)


def test_every_part_gets_its_share():
    x = fill(Cuboid(), 1000, centre=CENTRE) - torch.tensor(CENTRE, dtype=torch.float64)
    assert x.mean(0).abs().max() < 0.002
    octant = (x > 0).long() @ torch.tensor([4, 2, 1])
    assert (torch.bincount(octant) - 125).abs().max() < 12


def test_points_spread_over_the_plane_too():
    x = fill(Sphere(), 300, size=0.5, centre=(0.5, 0.5))
    assert ((x - 0.5).norm(dim=1) <= 0.25).all()


def test_lattice_includes_the_faces():
    x = lattice((3, 2, 4), size=(1.0, 2.0, 3.0), centre=CENTRE)
    assert x.shape == (24, 3)
    centre, half = torch.tensor(CENTRE, dtype=torch.float64), torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    torch.testing.assert_close(x.amin(0), centre - half)
    torch.testing.assert_close(x.amax(0), centre + half)
    torch.testing.assert_close(x[1] - x[0], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    assert lattice((5, 4), centre=(0.0, 0.0)).shape == (20, 2)


def test_a_mesh_is_a_solid(make):
    solid = MeshSolid(make.sphere(3))
    assert solid.sides() == pytest.approx((1.0, 1.0, 1.0), abs=1e-2)
    assert solid.volume() == pytest.approx(math.pi / 6, rel=0.02)
    x = fill(solid, 500, centre=(0.0, 0.0, 0.0))
    assert (x.norm(dim=1) <= 0.5).all()
    tetrahedra = MeshSolid(make.cube(2))
    assert tetrahedra.volume() == pytest.approx(1)
    assert (fill(tetrahedra, 50, centre=(0.0, 0.0, 0.0)).abs() <= 0.5).all()
    plane = MeshSolid(make.square(3))
    assert plane.volume(2) == pytest.approx(1)
    with pytest.raises(ValueError, match="a mesh in 2 dimensions cannot fill a body in 3"):
        fill(plane, 50, centre=(0.0, 0.0, 0.0))


def test_a_mesh_keeps_its_voids(make):
    outer, inner = make.sphere(2), make.sphere(2)
    triangles = torch.cat([outer.cells.of_kind("triangle"), inner.cells.of_kind("triangle") + len(outer.points)])
    shell = MeshSolid(Mesh(torch.cat([outer.points, 0.5 * inner.points]), Cells.from_blocks({"triangle": triangles})))
    x = fill(shell, 300, centre=(0.0, 0.0, 0.0))
    assert x.norm(dim=1).min() > 0.24
    assert shell.volume() == pytest.approx(7 / 8 * MeshSolid(outer).volume())


def test_a_mesh_with_a_hole_is_refused(make):
    sphere = make.sphere(1)
    holed = Mesh(sphere.points, Cells.from_blocks({"triangle": sphere.cells.of_kind("triangle")[:-1]}))
    with pytest.raises(ValueError, match=r"not watertight: 3 boundary edges .* near \[.*fill_holes"):
        MeshSolid(holed)
    flat = Mesh(sphere.points * torch.tensor([1.0, 1.0, 0.0]), sphere.cells)
    with pytest.raises(ValueError, match="encloses no volume"):
        MeshSolid(flat)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Star(2), "Star: expected at least 3 tips, got 2"),
        (lambda: Star(5, 1.5), "Star: expected inner > 0 and at most 1, got 1.5"),
        (lambda: Star().volume(3), "Star: lies in the plane, got 3 dimensions"),
        (lambda: Torus(0.3), "Torus: expected tube > 0 and at most 0.25, got 0.3"),
        (lambda: Capsule(0.0), "radius > 0"),
        (lambda: RoundedBox(0.3, (1.0, 0.5, 1.0)), "at most 0.25"),
        (lambda: RoundedBox(0.1, (1.0, -0.5, 1.0)), "lengths > 0"),
        (lambda: RoundedBox(0.1, (1.0, 0.5)).volume(3), "2 lengths do not make a box in 3"),
        (lambda: Gyroid(periods=0.0), "periods > 0"),
        (lambda: Gyroid(thickness=2.0), "thickness > 0 and at most 1.5"),
        (lambda: fill(Gyroid(), 10, centre=(0.0, 0.0)), "three dimensions, got 2"),
        (lambda: fill(Sphere(), 0, centre=CENTRE), "count >= 1"),
        (lambda: fill(Sphere(), 5, centre=CENTRE, size=-1.0), "size > 0, one number or 3, got -1"),
        (lambda: fill(Sphere(), 5, centre=CENTRE, size=(1.0, 2.0)), "one number or 3"),
        (lambda: fill(Gyroid(thickness=1e-6), 5, centre=CENTRE), "too thin"),
        (lambda: lattice((2, 2), centre=CENTRE), "expected 3 whole counts"),
        (lambda: lattice(5, centre=CENTRE), "lattice: expected 3 whole counts >= 1, got 5"),
        (lambda: lattice((2, 2, 2), size=math.inf, centre=CENTRE), "size > 0, one number or 3, got inf"),
    ],
)
def test_errors(call, words, unchecked):
    with pytest.raises(ValueError, match=words):
        call()
