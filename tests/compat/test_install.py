"""`geoops.compat.install`, and torch_geometric after it, in fresh processes."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from geoops import compat

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("torch_geometric", "torch_scatter", "torch_scatter.composite", "torch_scatter.utils", "torch_cluster")


def run(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def fresh(monkeypatch):
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["torch_geometric", "torch_scatter", "torch_cluster"])
def test_it_refuses_when_it_is_too_late(fresh, name):
    fresh.setitem(sys.modules, name, ModuleType(name))
    with pytest.raises(RuntimeError, match=rf"{name} is imported already; call geoops.compat.install\(\) at the start"):
        compat.install()


def test_a_second_call_does_nothing(fresh):
    modules = (compat.torch_scatter, compat.torch_scatter.composite, compat.torch_scatter.utils, compat.torch_cluster)
    for name, module in zip(NAMES[1:], modules, strict=True):
        fresh.setitem(sys.modules, name, module)
    fresh.setitem(sys.modules, "torch_geometric", ModuleType("torch_geometric"))
    compat.install()


def test_imports_and_operators_without_torch_geometric():
    run(
        "-c",
        """
import sys, importlib, importlib.util, torch
from geoops import compat
from geoops.compat import _install
_install._pyg_version = lambda: (2, 7)  # which asks for torch_cluster
compat.install()
assert "torch_geometric" not in sys.modules and "pyg_lib" not in sys.modules
import torch_scatter, torch_cluster
from torch_scatter import scatter_add, scatter_softmax
from torch_scatter.composite import scatter_std
from torch_scatter.utils import broadcast
from torch_cluster import radius_graph
assert torch_scatter is compat.torch_scatter and torch_cluster is compat.torch_cluster
assert importlib.import_module("torch_scatter.composite") is compat.torch_scatter.composite
for name in ("torch_scatter", "torch_scatter.composite", "torch_cluster"):
    assert importlib.util.find_spec(name) is not None
rowptr, col = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 2, 0])
nodes, edges = torch.ops.torch_cluster.random_walk(rowptr, col, torch.tensor([0, 2]), 3, 1.0, 1.0)
assert nodes.tolist() == [[0, 1, 2, 0], [2, 0, 1, 2]] and edges.tolist() == [[0, 1, 2], [2, 0, 1]]
""",
    )


@pytest.mark.slow
def test_layers_of_torch_geometric():
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/compat/layers.py")
