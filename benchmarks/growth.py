"""How the time of the ops grows with the number of edges or points: the slope of a line through the logarithms."""

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from _record import Record, compare_ms, keep_memory
from rich.console import Console
from rich.table import Table

from geoops import ops


def candidates(edges: int, channels: int) -> Mapping[str, tuple[Callable[[], object], int]]:
    """Returns the ops at one size and their exact numbers of edges: ten for each node, but those that a search finds."""
    nodes = edges // 10
    index = torch.randint(nodes, (edges,))
    ptr = torch.searchsorted(index.sort().values, torch.arange(nodes + 1))
    x, at_nodes, w = torch.randn(edges, channels), torch.randn(nodes, channels), torch.randn(edges)
    src = torch.randint(nodes, (edges,))
    for_radius, for_knn = torch.rand(edges // 20, 3), torch.rand(edges // 16, 3)
    r = (20 / len(for_radius) / (4 / 3 * math.pi)) ** (1 / 3)
    sums: dict[str, Callable[[], object]] = {
        "scatter sum": lambda: ops.scatter(x, index, 0, nodes),
        "scatter max": lambda: ops.scatter(x, index, 0, nodes, "max"),
        "softmax": lambda: ops.scatter_softmax(x, index, 0, nodes),
        "segment sum": lambda: ops.segment_csr(x, ptr),
        "segment max": lambda: ops.segment_csr(x, ptr, "max"),
        "edge_sum": lambda: ops.edge_sum(at_nodes, w, src, index, nodes),
    }
    return {name: (call, edges) for name, call in sums.items()} | {
        "radius graph": (lambda: ops.radius_graph(for_radius, r), ops.radius_graph(for_radius, r).shape[1]),
        "knn": (lambda: ops.knn(for_knn, for_knn, 16), 16 * len(for_knn)),
    }


def slope(sizes: list[int], times: list[float]) -> float:
    """Returns the slope of the least-squares line through (log size, log time)."""
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (sizes, times))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def main() -> None:
    """Prints the table and writes benchmarks/results/growth.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 31_623, 100_000, 316_228, 1_000_000, 3_162_278, 10_000_000]
    )
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    counts: dict[str, list[int]] = {}
    times: dict[str, list[float]] = {}
    with Record("growth", seed=0) as record:
        for edges in options.sizes:
            for name, (call, count) in candidates(edges, options.channels).items():
                (ms,) = compare_ms(call, repeats=15 if edges <= 100_000 else 5)
                times.setdefault(name, []).append(round(ms, 4))
                counts.setdefault(name, []).append(count)
        record["sizes"], record["channels"], record["dtype"] = options.sizes, options.channels, "float32"
        record["kernels"] = vars(ops.info())
        rows: list[dict[str, Any]] = [
            {"op": op, "edges": counts[op], "ms": ms, "slope": round(slope(counts[op], ms), 3)} for op, ms in times.items()
        ]
        record["rows"] = rows
    table = Table("op", *(f"{size:.0e}" for size in options.sizes), "slope")
    for row in rows:
        table.add_row(row["op"], *(f"{ms:.3g}" for ms in row["ms"]), str(row["slope"]))
    console = Console()
    console.print(table)
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
