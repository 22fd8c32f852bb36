"""Searches for neighbours against torch-cluster and scipy, all in one process; and a million points in bounded memory."""

import argparse
import resource
import time
from typing import Any

import torch
from _peers import torch_cluster as peer
from _record import Record, compare_ms, keep_memory
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from geoops import ops


def radius_for(points: int, neighbours: float, dim: int) -> float:
    """Returns the radius within which uniform points in the unit cube have so many neighbours, away from its faces."""
    ball = {1: 2.0, 2: torch.pi, 3: 4 / 3 * torch.pi}[dim]
    return (neighbours / points / ball) ** (1 / dim)


def searches(x: torch.Tensor, r: float, k: int, workers: int) -> dict[str, dict[str, Any]]:
    """Returns for each search the functions that do it, by package. All of them build their tree or cells anew."""
    array = x.numpy()
    number = len(x)
    most = number if len(x) < 1000 else 200  # torch-cluster wants a cap; no point here has so many neighbours
    found: dict[str, dict[str, Any]] = {
        "radius graph": {
            "geoops": lambda: ops.radius_graph(x, r),
            "scipy query_pairs": lambda: KDTree(array).query_pairs(r, output_type="ndarray"),
            "scipy query_ball_point": lambda: KDTree(array).query_ball_point(array, r, workers=workers),
        },
        "knn": {
            "geoops": lambda: ops.knn(x, x, k),
            "scipy query": lambda: KDTree(array).query(array, k, workers=workers),
        },
        "fps, 1 in 100": {"geoops": lambda: ops.fps(x, ratio=0.01)},
    }
    if peer is not None:
        found["radius graph"]["torch_cluster"] = lambda: peer.radius_graph(x, r, max_num_neighbors=most)
        found["knn"]["torch_cluster"] = lambda: peer.knn(x, x, k)
        found["fps, 1 in 100"]["torch_cluster"] = lambda: peer.fps(x, ratio=0.01, random_start=False)
    return found


def million(neighbours: float) -> dict[str, Any]:
    """Returns time and memory of a radius graph on a million points."""
    x = torch.rand(1_000_000, 3)
    begin = time.perf_counter()
    edges = ops.radius_graph(x, radius_for(len(x), neighbours, 3)).shape[1]
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"points": len(x), "edges": edges, "seconds": round(seconds, 2), "peak_gib_of_process": round(peak, 2)}


def main() -> None:
    """Prints the table and writes benchmarks/results/neighbours.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--neighbours", type=float, default=20)
    parser.add_argument("--k", type=int, default=16)
    parser.add_argument("--threads", type=int, default=None, help="default: torch's own choice; scipy gets as many workers")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    table = Table("search", "package", "ms", "times geoops")
    with Record("neighbours", seed=0) as record:
        record["points"], record["dtype"], record["kernels"] = options.points, "float32", vars(ops.info())
        record["million"] = million(options.neighbours)
        x = torch.rand(options.points, 3)
        r = radius_for(options.points, options.neighbours, 3)
        edges = ops.radius_graph(x, r).shape[1]
        record["radius"], record["k"], record["mean_neighbours"] = r, options.k, round(edges / options.points, 2)
        assert edges == 2 * len(KDTree(x.numpy()).query_pairs(r))
        found = []
        for name, calls in searches(x, r, options.k, torch.get_num_threads()).items():
            ms = dict(zip(calls, compare_ms(*calls.values(), repeats=5), strict=True))
            for package, value in ms.items():
                row = {"search": name, "package": package, "ms": round(value, 2), "times": round(value / ms["geoops"], 2)}
                found.append(row)
                table.add_row(*(str(cell) for cell in row.values()))
        record["rows"] = found
    console = Console()
    console.print(table)
    console.print(record.results["million"])
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
