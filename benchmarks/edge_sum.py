"""edge_sum and edge_dot against gather, multiply and index_add in plain torch or torch-scatter, all in one run.

Ratios are what matters: they change far less between machines, and between moments of a busy one, than milliseconds do.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from _peers import torch_scatter as peer
from _record import ROOT, Record, compare_ms, keep_memory
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geoops import ops


def torch_sum(x, w, src, dst, n):
    """Weighted neighbour sum as one writes it without geoops."""
    return x.new_zeros(n, x.shape[1]).index_add_(0, dst, w[:, None] * x[src])


def peer_sum(x, w, src, dst, n):
    """The same with the sum of torch-scatter."""
    return peer.scatter_sum(w[:, None] * x[src], dst, 0, dim_size=n)


def torch_dot(x, y, src, dst):
    """Inner products along the edges as one writes them without geoops."""
    return (x[src] * y[dst]).sum(1)


def calls(function: Callable[..., Tensor], floats: list[Tensor], rest: list) -> dict[str, Callable[[], object]]:
    """Returns what is timed: the function alone, and with its derivatives in all floating inputs."""
    inputs = [tensor.detach().requires_grad_() for tensor in floats]
    return {
        "forward": lambda: function(*floats, *rest),
        "forward and backward": lambda: torch.autograd.grad(function(*inputs, *rest).square().sum(), inputs),
    }


def rows(edges: int, nodes: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """Measures both ops at several widths, forward and with derivatives."""
    src, dst = torch.randint(nodes, (2, edges), device=device)
    w = torch.randn(edges, device=device)
    for channels in (1, 8, 64):
        x, y = torch.randn(2, nodes, channels, device=device)
        sums = {"geoops": ops.edge_sum, "torch": torch_sum, **({} if peer is None else {"torch_scatter": peer_sum})}
        for name, functions, floats, rest in (
            ("edge_sum", sums, [x, w], [src, dst, nodes]),
            ("edge_dot", {"geoops": ops.edge_dot, "torch": torch_dot}, [x, y], [src, dst]),
        ):
            timed = {package: calls(function, floats, rest) for package, function in functions.items()}
            for other in timed.values():
                torch.testing.assert_close(other["forward"](), timed["geoops"]["forward"](), rtol=1e-3, atol=1e-3)
            for kind in timed["geoops"]:
                ms = dict(zip(timed, compare_ms(*(t[kind] for t in timed.values()), repeats=7), strict=True))
                row = {"op": name, "pass": kind, "channels": channels, "ms": {k: round(v, 2) for k, v in ms.items()}}
                yield {**row, "times": {k: round(v / ms["geoops"], 2) for k, v in ms.items() if k != "geoops"}}


def peak_mib(package: str, edges: int, nodes: int, channels: int) -> float:
    """Returns how far one call raises the peak memory of a fresh process, in MiB."""
    script = (
        "import re, sys, torch; from pathlib import Path; sys.path.insert(0, 'benchmarks'); import edge_sum as b\n"
        f"torch.manual_seed(0); src, dst = torch.randint({nodes}, (2, {edges}))\n"
        f"x, w = torch.randn({nodes}, {channels}), torch.randn({edges})\n"
        f"call = dict(geoops=b.ops.edge_sum, torch=b.torch_sum, torch_scatter=b.peer_sum)['{package}']\n"
        "call(x, w[:10], src[:10], dst[:10], len(x))\n"
        "Path('/proc/self/clear_refs').write_text('5')\n"  # the peak so far is forgotten
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024\n"
        f"before = peak(); call(x, w, src, dst, {nodes}); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return round(float(done.stdout), 1)


def main() -> None:
    """Prints the table and writes benchmarks/results/edge_sum.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    name = "edge_sum" if options.device.type == "cpu" else f"edge_sum_{options.device.type}"
    with Record(name, seed=0) as record:
        found = list(rows(options.edges, options.nodes, options.device))
        record["edges"], record["nodes"], record["dtype"] = options.edges, options.nodes, "float32"
        record["kernels"] = vars(ops.info())
        record["rows"] = found
        if options.device.type == "cpu":
            packages = ["geoops", "torch", *([] if peer is None else ["torch_scatter"])]
            record["peak_mib"] = {p: peak_mib(p, options.edges, options.nodes, 64) for p in packages}
            record["edges_times_channels_mib"] = round(options.edges * 64 * 4 / 2**20, 1)
    table = Table("op", "pass", "channels", "ms", "times geoops", title=f"{options.edges} edges, {options.nodes} nodes")
    for row in found:
        table.add_row(*(str(value) for value in row.values()))
    console = Console()
    console.print(record.results.get("peak_mib", ""))
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
