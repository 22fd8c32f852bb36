"""Boundaries: closed, complete, looking outwards."""

import math

import pytest
import torch

from geoops.geometry import Cells, Facets, Mesh, PointCloud, boundary_facets, signed_distance


def flux(facets: Facets) -> torch.Tensor:
    """The integral of the normal, zero for closed boundaries."""
    return (facets.normal * facets.size).sum(0)


def content(facets: Facets) -> float:
    """Area or volume by the divergence theorem."""
    return float(((facets.pos * facets.normal).sum(1) * facets.size[:, 0]).sum() / facets.points.shape[2])


def check_outward(mesh: Mesh, facets: Facets) -> None:
    """A small step along the normal leaves the material."""
    step = 1e-4 * facets.normal
    assert (signed_distance(mesh, facets.pos + step) > 0).all()
    assert (signed_distance(mesh, facets.pos - step) < 0).all()


def test_ring_has_two_loops(make):
    mesh = make.ring(24, 2.0, 1.0)
    facets = boundary_facets(mesh)
    assert len(facets) == 48
    assert torch.allclose(flux(facets), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    area = 24 / 2 * math.sin(2 * math.pi / 24) * (4 - 1)
    assert content(facets) == pytest.approx(area)
    outer = facets.pos.norm(dim=1) > 1.5
    assert outer.sum() == 24
    # Out of the material: away from the centre outside, towards it at the void.
    assert torch.equal((facets.normal * facets.pos).sum(1) > 0, outer)
    assert torch.equal(facets.points, mesh.points[facets.index])
    assert torch.allclose(facets.normal.norm(dim=1), torch.ones(48, dtype=torch.float64))
    owner_nodes = [
        set(mesh.cells.connectivity[a:b].tolist()) for a, b in zip(mesh.cells.offsets[:-1], mesh.cells.offsets[1:], strict=True)
    ]
    assert all(set(f) <= owner_nodes[c] for f, c in zip(facets.index.tolist(), facets.cell.tolist(), strict=True))
    check_outward(mesh, facets)


@pytest.mark.parametrize("flip", [False, True])
def test_normals_do_not_depend_on_the_order_of_nodes(make, flip):
    mesh = make.square(3)
    nodes = mesh.cells.of_kind("triangle").clone()
    nodes[::2] = nodes[::2].flip(1) if flip else nodes[::2]
    facets = boundary_facets(Mesh(mesh.points, Cells.from_blocks({"triangle": nodes})))
    assert len(facets) == 12
    assert content(facets) == pytest.approx(1)
    assert facets.size.sum().item() == pytest.approx(4)


def test_lines_and_vertices_along_the_boundary_change_nothing(make):
    mesh = make.square(2)
    more = Cells.from_blocks(
        [
            ("line", torch.tensor([[0, 1], [1, 2]])),
            ("triangle", mesh.cells.of_kind("triangle")),
            ("vertex", torch.tensor([[0]])),
        ]
    )
    facets = boundary_facets(Mesh(mesh.points, more))
    plain = boundary_facets(mesh)
    assert torch.equal(facets.index, plain.index)
    assert torch.equal(facets.cell, plain.cell + 2)


@pytest.mark.parametrize("kind", ["triangle6", "triangle7", "quad6", "quad8", "quad9", "polygon", "pixel", "triangle_strip"])
def test_kinds_in_the_plane(kind):
    corners = torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2]], dtype=torch.float64)
    mid = (corners + corners.roll(-1, 0)) / 2
    if kind.startswith("triangle") and kind != "triangle_strip":
        corners = corners[:3]
        mid = (corners + corners.roll(-1, 0)) / 2
    centre = corners.mean(0, keepdim=True)
    points, area, pieces = {
        "triangle6": lambda: (torch.cat([corners, mid]), 2, 6),
        "triangle7": lambda: (torch.cat([corners, mid, centre]), 2, 6),
        "quad6": lambda: (torch.cat([corners, mid[[0, 2]]]), 4, 6),
        "quad8": lambda: (torch.cat([corners, mid]), 4, 8),
        "quad9": lambda: (torch.cat([corners, mid, centre]), 4, 8),
        "polygon": lambda: (torch.cat([corners, centre]), 3, 5),
        "pixel": lambda: (corners[[0, 1, 3, 2]], 4, 4),
        "triangle_strip": lambda: (corners[[0, 1, 3, 2]], 4, 4),
    }[kind]()
    mesh = Mesh(points, Cells.from_blocks({kind: torch.arange(len(points))[None]}))
    facets = boundary_facets(mesh)
    assert len(facets) == pieces
    assert content(facets) == pytest.approx(area)
    assert torch.allclose(flux(facets), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    check_outward(mesh, facets)


def test_quadratic_edges_follow_their_middle():
    angle = torch.arange(3, dtype=torch.float64) * (2 * math.pi / 3)
    around = torch.stack([angle.cos(), angle.sin()], 1)
    middle = torch.stack([(angle + math.pi / 3).cos(), (angle + math.pi / 3).sin()], 1)
    mesh = Mesh(torch.cat([around, middle]), Cells.from_blocks({"triangle6": torch.arange(6)[None]}))
    assert content(boundary_facets(mesh)) == pytest.approx(6 / 2 * math.sin(math.pi / 3))


def test_cube_of_tetrahedra(make):
    mesh = make.cube(3)
    facets = boundary_facets(mesh)
    assert len(facets) == 6 * 9 * 2
    assert facets.size.sum().item() == pytest.approx(6)
    assert content(facets) == pytest.approx(1)
    assert ((facets.pos - 0.5) * facets.normal).sum(1).min().item() == pytest.approx(0.5)


SOLIDS = (
    "tetra voxel hexahedron wedge pyramid penta_prism hexa_prism tetra10 hexahedron20 hexahedron24 hexahedron27 "
    "wedge12 wedge15 wedge18 pyramid13"
)


@pytest.mark.parametrize("kind", SOLIDS.split())
@pytest.mark.parametrize("mirror", [False, True])
def test_solid_kinds_against_vtk(kind, mirror):
    import vtk

    from geoops.geometry._kinds import KINDS

    cell = vtk.vtkGenericCell.InstantiateCell(KINDS[kind].code)
    at = torch.tensor(cell.GetParametricCoords()).reshape(-1, 3)[: cell.GetNumberOfPoints()].double()
    at[:, 0] *= -1 if mirror else 1
    mesh = Mesh(at, Cells.from_blocks({kind: torch.arange(len(at))[None]}))
    facets = boundary_facets(mesh)
    assert torch.allclose(flux(facets), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert (facets.size > 0).all()
    assert set(facets.index.flatten().tolist()) >= set(range(KINDS[kind].corners))
    inside = at[: KINDS[kind].corners].mean(0)
    assert ((facets.pos - inside) * facets.normal).sum(1).min() > 0
    volumes = {"tetra": 1 / 6, "wedge": 1 / 2, "pyramid": 1 / 3, "hexahedron": 1, "voxel": 1}
    base = kind.rstrip("0123456789")
    # VTK's parametric coordinates of a quadratic pyramid are those of a collapsed cube: its edges are not straight.
    if base in volumes and kind != "pyramid13":
        assert content(facets) == pytest.approx(volumes[base])


def test_mixed_solids_share_their_faces():
    points = torch.tensor(
        [
            [0, 0, 0],
            [1, 0, 0],
            [1, 1, 0],
            [0, 1, 0],
            [0, 0, 1],
            [1, 0, 1],
            [1, 1, 1],
            [0, 1, 1],
            [0.5, 0.5, 2],
            [2, 0, 0],
            [2, 0, 1.0],
        ],
        dtype=torch.float64,
    )
    cells = Cells.from_blocks(
        [
            ("pyramid", torch.tensor([[4, 5, 6, 7, 8]])),
            ("hexahedron", torch.arange(8)[None]),
            ("wedge", torch.tensor([[1, 9, 2, 5, 10, 6]])),
        ]
    )
    facets = boundary_facets(Mesh(points, cells))
    assert content(facets) == pytest.approx(1 + 1 / 3 + 1 / 2)
    assert len(facets) == 4 + 4 * 2 + 2 + 2 * 2


@pytest.mark.parametrize("damage", ["none", "all", "some"])
def test_closed_surface_looks_outwards(make, damage):
    mesh = make.sphere(2)
    nodes = mesh.cells.of_kind("triangle").clone()
    if damage == "all":
        nodes = nodes.flip(1)
    if damage == "some":
        nodes[::3] = nodes[::3].flip(1)
    facets = boundary_facets(Mesh(mesh.points, Cells.from_blocks({"triangle": nodes})))
    assert len(facets) == 320
    assert torch.equal(facets.cell, torch.arange(320))
    assert ((facets.normal * facets.pos).sum(1) > 0.9).all()


def test_a_void_inside_a_surface_looks_into_the_void(make):
    outer, inner = make.sphere(2), make.sphere(1)
    points = torch.cat([outer.points, 0.4 * inner.points])
    nodes = torch.cat([outer.cells.of_kind("triangle"), inner.cells.of_kind("triangle") + len(outer)])
    mesh = Mesh(points, Cells.from_blocks({"triangle": nodes}))
    facets = boundary_facets(mesh)
    assert torch.equal((facets.normal * facets.pos).sum(1) > 0, facets.pos.norm(dim=1) > 0.6)
    at = torch.tensor([[0.0, 0, 0], [0.7, 0, 0], [2, 0, 0]], dtype=torch.float64)
    assert (signed_distance(mesh, at) < 0).tolist() == [False, True, False]


def test_open_surface_keeps_the_sense_of_most():
    points = torch.tensor([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1], [2, 0.5, 1]], dtype=torch.float64)
    nodes = torch.tensor([[0, 1, 2], [0, 3, 2], [1, 4, 2]])
    facets = boundary_facets(Mesh(points, Cells.from_blocks({"triangle": nodes})))
    assert facets.normal[:, 2].tolist() == [1, 1, 1]


def test_curves_in_the_plane():
    square = torch.tensor([[0.0, 0], [4, 0], [4, 4], [0, 4]], dtype=torch.float64)
    hole = torch.tensor([[1.0, 1], [2, 1], [2, 2], [1, 2]], dtype=torch.float64)
    lines = torch.tensor([[0, 1], [2, 1], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4]])
    mesh = Mesh(torch.cat([square, hole]), Cells.from_blocks({"line": lines}))
    facets = boundary_facets(mesh)
    assert content(facets) == pytest.approx(15)
    assert (signed_distance(mesh, torch.tensor([[0.5, 0.5], [1.5, 1.5], [5.0, 5]])) < 0).tolist() == [
        True,
        False,
        False,
    ]
    chain = Mesh(square, Cells.from_blocks({"poly_line": torch.tensor([[0, 1, 2, 3, 0]])}))
    assert content(boundary_facets(chain)) == pytest.approx(16)
    curved = Mesh(square, Cells.from_blocks([("line3", torch.tensor([[0, 2, 1]])), ("line4", torch.tensor([[2, 0, 3, 3]]))]))
    assert boundary_facets(curved).index.tolist() == [[0, 1], [1, 2], [2, 3], [3, 3], [3, 0]]


