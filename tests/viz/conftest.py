"""Small meshes to draw."""

import pytest
import torch

from geoops.geometry import Cells, Mesh


def plate(n: int = 8) -> Mesh:
    """A square of triangles with a linear field, a vector, categories and a cell field."""
    x, y = torch.meshgrid(torch.linspace(0, 1, n), torch.linspace(0, 1, n), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()], 1)
    i = torch.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1].flatten(), i[1:, :-1].flatten(), i[1:, 1:].flatten(), i[:-1, 1:].flatten()
    triangles = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    return Mesh(
        points,
        Cells.from_blocks({"triangle": triangles}),
        point_fields={
            "heat": points[:, 0] * 100,
            "pull": torch.stack([3 * points[:, 0], 4 * points[:, 0]], 1),
            "kind": (points[:, 0] * 3.99).to(torch.uint8),
        },
        cell_fields={"load": points[triangles].mean(1)[:, 1]},
        units={"heat": "K"},
    )


@pytest.fixture
def mesh() -> Mesh:
    return plate()


@pytest.fixture
def cube() -> Mesh:
    """One hexahedron."""
    corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    points = torch.tensor(corners, dtype=torch.float32)
    cells = Cells.from_blocks({"hexahedron": torch.arange(8)[None]})
    return Mesh(points, cells, point_fields={"height": points[:, 2]})
