"""Prints a checksum of what sums and their derivatives are in the emulated kernels: ``order.py library seed mode``.

The emulation draws the order of threads from GEOOPS_EMULATION_SEED, the numbers depend on the seed given here only. Mode
"fixed" is that of `torch.use_deterministic_algorithms`.
"""

import hashlib
import sys

import torch

from geoops.ops import _derive, edge_attention, edge_sum, scatter, scatter_logsumexp, scatter_softmax
from geoops.ops._library import SCHEMAS


def emulate(library):
    """Puts the emulated kernels in the place of those of the CPU."""
    for name, schema in SCHEMAS.items():
        torch.library.define(f"geoops_emulated::{name}", schema)
    torch.ops.load_library(library)
    overrides = torch.library.Library("geoops", "IMPL", "CPU")
    for name in SCHEMAS:
        if torch._C._dispatch_has_kernel_for_dispatch_key(f"geoops_emulated::{name}", "CPU"):
            overrides.impl(name, getattr(torch.ops.geoops_emulated, name).default, allow_override=True)
    return overrides


def results(dtype):
    edges, n = 700, 4
    index, src = torch.randint(n, (edges,)), torch.randint(6, (edges,))
    for inner in (1, 5):
        x = torch.randn(edges, inner, dtype=dtype, requires_grad=True)
        for reduce in ("sum", "mean", "mul"):
            yield x, scatter(x if reduce != "mul" else 1 + x / 64, index, 0, n, reduce)
        yield x, scatter_softmax(x, index, 0, n)
        yield x, scatter_logsumexp(x, index, 0, n)
    rows, w = torch.randn(6, 2, 3, dtype=dtype, requires_grad=True), torch.randn(edges, 2, dtype=dtype, requires_grad=True)
    yield rows, edge_sum(rows, w, src, index, n)
    yield w, edge_attention(w, rows, src, index, n)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(int(sys.argv[2]))
    kept = emulate(sys.argv[1])
    if sys.argv[3] == "fixed":
        _derive._in_order = lambda x: True
    total = hashlib.sha256()
    for _dtype in (torch.float32, torch.float64, torch.bfloat16):
        for _x, _y in results(_dtype):
            (_g,) = torch.autograd.grad(_y.float().square().sum(), _x)
            for _t in (_y, _g):
                total.update(_t.detach().contiguous().view(torch.uint8).numpy().tobytes())
    print(total.hexdigest())  # noqa: T201
