"""Lengths, areas, volumes."""

import math

import pytest
import torch

from geoops.geometry import Cells, Mesh, cell_measures, edges, mean_edge_length


def test_squares_and_cubes(make):
    assert torch.allclose(cell_measures(make.square(4)), torch.full((32,), 1 / 32, dtype=torch.float64))
    assert torch.allclose(cell_measures(make.cube(2)), torch.full((48,), 1 / 48, dtype=torch.float64))


def test_area_of_the_sphere_converges_at_second_order(make):
    spheres = [make.sphere(level) for level in (1, 2, 3, 4)]
    errors = [4 * math.pi - cell_measures(s).sum().item() for s in spheres]
    sizes = [mean_edge_length(s) for s in spheres]
    logs = [math.log(x) for x in errors], [math.log(x) for x in sizes]
    rates = [(a - b) / (c - d) for a, b, c, d in zip(logs[0][:-1], logs[0][1:], logs[1][:-1], logs[1][1:], strict=True)]
    assert rates == pytest.approx([2, 2, 2], abs=0.1)


def test_every_kind_of_cell_once():
    points = torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1]], dtype=torch.float64)
    cells = Cells.from_blocks(
        [
            ("vertex", torch.tensor([[0]])),
            ("line", torch.tensor([[0, 2]])),
            ("poly_line", torch.tensor([[0, 1, 2]])),
            ("triangle", torch.tensor([[0, 2, 1]])),
            ("polygon", torch.tensor([[0, 1, 2, 4, 3]])),
            ("pixel", torch.tensor([[0, 1, 3, 2]])),
            ("quad", torch.tensor([[3, 2, 1, 0]])),
            ("triangle_strip", torch.tensor([[0, 1, 3, 2]])),
            ("line3", torch.tensor([[0, 2, 1]])),
        ]
    )
    # The polygon turns in at the middle of the square, which cuts a quarter off.
    expected = [0, math.sqrt(8), 4, 2, 3, 4, 4, 4, 4]
    assert cell_measures(Mesh(points, cells)).tolist() == pytest.approx(expected)
    lifted = torch.cat([points, torch.ones(5, 1, dtype=torch.float64)], 1)
    assert cell_measures(Mesh(lifted, cells)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["voxel", "hexahedron", "wedge", "pyramid", "hexahedron20", "hexahedron27", "tetra10"])
def test_solids_against_vtk(kind):
    import vtk

    from geoops.geometry._kinds import KINDS

    cell = vtk.vtkGenericCell.InstantiateCell(KINDS[kind].code)
    at = torch.tensor(cell.GetParametricCoords()).reshape(-1, 3)[: cell.GetNumberOfPoints()].double()
    volume = {"wedge": 1 / 2, "pyramid": 1 / 3, "tetra": 1 / 6}.get(kind.rstrip("0123456789"), 1)
    for points in (at, at * torch.tensor([-2.0, 1, 1])):
        scale = 1 if points is at else 2
        mesh = Mesh(points.contiguous(), Cells.from_blocks({kind: torch.arange(len(at))[None]}))
        assert cell_measures(mesh).tolist() == pytest.approx([scale * volume])


def test_edges_are_counted_once(make):
    found = edges(make.square(1))
    assert found.tolist() == [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3]]
    assert mean_edge_length(make.square(1)) == pytest.approx((4 + math.sqrt(2)) / 5)
    assert len(edges(make.cube(1))) == 19
    quadratic = Mesh(torch.rand(8, 2), Cells.from_blocks({"quad8": torch.arange(8)[None]}))
    assert edges(quadratic).tolist() == [[0, 1], [0, 3], [1, 2], [2, 3]]
    many = Cells.from_blocks(
        [
            ("polygon", torch.arange(5)[None]),
            ("poly_line", torch.tensor([[5, 6, 7]])),
            ("triangle_strip", torch.tensor([[0, 1, 2, 3]])),
        ]
    )
    expected = [[0, 1], [0, 2], [0, 4], [1, 2], [1, 3], [2, 3], [3, 4], [5, 6], [6, 7]]
    assert edges(Mesh(torch.rand(8, 2), many)).tolist() == expected
    solid = Mesh(torch.rand(8, 3), Cells.from_blocks({"hexahedron": torch.arange(8)[None], "line": torch.tensor([[0, 6]])}))
    assert len(edges(solid)) == 13


def test_no_edges():
    mesh = Mesh(torch.rand(2, 2), Cells.from_blocks({"vertex": torch.tensor([[0]])}))
    with pytest.raises(ValueError, match=r"no edges \(cells: \{'vertex': 1\}\)"):
        mean_edge_length(mesh)
    assert cell_measures(Mesh(torch.rand(2, 2), Cells.empty())).shape == (0,)
