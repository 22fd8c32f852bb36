"""torch-scatter and torch-cluster as `make peers` builds them from source; None where they are missing."""

import importlib
import sys
from types import ModuleType

from _record import ROOT

sys.path.insert(0, str(ROOT / "build" / "peers"))


def _load(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not there, so it is left out; `make peers` builds it", file=sys.stderr)
        return None


torch_scatter = _load("torch_scatter")
torch_cluster = _load("torch_cluster")
