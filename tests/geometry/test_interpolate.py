"""Interpolation: linear fields exactly, nodes exactly, never beyond the values."""

import pytest
import torch

from geoops.geometry import Cells, Mesh, PointCloud, interpolate, interpolation_weights


def uniform(count, dim, low=0.0, high=1.0, seed=0):
    return low + (high - low) * torch.rand(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(p):
    return torch.stack([1 + p @ torch.arange(1.0, p.shape[1] + 1, dtype=p.dtype), p[:, 0] - 3], 1)


def solids():
    """A hexahedron, a wedge and a pyramid that share faces."""
    corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    points = torch.tensor([*corners, [0.5, 0.5, 2], [2, 0, 0], [2, 0, 1]], dtype=torch.float64)
    pyramid, wedge = torch.tensor([[4, 5, 6, 7, 8]]), torch.tensor([[1, 9, 2, 5, 10, 6]])
    return Mesh(points, Cells.from_blocks([("pyramid", pyramid), ("hexahedron", torch.arange(8)[None]), ("wedge", wedge)]))


@pytest.mark.parametrize("name", ["square", "ring", "cube"])
def test_linear_fields_are_exact_inside(make, name):
    mesh = {"square": lambda: make.square(5), "ring": lambda: make.ring(20, 1.0, 0.4), "cube": lambda: make.cube(3)}[name]()
    p = uniform(5000, mesh.dim, -1 if name == "ring" else 0, 1)
    if name == "ring":
        r = p.norm(dim=1)
        p = p[(r < 0.97) & (r > 0.4)]
    assert torch.allclose(interpolate(mesh, linear(mesh.points), p), linear(p), atol=1e-12)


def test_linear_fields_on_mixed_solids():
    mesh = solids()
    p = uniform(4000, 3, 0, 1)
    p = torch.cat(
        [
            p,
            p * torch.tensor([0.2, 0.2, 0.5]) + torch.tensor([0.4, 0.4, 1.0]),
            p * torch.tensor([0.4, 0.4, 1]) + torch.tensor([1.0, 0, 0]),
        ]
    )
    assert torch.allclose(interpolate(mesh, linear(mesh.points), p), linear(p), atol=1e-12)


@pytest.mark.parametrize("kind", ["triangle6", "quad8", "quad9", "tetra10", "hexahedron27", "wedge18", "hexa_prism"])
def test_quadratic_kinds_are_exact_for_linear_fields(kind):
    import vtk

    from geoops.geometry._kinds import KINDS

    cell = vtk.vtkGenericCell.InstantiateCell(KINDS[kind].code)
    at = torch.tensor(cell.GetParametricCoords()).reshape(-1, 3)[: cell.GetNumberOfPoints()].double()
    at = at[:, : KINDS[kind].dim]
    mesh = Mesh(at.contiguous(), Cells.from_blocks({kind: torch.arange(len(at))[None]}))
    weight = torch.rand(300, len(at), generator=torch.Generator().manual_seed(1), dtype=torch.float64) ** 6
    p = weight / weight.sum(1, keepdim=True) @ at
    assert torch.allclose(interpolate(mesh, linear(at), p), linear(p), atol=1e-6)


def test_nodes_give_their_values(make):
    for mesh in (make.square(4), make.cube(2), make.ring(16, 2.0, 1.0)):
        values = uniform(len(mesh), 3)
        assert torch.allclose(interpolate(mesh, values, mesh.points), values, atol=1e-9)


def test_the_solution_is_continuous_across_hexahedra():
    """Both sides of the face between two cells agree, also for values that are not linear."""
    n = 4
    x = torch.arange(n, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(x, x, x, indexing="ij"), -1).reshape(-1, 3)
    i = torch.cartesian_prod(*[torch.arange(n - 1)] * 3) @ torch.tensor([n * n, n, 1])
    nodes = torch.stack([i, i + n * n, i + n * n + n, i + n, i + 1, i + n * n + 1, i + n * n + n + 1, i + n + 1], 1)
    mesh = Mesh(points, Cells.from_blocks({"hexahedron": nodes}))
    values = uniform(len(points), 1)
    p = uniform(2000, 3, 0.01, n - 1.01)
    p[:, 1] = p[:, 1].round().clamp(1, n - 2)
    step = torch.tensor([0, 1e-9, 0], dtype=torch.float64)
    assert torch.allclose(interpolate(mesh, values, p - step), interpolate(mesh, values, p + step), atol=1e-7)


def test_outside_takes_the_nearest_point_of_the_boundary(make):
    mesh = make.square(4)
    p = uniform(3000, 2, -1, 2)
    assert torch.allclose(interpolate(mesh, mesh.points, p), p.clamp(0, 1), atol=1e-12)
    box = make.cube(2)
    p = uniform(1000, 3, -1, 2)
    assert torch.allclose(interpolate(box, box.points, p), p.clamp(0, 1), atol=1e-12)


def test_surfaces_and_curves_project(make):
    mesh = make.sphere(3)
    p = uniform(300, 3, -1, 1)
    p = p / p.norm(dim=1, keepdim=True)
    assert (interpolate(mesh, mesh.points, 1.3 * p) - p).norm(dim=1).max() < 0.02
    line = Mesh(torch.tensor([[0.0, 0], [2, 0]]), Cells.from_blocks({"line": torch.tensor([[0, 1]])}))
    assert interpolate(line, torch.tensor([[0.0], [4.0]]), torch.tensor([[0.5, 3.0], [9, 9]])).flatten().tolist() == [
        1,
        4,
    ]


def test_weights_are_a_partition_of_one(make):
    mesh = make.ring(24, 2.0, 1.0)
    nodes, weight = interpolation_weights(mesh, uniform(1000, 2, -3, 3))
    assert weight.min() >= 0
    assert torch.allclose(weight.sum(1), torch.ones(1000, dtype=torch.float64))
    assert nodes.shape == weight.shape == (1000, 3)


def test_shapes_dtypes_and_gradients(make):
    mesh = make.square(3, torch.float32)
    p = torch.rand(7, 2)
    assert interpolate(mesh, torch.rand(16), p).shape == (7,)
    assert interpolate(mesh, torch.rand(16, 3, 3, dtype=torch.float64), p).shape == (7, 3, 3)
    assert interpolate(mesh, torch.rand(16, 2), p).dtype == torch.float32
    assert interpolate(mesh, torch.rand(16, 2), torch.rand(0, 2)).shape == (0, 2)
    values = torch.rand(16, 2, requires_grad=True)
    interpolate(mesh, values, p).sum().backward()
    assert values.grad.sum().item() == pytest.approx(14)


def test_flat_and_folded_cells_do_no_harm():
    points = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1], [2, 0]], dtype=torch.float64)
    cells = Cells.from_blocks([("triangle", torch.tensor([[0, 1, 4], [0, 1, 2]])), ("polygon", torch.tensor([[0, 2, 3]]))])
    mesh = Mesh(points, cells)
    p = uniform(500, 2)
    assert torch.allclose(interpolate(mesh, points, p), p, atol=1e-12)


def test_concave_polygons_are_cut_inside():
    points = torch.tensor([[0.0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], dtype=torch.float64)
    for turn in (torch.arange(5), torch.arange(5).flip(0), torch.arange(5).roll(2)):
        mesh = Mesh(points, Cells.from_blocks({"polygon": turn[None]}))
        p = torch.tensor([[2.0, 0.9], [0.1, 3.5], [3.9, 3.5], [2, 1.5]], dtype=torch.float64)
        found = interpolate(mesh, points, p)
        assert torch.allclose(found[:3], p[:3], atol=1e-12)
        assert not torch.allclose(found[3], p[3])


def test_bad_arguments(make):
    mesh = make.square(2)
    with pytest.raises(ValueError, match="one row for each of the 9 points"):
        interpolate(mesh, torch.rand(4, 1), torch.rand(2, 2))
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        interpolate(mesh, torch.rand(9, 1), torch.rand(2, 3))
    with pytest.raises(ValueError, match="cells that span something"):
        interpolate(Mesh(mesh.points, Cells.empty()), torch.rand(9, 1), torch.rand(2, 2))
    with pytest.raises(TypeError):
        interpolation_weights(PointCloud(mesh.points), torch.rand(2, 2))
