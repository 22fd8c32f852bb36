"""edge_sum and edge_dot against gather, multiply and index_add in plain torch, both in one run.

Ratios are what matters: they change far less between machines, and between moments of a busy one, than milliseconds do.
"""

import argparse
from collections.abc import Callable, Iterator

import torch
from _record import Record, compare_ms
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geoops import ops


def torch_sum(x, w, src, dst, n):
    """Weighted neighbour sum as one writes it without geoops."""
    return x.new_zeros(n, x.shape[1]).index_add_(0, dst, w[:, None] * x[src])


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


def rows(edges: int, nodes: int, device: torch.device) -> Iterator[dict[str, object]]:
    """Measures both ops at several widths, forward and with derivatives."""
    src, dst = torch.randint(nodes, (2, edges), device=device)
    w = torch.randn(edges, device=device)
    for channels in (1, 8, 64):
        x, y = torch.randn(2, nodes, channels, device=device)
        for name, pair, floats, rest in (
            ("edge_sum", (ops.edge_sum, torch_sum), [x, w], [src, dst, nodes]),
            ("edge_dot", (ops.edge_dot, torch_dot), [x, y], [src, dst]),
        ):
            ours, theirs = (calls(function, floats, rest) for function in pair)
            torch.testing.assert_close(ours["forward"](), theirs["forward"](), rtol=1e-3, atol=1e-3)
            for kind in ours:
                ms, torch_ms = compare_ms(ours[kind], theirs[kind], repeats=7)
                row = {
                    "op": name,
                    "pass": kind,
                    "channels": channels,
                    "ms": round(ms, 2),
                    "torch_ms": round(torch_ms, 2),
                }
                yield {**row, "speedup": round(torch_ms / ms, 2)}


def main() -> None:
    """Prints the table and writes benchmarks/results/edge_sum.json."""
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
    table = Table(
        "op",
        "pass",
        "channels",
        "geoops ms",
        "torch ms",
        "speed-up",
        title=f"{options.edges} edges, {options.nodes} nodes",
    )
    for row in found:
        table.add_row(*(str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