def test_a_closed_manifold_of_solids_has_no_free_faces_twice(make):
    mesh = make.square(1)
    both = Cells.from_blocks({"triangle": mesh.cells.of_kind("triangle").repeat(2, 1)})
    with pytest.raises(ValueError, match="no boundary, so there is no inside"):
        signed_distance(Mesh(mesh.points, both), torch.rand(1, 2))


@pytest.mark.parametrize(
    ("dim", "blocks", "message"),
    [
        (2, {}, "no cells in 2D has no boundary facets; it needs cells of dimension 2"),
        (3, {"line": torch.tensor([[0, 1]])}, r"\{'line': 1\} in 3D has no boundary facets"),
        (2, {"VTK_LAGRANGE_TRIANGLE": torch.arange(6)[None]}, "VTK_LAGRANGE_TRIANGLE have no geometry"),
        (3, {"VTK_LAGRANGE_HEXAHEDRON": torch.arange(8)[None]}, "VTK_LAGRANGE_HEXAHEDRON have no geometry"),
    ],
)
def test_what_has_no_boundary(dim, blocks, message):
    mesh = Mesh(torch.rand(8, dim), Cells.from_blocks(blocks))
    with pytest.raises(ValueError, match=message):
        boundary_facets(mesh)


def test_clouds_have_no_boundary():
    with pytest.raises(TypeError):
        boundary_facets(PointCloud(torch.rand(3, 2)))


def test_float32_stays_float32(make):
    facets = boundary_facets(make.ring(12, 2.0, 1.0, torch.float32))
    assert {v.dtype for v in (facets.points, facets.pos, facets.normal, facets.size)} == {torch.float32}
    assert repr(facets).startswith("Facets(24 segments in 2D")
