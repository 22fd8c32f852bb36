"""Small meshes and motions to draw."""

import pytest
import torch

from geoops.geometry import Cells, Mesh
from geoops.physics import MPM, Box, FixedCorotated, Particles, Trajectory


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


def simulate(young: float = 1e5, *, d: int = 3, steps: int = 20, every: int = 5) -> Trajectory:
    """A few particles of jelly that are thrown and spin, half of them of another name."""
    side = 4 if d == 3 else 8
    axis = torch.linspace(0.35, 0.65, side)
    x = torch.cartesian_prod(*[axis] * d)
    v = torch.zeros_like(x)
    v[:, 0], v[:, 1] = 3 - 8 * (x[:, 1] - 0.5), 8 * (x[:, 0] - 0.5)
    start = Particles.undeformed(x, v, volume=0.1**d, density=1e3)
    box = Box((10,) * d, 0.1)
    with torch.no_grad():
        states = [start, *MPM(box, 1e-3, FixedCorotated(young, 0.2)).steps(start, steps)][::every]
    frames = {name: torch.stack([getattr(s, name) for s in states]) for name in ("x", "v", "C", "F")}
    moving = Particles(**frames, mass=start.mass, volume=start.volume)
    kinds = (torch.arange(len(x)) >= len(x) // 2).long()
    return Trajectory(moving, torch.arange(0, steps + 1, every), box, 1e-3, kinds, ("jelly", "gum"))


@pytest.fixture(scope="session")
def truth() -> Trajectory:
    return simulate()


@pytest.fixture(scope="session")
def prediction() -> Trajectory:
    return simulate(2e4)


@pytest.fixture(scope="session")
def planar() -> Trajectory:
    return simulate(d=2)
