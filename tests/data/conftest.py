"""Folders of small plates whose fields are formulas."""

import math

import pytest
import torch

from geoops import io
from geoops.geometry import Cells, Mesh


def make_plate(i: int, n: int = 6, dim: int = 2) -> Mesh:
    """A sheared unit square of n² points; `kind` is 1 below, 2 above; `load` its parameter."""
    x, y = torch.meshgrid(torch.linspace(0, 1, n), torch.linspace(0, 1, n), indexing="ij")
    shear = 0.1 * math.sin(i)
    points = torch.stack([x.flatten() + shear * y.flatten() * (1 - y.flatten()), y.flatten()], 1)
    j = torch.arange(n * n).reshape(n, n)
    a, b, c, d = j[:-1, :-1].flatten(), j[1:, :-1].flatten(), j[1:, 1:].flatten(), j[:-1, 1:].flatten()
    kind = (y.flatten() == 0).to(torch.uint8) + 2 * (y.flatten() == 1).to(torch.uint8)
    px, py = points.T
    fields = {
        "kind": kind,
        "depth": 1 - py,
        "stress": 10 + 3 * px + shear * 20,
        "shift": torch.stack([px - 0.5, py], 1),
    }
    if dim == 3:
        points = torch.cat([points, points[:, :1] ** 2], 1)
    cells = Cells.from_blocks({"triangle": torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])})
    return Mesh(
        points,
        cells,
        point_fields=fields,
        global_fields={"load": torch.tensor([float(i), 1.0])},
        units={"stress": "Pa"},
    )


@pytest.fixture
def plate():
    return make_plate


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """train (7 plates of different sizes), val (3), test (4)."""
    root = tmp_path_factory.mktemp("plates")
    for split, count, first in (("train", 7, 0), ("val", 3, 100), ("test", 4, 200)):
        (root / split).mkdir()
        for i in range(count):
            io.write(root / split / f"{i:03d}.vtu", make_plate(first + i, n=5 + i % 3))
    return root


@pytest.fixture(scope="session")
def flat_folder(tmp_path_factory):
    """20 plates without sub-folders of splits, two levels deep."""
    root = tmp_path_factory.mktemp("flat")
    for i in range(20):
        sub = root / f"part{i % 2}"
        sub.mkdir(exist_ok=True)
        io.write(sub / f"{i:03d}.vtu", make_plate(i, n=4))
    return root
