"""Puts the stand-ins where imports look for the packages they stand for."""

import importlib.metadata
import importlib.util
import sys
import warnings

from . import pyg_lib, torch_cluster, torch_scatter
from ._torch_ops import register


def install() -> None:
    """Makes `import torch_scatter` and `import torch_cluster` find `geoops.compat`, for all code of the process.

    Call it before anything imports torch_geometric or one of the packages: torch_geometric looks for them once, when it is
    imported. From version 2.8 on it looks for pyg_lib in place of torch_cluster; if pyg_lib is not installed it finds the
    part of it that replaced torch_cluster. A second call does nothing.

    Raises:
        RuntimeError: torch_geometric, torch_scatter or torch_cluster is imported already.

    Example:
        ```python
        import geoops.compat

        geoops.compat.install()
        import torch_geometric
        ```
    """
    modules = {
        "torch_scatter": torch_scatter,
        "torch_scatter.composite": torch_scatter.composite,
        "torch_scatter.utils": torch_scatter.utils,
        "torch_cluster": torch_cluster,
    }
    if all(sys.modules.get(name) is module for name, module in modules.items()):
        return
    for name in ("torch_geometric", *modules):
        if sys.modules.get(name) is not None:
            raise RuntimeError(
                f"install: {name} is imported already; call geoops.compat.install() at the start of the program, before "
                "the first import of torch_geometric, torch_scatter or torch_cluster"
            )
    if _pyg_version() >= (2, 8):
        if importlib.util.find_spec("pyg_lib") is None:
            register("pyg")
            modules |= {"pyg_lib": pyg_lib, "pyg_lib.ops": pyg_lib.ops, "pyg_lib.sampler": pyg_lib.sampler}
        warnings.filterwarnings("ignore", "'torch-cluster' is no longer necessary", DeprecationWarning)
    register("torch_cluster")
    sys.modules.update(modules)


def _pyg_version() -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in importlib.metadata.version("torch_geometric").split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return ()
