"""A folder of plates, a recipe for it, and a folder for runs."""

import math

import pytest
import torch

from geoops import io
from geoops.cli import main
from geoops.geometry import Cells, Mesh


def plate(i: int, n: int = 5) -> Mesh:
    x, y = torch.meshgrid(torch.linspace(0, 1, n), torch.linspace(0, 1, n), indexing="ij")
    shear = 0.2 * math.sin(i)
    points = torch.stack([x.flatten() + shear * y.flatten(), y.flatten()], 1)
    j = torch.arange(n * n).reshape(n, n)
    a, b, c, d = j[:-1, :-1].flatten(), j[1:, :-1].flatten(), j[1:, 1:].flatten(), j[:-1, 1:].flatten()
    fields = {
        "kind": (y.flatten() == 0).to(torch.uint8),
        "stress": 3 + torch.sin(3 * points[:, 0]) + points[:, 1],
        "shift": torch.stack([points[:, 0], 1e-3 * points[:, 1]], 1),
    }
    cells = Cells.from_blocks({"triangle": torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])})
    return Mesh(points, cells, point_fields=fields)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("plates")
    for split, count, first in (("train", 6, 0), ("val", 3, 100), ("test", 2, 200)):
        (root / split).mkdir()
        for i in range(count):
            io.write(root / split / f"{i:03d}.vtu", plate(first + i, n=4 + i % 3))
    return root


RECIPE = """
seed_everything: 3
data:
  root: {root}
  inputs: [kind]
  targets: [stress]
  batch_size: 4
  points_per_step: 12
model:
  network:
    class_path: geoops.models.PointwiseMLP
    init_args: {{hidden: 8, depth: 3}}
  lr: 1.0e-2
trainer:
  max_steps: 12
  accelerator: cpu
  val_check_interval: 6
  log_every_n_steps: 1
"""


@pytest.fixture
def place(folder, tmp_path, monkeypatch):
    """A working folder with the recipe `plates.yaml`."""
    monkeypatch.chdir(tmp_path)
    # LightningCLI warns where the command line of the process (here pytest's) differs from the arguments it is given.
    monkeypatch.setattr("sys.argv", ["geoops"])
    monkeypatch.setenv("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    monkeypatch.delenv("GEOOPS_TRACEBACK", raising=False)
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    (tmp_path / "plates.yaml").write_text(RECIPE.format(root=folder))
    return tmp_path


@pytest.fixture
def geoops(place, capfd):
    """Runs a command in this process; returns exit code, output and errors."""

    def run(*args):
        threads = torch.get_num_threads()
        try:
            code = main([str(a) for a in args])
        finally:
            torch.set_num_threads(threads)
        out, err = capfd.readouterr()
        return code, out, err

    return run


CUBE = """
box: {cells: [12, 12, 12], dx: 0.1, eps: 1.0e-7}
dt: 1.0e-3
steps: 30
bodies:
  - {material: jelly, shape: {lattice: [3, 3, 3]}, size: 0.3, centre: [0.6, 0.6, 0.6],
     velocity: [0.5, -2.0, 0.2], spin: [9.0, 8.0, 7.0]}
"""

LAW = """
seed_everything: 3
data:
  observed: cube.yaml
  tests:
    time: {scene: cube.yaml, steps: 40}
model:
  elastic: {class_path: geoops.models.IsotropicEnergy, init_args: {hidden: 4}}
  plastic: {class_path: geoops.models.YieldProjection}
  lr: {elastic: 1.0e-2, plastic: 1.0e-2}
  weak_form: 2
trainer:
  max_epochs: 6
  check_val_every_n_epoch: 3
  accelerator: cpu
"""


@pytest.fixture
def cube(place):
    """A working folder with the scene `cube.yaml` and the recipe `law.yaml`."""
    (place / "cube.yaml").write_text(CUBE)
    (place / "law.yaml").write_text(LAW)
    return place
