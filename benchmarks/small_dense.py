"""Decompositions of many small matrices against torch.linalg in the same process, and how exact both are."""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from _record import Record, compare_ms, keep_memory
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geoops import ops


def torch_polar(f: Tensor) -> tuple[Tensor, Tensor]:
    """Polar decomposition as one writes it in torch."""
    u, s, vh = torch.linalg.svd(f)
    return u @ vh, vh.mT @ (s[..., None] * vh)


def candidates() -> dict[str, tuple[Callable, Callable]]:
    """Returns ours and theirs; the last outputs compared do not depend on signs."""
    return {
        "svd": (ops.svd, torch.linalg.svd),
        "eigh": (lambda f: ops.eigh(f + f.mT), lambda f: torch.linalg.eigh(f + f.mT)),
        "polar": (ops.polar, torch_polar),
    }


def derivative(call: Callable, f: Tensor) -> Callable[[], object]:
    """Returns the call with the derivative of a sum of all outputs."""
    leaf = f.detach().requires_grad_()
    weights = [torch.randn_like(part) for part in call(f)]
    return lambda: torch.autograd.grad(sum((part * w).sum() for part, w in zip(call(leaf), weights, strict=True)), leaf)


def error(f: Tensor) -> dict[str, float]:
    """Returns the largest relative error of singular values and of the product, in float32 against float64."""
    exact = torch.linalg.svdvals(f.double())
    scale = exact[:, :1]
    u, s, v = ops.svd(f)
    values = ((s.double().abs() - exact).abs() / scale).max()
    product = u.double() @ (s.double()[..., None] * v.double().mT)
    whole = ((product - f.double()).abs().amax((1, 2)) / scale[:, 0]).max()
    theirs = ((torch.linalg.svdvals(f).double() - exact).abs() / scale).max()
    return {"singular_values": values.item(), "product": whole.item(), "singular_values_of_torch": theirs.item()}


def main() -> None:
    """Prints the table and writes benchmarks/results/small_dense.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matrices", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    table = Table("op", "size", "pass", "geoops ms", "torch ms", "speed-up")
    with Record("small_dense", seed=0) as record:
        record["matrices"], record["dtype"], record["kernels"] = options.matrices, "float32", vars(ops.info())
        found: list[dict[str, Any]] = []
        for size in (2, 3):
            f = torch.randn(options.matrices, size, size)
            record[f"error_{size}"] = error(f)
            for name, (ours, theirs) in candidates().items():
                for kind in ("forward", "forward and backward"):
                    calls = [(lambda c=c, f=f: c(f)) if kind == "forward" else derivative(c, f) for c in (ours, theirs)]
                    ms, torch_ms = compare_ms(*calls, repeats=7)
                    row = {"op": name, "size": size, "pass": kind, "ms": round(ms, 2), "torch_ms": round(torch_ms, 2)}
                    found.append({**row, "speedup": round(torch_ms / ms, 2)})
                    table.add_row(*(str(cell) for cell in found[-1].values()))
        record["rows"] = found
    console = Console()
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
