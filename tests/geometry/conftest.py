"""Shapes for the tests of geometry."""

import math

import pytest
import torch

from geoops.geometry import Cells, Mesh


def ring(count: int, radius: float, inner: float, dtype=torch.float64) -> Mesh:
    """A regular polygon of `count` sides with a smaller one cut out, as two rows of quadrilaterals and triangles."""
    angle = torch.arange(count, dtype=dtype) * (2 * math.pi / count)
    unit = torch.stack([angle.cos(), angle.sin()], 1)
    points = torch.cat([inner * unit, (inner + radius) / 2 * unit, radius * unit])
    i = torch.arange(count)
    j = (i + 1) % count
    quads = torch.stack([i, i + count, j + count, j], 1)
    lower = torch.stack([i + count, i + 2 * count, j + 2 * count], 1)
    # Every other triangle is wound the other way: facets must not care.
    upper = torch.stack([i + count, j + count, j + 2 * count], 1)
    return Mesh(points, Cells.from_blocks([("triangle", lower), ("quad", quads), ("triangle", upper)]))


def square(n: int, dtype=torch.float64) -> Mesh:
    """The unit square, each of n x n squares cut in two triangles."""
    x = torch.linspace(0, 1, n + 1, dtype=dtype)
    points = torch.stack(torch.meshgrid(x, x, indexing="xy"), -1).reshape(-1, 2)
    i = (torch.arange(n)[:, None] * (n + 1) + torch.arange(n)).reshape(-1)
    low, high = torch.stack([i, i + 1, i + n + 2], 1), torch.stack([i, i + n + 2, i + n + 1], 1)
    return Mesh(points, Cells.from_blocks({"triangle": torch.cat([low, high])}))


def cube(n: int, dtype=torch.float64) -> Mesh:
    """The unit cube, each of n^3 cubes cut in six tetrahedra around a diagonal (Kuhn)."""
    x = torch.linspace(0, 1, n + 1, dtype=dtype)
    points = torch.stack(torch.meshgrid(x, x, x, indexing="ij"), -1).reshape(-1, 3)
    step = torch.tensor([(n + 1) ** 2, n + 1, 1])
    start = torch.cartesian_prod(*[torch.arange(n)] * 3) @ step
    tets = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        path = torch.cat([torch.zeros(1, dtype=torch.int64), step[list(order)].cumsum(0)])
        tets.append(start[:, None] + path)
    return Mesh(points, Cells.from_blocks({"tetra": torch.cat(tets)}))


def sphere(level: int, dtype=torch.float64) -> Mesh:
    """The unit sphere as an icosahedron, split `level` times."""
    import trimesh

    made = trimesh.creation.icosphere(level)
    faces = torch.from_numpy(made.faces.copy())
    return Mesh(torch.from_numpy(made.vertices.copy()).to(dtype), Cells.from_blocks({"triangle": faces}))


@pytest.fixture
def make():
    class Makers:
        pass

    for maker in (ring, square, cube, sphere):
        setattr(Makers, maker.__name__, staticmethod(maker))
    return Makers
