"""Plates with a hole, a network whose field is a formula, and tiny random networks."""

from typing import final

import pytest
import torch

from geoops import io
from geoops.data import Normalizer, Task
from geoops.geometry import Cells, Mesh
from geoops.inference import Predictor
from geoops.models import Network, PointNet, Transolver

TASK = Task(inputs=("kind",), targets=("u",))


@final
class Formula(Network):
    """Predicts x² + 3 y in normalised coordinates, whatever the shape; `calls` counts the queries of each decode."""

    def __init__(self, sizes, *, shift: float = 0.0):
        super().__init__(sizes)
        self.shift = shift
        self.calls = []

    def encode(self, shapes):
        return torch.zeros(len(shapes), 1)

    def decode(self, code, pos, sdf):
        self.calls.append(pos.shape[1])
        values = (pos[..., :1].square() + 3 * pos[..., 1:2] + self.shift).contiguous()
        return values.repeat(1, 1, self.sizes.outputs)


def plate(n: int = 9, *, width: float = 1.0, noise: float = 0.0, seed: int = 0) -> Mesh:
    """A square with n x n points and a square hole in the middle; `kind` is 1 on the lower edge, u = 1 + x."""
    x, y = torch.meshgrid(torch.linspace(0, width, n), torch.linspace(0, 1, n), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()], 1)
    i = torch.arange(n * n).reshape(n, n)
    a, b, c, d = i[:-1, :-1], i[1:, :-1], i[1:, 1:], i[:-1, 1:]
    middle = torch.linspace(0, 1, n)[:-1] + 0.5 / (n - 1)
    hole = ((middle - 0.5).abs() < 0.124)[:, None] & ((middle - 0.5).abs() < 0.124)
    pairs = torch.stack([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)], 2)[~hole].reshape(-1, 3)
    used, cells = pairs.unique(return_inverse=True)
    points = points[used]
    inside = (points > 1e-6).all(1) & (points < torch.tensor([width, 1.0]) - 1e-6).all(1)
    jitter = torch.Generator().manual_seed(seed)
    points = points + noise * inside[:, None] * (torch.rand(points.shape, generator=jitter) - 0.5) / n
    return Mesh(
        points,
        Cells.from_blocks({"triangle": cells}),
        point_fields={"kind": (points[:, 1] < 1e-6).to(torch.uint8), "u": 1 + points[:, 0]},
        units={"u": "Pa"},
    )


def bare(mesh: Mesh) -> Mesh:
    """The mesh without its target."""
    return Mesh(mesh.points, mesh.cells, {"kind": mesh.point_fields["kind"]}, mesh.cell_fields, mesh.global_fields)


@pytest.fixture(name="plate", scope="session")
def plate_fixture():
    """The maker of plates, for other sizes."""
    return plate


@pytest.fixture
def mesh() -> Mesh:
    return plate()


@pytest.fixture(scope="session")
def normalizer() -> Normalizer:
    return Normalizer.fit([plate(), plate(noise=0.3)], TASK)


@pytest.fixture
def formula(normalizer) -> Predictor:
    return Predictor(Formula(normalizer.sizes), normalizer, name="formula")


@pytest.fixture
def shifted(normalizer) -> Predictor:
    """The formula plus one."""
    return Predictor(Formula(normalizer.sizes, shift=1.0), normalizer, name="other")


def small_network(sizes, kind: str = "transolver") -> Network:
    torch.manual_seed(1)
    if kind == "pointnet":
        return PointNet(sizes, hidden=16, code=16, depth=2)
    return Transolver(sizes, hidden=16, layers=2, slices=4, heads=2)


@pytest.fixture
def predictor(normalizer) -> Predictor:
    return Predictor(small_network(normalizer.sizes), normalizer, name="small")


@pytest.fixture
def data(tmp_path):
    """Two cases at 1x, 4x and 16x."""
    for folder, n in (("test", 9), ("test_4x", 17), ("test_16x", 33)):
        for name in ("00000", "00001"):
            mesh = plate(n)
            u = mesh.point_fields["u"] * (2 if name == "00001" else 1)
            path = tmp_path / "set" / folder / f"{name}.vtu"
            path.parent.mkdir(parents=True, exist_ok=True)
            io.write(path, mesh.with_fields(points={"u": u}))
    return tmp_path / "set"
