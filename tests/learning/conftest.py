"""A folder of plates whose stress is a formula, and networks small enough to train in a test."""

import math

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from geoops import io
from geoops.data import MeshData, ParticleData, parse_scene, simulated, write_motion
from geoops.geometry import Cells, Mesh
from geoops.models import Network
from geoops.testing import random_motion


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


@pytest.fixture(name="plate")
def _plate():
    return plate


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("plates")
    for split, count, first in (("train", 6, 0), ("val", 3, 100), ("test", 2, 200)):
        (root / split).mkdir()
        for i in range(count):
            io.write(root / split / f"{i:03d}.vtu", plate(first + i, n=4 + i % 3))
    return root


@pytest.fixture
def data(folder):
    def build(**options):
        defaults = {"inputs": ["kind"], "targets": ["stress"], "batch_size": 4, "points_per_step": 12, "seed": 1}
        return MeshData(folder, **{**defaults, **options})

    return build


class Tiny(Network):
    """A perceptron of the position, with dropout so that random state matters."""

    uses_nodes = False

    def __init__(self, sizes, *, width: int = 16, dropout: float = 0.1):
        super().__init__(sizes)
        self.net = nn.Sequential(
            nn.Linear(sizes.dim + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Dropout(dropout),
            nn.Linear(width, sizes.outputs),
        )  # fmt: skip

    def encode(self, shapes):
        return shapes.mu

    def decode(self, code, pos, sdf):
        return self.net(torch.cat([pos, sdf], -1))


class Staged(Network):
    """Learns the distance to the boundary, then the field from that frozen layer; `log` keeps what happened."""

    stages = ("geometry", "field")

    def __init__(self, sizes, *, width: int = 8):
        super().__init__(sizes)
        self.first = nn.Linear(sizes.dim, width)
        self.geometry = nn.Linear(width, 1)
        self.field = nn.Linear(width, sizes.outputs)
        self.register_buffer("seen", torch.zeros(()))
        self.log = []

    def encode(self, shapes):
        return shapes.mu

    def decode(self, code, pos, sdf):
        return self.field(torch.tanh(self.first(pos)))

    def stage_loss(self, stage, shapes, pos, sdf, target, loss):
        if stage == "geometry":
            return (self.geometry(torch.tanh(self.first(pos))) - sdf).square().mean()
        return loss(self(shapes, pos, sdf), target)

    def stage_parameters(self, stage):
        layers = [self.first, self.geometry] if stage == "geometry" else [self.field]
        return [p for layer in layers for p in layer.parameters()]

    def begin_stage(self, stage, train):
        count = sum(len(shapes) for shapes in train())
        self.seen += count
        self.log.append((stage, self.first.weight.detach().clone()))

    def after_step(self, stage):
        self.log.append(stage)


@pytest.fixture
def tiny():
    return Tiny


@pytest.fixture
def staged():
    return Staged


@pytest.fixture
def trainer(tmp_path):
    def build(**options):
        defaults = {
            "max_steps": 10,
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "check_val_every_n_epoch": None,
            "val_check_interval": 5,
            "default_root_dir": tmp_path,
            "log_every_n_steps": 5,
        }
        return Trainer(**{**defaults, **options})

    return build


CUBE = """
box: {{cells: [16, 16, 16], dx: 0.1, eps: 1.0e-7}}
dt: 1.0e-3
steps: {steps}
dtype: float64
bodies:
  - {{material: {material}, shape: {{lattice: [3, 3, 3]}}, size: 0.3, centre: [0.8, 0.8, 0.8],
     velocity: [0.5, -1.0, 0.2], spin: [3.0, 2.0, 1.0]}}
"""


@pytest.fixture
def motion():
    """Makes a short motion of a small cube."""

    def make(name="jelly", steps=40):
        return simulated(parse_scene(CUBE.format(material=name, steps=steps)))

    return make


@pytest.fixture(scope="session")
def motions(tmp_path_factory):
    """Motions of 60 particles in the plane: four to train on, two to validate, two to test."""
    root = tmp_path_factory.mktemp("motions")
    for split, first, count in (("train", 0, 4), ("val", 10, 2), ("test", 20, 2)):
        (root / split).mkdir()
        for i in range(first, first + count):
            write_motion(root / split / f"{i:05d}.vtkhdf", random_motion(60, frames=16, seed=i))
    return root


@pytest.fixture
def particles(motions):
    def build(**options):
        defaults = {"samples": (20, 30), "particles_per_step": 60, "keep": 0.4, "seeds": 2, "noise": 1e-4, "queries": 40, "seed": 1}
        return ParticleData(motions, **{**defaults, **options})

    return build
