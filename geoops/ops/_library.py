"""Loads the native libraries and declares the ops, which run on plain torch where no native kernel serves."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

_FOLDER = Path(__file__).resolve().parents[1] / "_native"

#: The same schemas as in csrc/registration.cpp, for installations without the native library.
SCHEMAS = {
    "edge_sum": "(Tensor x, Tensor w, Tensor src, Tensor dst, SymInt n) -> Tensor",
    "edge_dot": "(Tensor x, Tensor y, Tensor src, Tensor dst) -> Tensor",
    "relative_attention": "(Tensor q, Tensor k, Tensor v, Tensor x, Tensor y, Tensor normal, Tensor offset, Tensor bias) -> Tensor",
    "nearest_facet": "(Tensor corners, Tensor points) -> (Tensor, Tensor)",
}


def _load(name: str) -> bool:
    wanted = os.environ.get("GEOOPS_NATIVE", "auto")
    file = _FOLDER / f"lib{name}.so"
    if wanted == "0" or (wanted != "1" and not file.exists()):
        return False
    try:
        torch.ops.load_library(file)
    except OSError as error:
        if wanted == "1":
            raise
        warnings.warn(
            f"{file.name} cannot be loaded, so geoops.ops runs on plain torch, several times slower. Build it again "
            f"for this torch ({torch.__version__}), or set GEOOPS_NATIVE=0 to accept that. The loader said: {error}",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


_CPU = _load("geoops_cpu")
# The CUDA library refers to libtorch_cuda, which a CPU build of torch lacks; the schemas are in the CPU library. It is
# optional even where native code is demanded: not every machine with a GPU has nvcc.
_CUDA = _CPU and torch.version.cuda is not None and (_FOLDER / "libgeoops_cuda.so").exists() and _load("geoops_cuda")

if not _CPU:
    for _name, _schema in SCHEMAS.items():
        torch.library.define(f"geoops::{_name}", _schema)


def plain_torch(op: str, kernel: Callable[..., torch.Tensor]) -> None:
    """Registers a function as the kernel of an op on every device that has no native one."""
    torch.library.impl(f"geoops::{op}", "CompositeExplicitAutograd", kernel)


@dataclass(frozen=True)
class Info:
    """What runs the ops on this machine.

    Args:
        cpu: "native" (compiled kernels) or "torch" (plain torch, several times slower).
        cuda: "native", "torch", or "absent" where torch sees no CUDA device.
        threads: number of threads of the CPU kernels; `torch.set_num_threads` changes it.
        torch: version of torch.
    """

    cpu: str
    cuda: str
    threads: int
    torch: str


def info() -> Info:
    """Tells whether the native kernels are active; ``python -c "import geoops.ops as o; print(o.info())"`` shows it."""
    cuda = ("native" if _CUDA else "torch") if torch.cuda.is_available() else "absent"
    return Info("native" if _CPU else "torch", cuda, torch.get_num_threads(), torch.__version__)
