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
    "gather": "(Tensor x, Tensor index, bool check) -> Tensor",
    "scatter_sum": "(Tensor x, Tensor index, SymInt n, bool check) -> Tensor",
    "scatter_mul": "(Tensor x, Tensor index, SymInt n, bool check) -> Tensor",
    "scatter_others": "(Tensor x, Tensor index, SymInt n) -> Tensor",
    "scatter_extremum": "(Tensor x, Tensor index, SymInt n, bool largest, bool check) -> (Tensor, Tensor)",
    "take": "(Tensor x, Tensor arg) -> Tensor",
    "put": "(Tensor g, Tensor arg, SymInt e) -> Tensor",
    "segment_sum": "(Tensor x, Tensor ptr) -> Tensor",
    "segment_mul": "(Tensor x, Tensor ptr) -> Tensor",
    "segment_extremum": "(Tensor x, Tensor ptr, bool largest) -> (Tensor, Tensor)",
    "gather_csr": "(Tensor x, Tensor ptr, SymInt e) -> Tensor",
    "index_to_ptr": "(Tensor index, SymInt n, bool check) -> Tensor",
    "scatter_softmax": "(Tensor x, Tensor index, SymInt n, bool check) -> Tensor",
    "softmax_backward": "(Tensor y, Tensor g, Tensor index, SymInt n) -> Tensor",
    "scatter_logsumexp": "(Tensor x, Tensor index, SymInt n, bool check) -> Tensor",
    "edge_sum": "(Tensor x, Tensor w, Tensor src, Tensor dst, SymInt n, bool check) -> Tensor",
    "edge_dot": "(Tensor x, Tensor y, Tensor src, Tensor dst, bool check) -> Tensor",
    "edge_attention": "(Tensor logits, Tensor v, Tensor src, Tensor dst, SymInt n, bool check) -> (Tensor, Tensor)",
    "neighbours": "(Tensor x, Tensor y, Tensor? batch_x, Tensor? batch_y, Tensor? box, SymInt k, float r, bool loop) -> Tensor",
    "nearest": "(Tensor x, Tensor y, Tensor? batch_x, Tensor? batch_y, Tensor? box) -> Tensor",
    "fps": "(Tensor x, Tensor? batch, Tensor? priority, float ratio, SymInt number) -> Tensor",
    "relative_attention": "(Tensor q, Tensor k, Tensor v, Tensor x, Tensor y, Tensor normal, Tensor offset, Tensor bias) -> Tensor",
    "svd": "(Tensor F, bool rotations) -> (Tensor, Tensor, Tensor)",
    "svd_backward": "(Tensor U, Tensor sigma, Tensor V, Tensor gU, Tensor gsigma, Tensor gV) -> Tensor",
    "polar": "(Tensor F) -> (Tensor, Tensor)",
    "polar_backward": "(Tensor R, Tensor S, Tensor gR, Tensor gS) -> Tensor",
    "eigh": "(Tensor A) -> (Tensor, Tensor)",
    "eigh_backward": "(Tensor w, Tensor Q, Tensor gw, Tensor gQ) -> Tensor",
    "singular_value_map": "(Tensor F, Tensor y, Tensor U, Tensor V, Tensor even, Tensor odd) -> Tensor",
    "singular_value_map_backward": "(Tensor g, Tensor U, Tensor V, Tensor even, Tensor odd) -> (Tensor, Tensor)",
    "small_matmul": "(Tensor A, Tensor B, bool transpose_a, bool transpose_b) -> Tensor",
    "strain_features": "(Tensor F) -> (Tensor, Tensor, Tensor)",
    "strain_features_backward": "(Tensor F, Tensor features, Tensor R, Tensor U, Tensor g, Tensor gR) -> Tensor",
    "log_strain": "(Tensor F, float least) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    "log_strain_backward": "(Tensor U, Tensor sigma, Tensor V, Tensor gh, Tensor gX, float least) -> Tensor",
    "exp_strain": "(Tensor A, Tensor F) -> (Tensor, Tensor, Tensor)",
    "exp_strain_backward": "(Tensor F, Tensor w, Tensor Q, Tensor g) -> (Tensor, Tensor)",
    "nearest_facet": "(Tensor corners, Tensor points) -> (Tensor, Tensor)",
    "mpm_step": (
        "(Tensor x, Tensor v, Tensor C, Tensor F, Tensor tau, Tensor mass, Tensor volume, SymInt nx, SymInt ny, SymInt nz, int "
        "walls, int bound, float gx, float gy, float gz, float dx, float dt, float clip, float eps) -> (Tensor, Tensor, Tensor, "
        "Tensor)"
    ),
    "mpm_step_backward": (
        "(Tensor gx, Tensor gv, Tensor gC, Tensor gF, Tensor x, Tensor v, Tensor C, Tensor F, Tensor tau, Tensor mass, Tensor "
        "volume, Tensor v2, Tensor C2, SymInt nx, SymInt ny, SymInt nz, int walls, int bound, float grav_x, float grav_y, float "
        "grav_z, float dx, float dt, float clip, float eps) -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
    ),
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


def _load_cpu() -> str:
    """Loads the kernels for the widest instruction set that processor and installation have, and returns its name."""
    isas = ["AVX512", "AVX2", "DEFAULT"]
    capability = torch.backends.cpu.get_cpu_capability()
    for isa in isas[isas.index(capability) if capability in isas else -1 :]:
        name = "geoops_cpu" if isa == "DEFAULT" else f"geoops_cpu_{isa.lower()}"
        if (_FOLDER / f"lib{name}.so").exists() or isa == "DEFAULT":
            return isa if _load(name) else ""
    return ""


_CPU = _load_cpu()
# The CUDA library refers to libtorch_cuda, which a CPU build of torch lacks; the schemas are in the CPU library. It is
# optional even where native code is demanded: not every machine with a GPU has nvcc.
_CUDA = bool(_CPU) and torch.version.cuda is not None and (_FOLDER / "libgeoops_cuda.so").exists() and _load("geoops_cuda")

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
        isa: instruction set of the native kernels, "AVX512", "AVX2" or "DEFAULT"; empty without them. It follows torch's,
            which the environment variable ATEN_CPU_CAPABILITY can lower.
        cuda: "native", "torch", or "absent" where torch sees no CUDA device.
        threads: number of threads of the CPU kernels; `torch.set_num_threads` changes it.
        torch: version of torch.
    """

    cpu: str
    isa: str
    cuda: str
    threads: int
    torch: str


def info() -> Info:
    """Tells whether the native kernels are active; ``python -c "import geoops.ops as o; print(o.info())"`` shows it."""
    cuda = ("native" if _CUDA else "torch") if torch.cuda.is_available() else "absent"
    return Info("native" if _CPU else "torch", _CPU, cuda, torch.get_num_threads(), torch.__version__)
