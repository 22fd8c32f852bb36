"""Reductions against torch-scatter and what torch has built in, all in one process.

Ratios are what matters: they change far less between machines, and between moments of a busy one, than milliseconds do.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch
from _peers import torch_scatter as peer
from _record import Record, compare_ms, keep_memory
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geoops import ops

Call = Callable[[Tensor], Any]


def torch_softmax(x: Tensor, index: Tensor, n: int) -> Tensor:
    """Softmax over the entries of a target as one writes it in torch."""
    where = index[:, None].expand_as(x)
    top = x.new_zeros(n, x.shape[1]).scatter_reduce(0, where, x.detach(), "amax", include_self=False)
    power = (x - top[index]).exp()
    return power / power.new_zeros(n, x.shape[1]).index_add(0, index, power)[index]


def candidates(index: Tensor, ptr: Tensor, n: int) -> dict[str, dict[str, Call]]:
    """Returns for each reduction the functions that compute it, by package."""
    where = lambda x: index[:, None].expand_as(x)  # noqa: E731
    empty = lambda x: x.new_zeros(n, x.shape[1])  # noqa: E731
    found: dict[str, dict[str, Call]] = {
        "scatter sum": {
            "geoops": lambda x: ops.scatter(x, index, 0, n),
            "torch": lambda x: empty(x).index_add(0, index, x),
        },
        "scatter mean": {
            "geoops": lambda x: ops.scatter(x, index, 0, n, "mean"),
            "torch": lambda x: empty(x).scatter_reduce(0, where(x), x, "mean", include_self=False),
        },
        "scatter max": {
            "geoops": lambda x: ops.scatter(x, index, 0, n, "max"),
            "torch": lambda x: empty(x).scatter_reduce(0, where(x), x, "amax", include_self=False),
        },
        "scatter min": {
            "geoops": lambda x: ops.scatter(x, index, 0, n, "min"),
            "torch": lambda x: empty(x).scatter_reduce(0, where(x), x, "amin", include_self=False),
        },
        "softmax": {
            "geoops": lambda x: ops.scatter_softmax(x, index, 0, n),
            "torch": lambda x: torch_softmax(x, index, n),
        },
        "segment sum": {
            "geoops": lambda x: ops.segment_csr(x, ptr),
            "torch": lambda x: torch.segment_reduce(x, "sum", offsets=ptr),
        },
        "segment max": {
            "geoops": lambda x: ops.segment_csr(x, ptr, "max"),
            "torch": lambda x: torch.segment_reduce(x, "max", offsets=ptr),
        },
    }
    if peer is not None:
        theirs: dict[str, Call] = {
            "scatter sum": lambda x: peer.scatter_sum(x, index, 0, dim_size=n),
            "scatter mean": lambda x: peer.scatter_mean(x, index, 0, dim_size=n),
            "scatter max": lambda x: peer.scatter_max(x, index, 0, dim_size=n)[0],
            "scatter min": lambda x: peer.scatter_min(x, index, 0, dim_size=n)[0],
            "softmax": lambda x: peer.scatter_softmax(x, index, 0, dim_size=n),
            "segment sum": lambda x: peer.segment_sum_csr(x, ptr),
            "segment max": lambda x: peer.segment_max_csr(x, ptr)[0],
        }
        for name, call in theirs.items():
            found[name]["torch_scatter"] = call
    return found


def backward(call: Call, x: Tensor, g: Tensor) -> Callable[[], object]:
    """Returns the call with its derivative in x for a given derivative of the result."""
    leaf = x.detach().requires_grad_()
    return lambda: torch.autograd.grad(call(leaf), leaf, g)


def rows(edges: int, nodes: int, widths: list[int], device: torch.device) -> Iterator[dict[str, Any]]:
    """Measures every reduction at several widths, forward and with derivatives."""
    index = torch.randint(nodes, (edges,), device=device)
    ptr = torch.searchsorted(index.sort().values, torch.arange(nodes + 1, device=device))
    for channels in widths:
        x = torch.randn(edges, channels, device=device)
        copy = torch.empty_like(x)
        (copy_ms,) = compare_ms(lambda c=copy, x=x: c.copy_(x))
        copied = 2 * 4 * edges * channels / copy_ms  # bytes read and written in a millisecond
        for name, calls in candidates(index, ptr, nodes).items():
            expected = calls["geoops"](x)
            for call in calls.values():
                found = call(x)
                full = (ptr.diff() > 0)[:, None] if len(found) == nodes else torch.ones(1, 1, dtype=torch.bool)
                torch.testing.assert_close(found.where(full, 0), expected.where(full, 0), rtol=1e-3, atol=1e-3)  # empty: -inf
            g = torch.randn_like(expected)
            moved = 4 * (x.numel() + expected.numel()) + 8 * (ptr.numel() if "segment" in name else edges)
            for kind in ("forward", "forward and backward"):
                timed = [partial(call, x) if kind == "forward" else backward(call, x, g) for call in calls.values()]
                ms = dict(zip(calls, compare_ms(*timed, repeats=7 if channels > 8 else 31), strict=True))
                row = {"op": name, "pass": kind, "channels": channels, "ms": {k: round(v, 3) for k, v in ms.items()}}
                if kind == "forward":
                    row["copy_share"] = round(moved / ms["geoops"] / copied, 3)
                yield row


def middle(draws: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns the median of the same row in several draws of the data."""
    row = {key: draws[0][key] for key in ("op", "pass", "channels")}
    row["ms"] = {k: median(draw["ms"][k] for draw in draws) for k in draws[0]["ms"]}
    row["times"] = {k: round(v / row["ms"]["geoops"], 2) for k, v in row["ms"].items() if k != "geoops"}
    if "copy_share" in draws[0]:
        row["copy_share"] = median(draw["copy_share"] for draw in draws)
    return row


def main() -> None:
    """Prints the table and writes benchmarks/results/scatter.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 8, 1])
    parser.add_argument("--draws", type=int, default=5, help="times that data are drawn anew, to lie elsewhere in memory")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console, table = Console(), Table("reduction", "pass", "channels", "geoops ms", "times torch_scatter", "times torch", "of copy")
    with Record("scatter" if options.device.type == "cpu" else f"scatter_{options.device.type}", seed=0) as record:
        record["edges"], record["nodes"], record["dtype"], record["draws"] = options.edges, options.nodes, "float32", options.draws
        record["kernels"] = vars(ops.info())
        found = []
        draws = [list(rows(options.edges, options.nodes, options.channels, options.device)) for _ in range(options.draws)]
        for row in map(middle, zip(*draws, strict=True)):
            found.append(row)
            times = [str(row["times"].get(k, "")) for k in ("torch_scatter", "torch")]
            share = f"{row['copy_share']:.0%}" if "copy_share" in row else ""
            table.add_row(row["op"], row["pass"], str(row["channels"]), str(row["ms"]["geoops"]), *times, share)
        record["rows"] = found
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
