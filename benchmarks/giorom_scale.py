"""Placing 100,000 points from 1,000 samples: time of a frame, memory, growth, and its share of a step of a dense simulator.

    python benchmarks/giorom_scale.py --data data/jelly3d --threads 2
    python benchmarks/giorom_scale.py --data data/jelly3d --points 12500 25000 --frames 2 --dense 0

The samples move as in the first test motion; the points are drawn around its particles. Decoders are not trained, which costs the
same. Every case runs in a process of its own. Results: benchmarks/results/giorom/scale.json.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _giorom import CHUNK, SEEDS, apart, arguments, chosen, decoder_of, measured_peak, motions, record, written
from growth import slope
from rich.console import Console
from rich.table import Table
from torch import Tensor

from geoops.data import radius_of, window
from geoops.geometry import sample_spacing
from geoops.models import GNS, StepperSizes
from geoops.physics import Motion

DENSE = ((64, 5), (128, 10))  # width and layers of the simulators of all points
console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "scale")
    parser.set_defaults(threads=2)
    parser.add_argument("--data", type=Path, help="folder of geoops data make particles")
    parser.add_argument("--decoders", nargs="+", default=("LocalAffine", "MovingLeastSquares", "FlowMap"), help="classes or files")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--points", type=int, nargs="+", default=(12_500, 25_000, 50_000, 100_000, 200_000, 500_000, 1_000_000))
    parser.add_argument("--frames", type=int, default=12, help="frames that are timed")
    parser.add_argument("--dense", type=int, default=100_000, help="points of the dense simulator, 0 for none")
    parser.add_argument("--steps", type=int, default=3, help="steps of the dense simulator that are timed, after one that is not")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="points that are placed together")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser.parse_args()


def around(motion: Motion, n: int) -> tuple[Tensor, Tensor]:
    """Returns n points within the body at the start, and the particle that each is near."""
    spacing = sample_spacing(float(motion.volume.sum()), len(motion.material), motion.x.shape[2])
    near = torch.randint(len(motion.material), (n,))
    return motion.x[0, near] + spacing * (torch.rand(n, motion.x.shape[2]) - 0.5), near


def decode(case: dict[str, Any]) -> dict[str, Any]:
    """Returns seconds of a frame and peak memory of a decoder, frame by frame as in a roll-out."""
    (motion,) = motions(Path(case["data"]), "test", 1)
    decoder = decoder_of(case["decoder"], motion.x.shape[2])
    queries, _ = around(motion, case["points"])
    samples = motion.x[:, chosen(motion, case["samples"], "fps", 0)]
    first = len(motion) // 4
    decoder.place(decoder.begin(samples[0], queries[:100]), samples[1:3])  # what the first call alone loads
    seconds: list[float] = []
    starting: list[float] = []

    def run() -> None:
        begin = time.perf_counter()
        parts = queries.split(case["chunk"])
        states = [decoder.begin(samples[0], some) for some in parts]
        starting.append(time.perf_counter() - begin)
        for t in range(first, min(first + case["frames"] + 1, len(samples))):
            begin, places = time.perf_counter(), []
            for i, state in enumerate(states):
                x, states[i] = decoder.place(state, samples[t : t + 1])
                places.append(x[0])
            torch.cat(places)
            seconds.append(time.perf_counter() - begin)

    peak = measured_peak(run)
    timed = seconds[1:] or seconds
    found = {"seconds_per_frame": statistics.median(timed), "mean_seconds_per_frame": statistics.fmean(timed)}
    return {**found, "begin_seconds": starting[0], "peak_bytes": peak}


def step(case: dict[str, Any]) -> dict[str, Any]:
    """Returns seconds of a step of a graph network simulator of all points, and its peak memory."""
    (motion,) = motions(Path(case["data"]), "test", 1)
    points, near = around(motion, case["points"])
    first = len(motion) // 4
    x = points + (motion.x[: first + case["steps"] + 2, near] - motion.x[0, near])
    share = float(motion.volume.sum()) / len(near)
    dense = replace(motion, x=x, material=motion.material[near], volume=motion.volume.new_full((len(near),), share))
    everything = torch.arange(len(near))
    stepper = GNS(StepperSizes(x.shape[2], motion.names), width=case["width"], layers=case["layers"]).eval().requires_grad_(False)
    graph = window(dense, everything, max(first, SEEDS), motion.names, 5, radius_of(dense, len(near))).joined()
    seconds: list[float] = []

    def run() -> None:
        now = graph
        for t in range(case["steps"] + 1):
            begin = time.perf_counter()
            stepper.next(now)
            now = now.moved(x[min(first + t + 1, len(x) - 1)])
            seconds.append(time.perf_counter() - begin)

    peak = measured_peak(run)
    return {"seconds_per_step": statistics.median(seconds[1:]), "edges": graph.edge_index.shape[1], "peak_bytes": peak}


def main() -> None:
    """Prints the table and writes the record."""
    args = options()
    if args.case:
        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        case = json.loads(args.case)
        sys.stdout.write(json.dumps(step(case) if "width" in case else decode(case)) + "\n")
        return
    common = {"data": str(args.data.resolve()), "samples": args.samples, "frames": args.frames, "chunk": args.chunk}
    table = Table("what", "points", "s per frame", "MB")
    with record("scale", args) as out:
        out["samples"], out["chunk"], out["frames"] = args.samples, args.chunk, args.frames
        found: dict[str, Any] = {}
        for which in args.decoders:
            name = which if not Path(which).exists() else Path(which).resolve().parent.name
            given = which if name == which else str(Path(which).resolve())
            rows = []
            for n in args.points:
                row = {"points": n} | apart(__file__, {**common, "decoder": given, "points": n}, args.threads)
                rows.append(row)
                table.add_row(name, f"{n:,}", f"{row['seconds_per_frame']:.3f}", f"{row['peak_bytes'] / 1e6:.0f}")
            sizes, times = [row["points"] for row in rows], [row["seconds_per_frame"] for row in rows]
            found[name] = {"rows": rows, "slope": round(slope(sizes, times), 3) if len(rows) > 1 else None}
        dense = []
        for width, layers in DENSE if args.dense else ():
            case = {**common, "points": args.dense, "steps": args.steps, "width": width, "layers": layers}
            row = {"width": width, "layers": layers, "points": args.dense} | apart(__file__, case, args.threads)
            same = {name: next((r for r in f["rows"] if r["points"] == args.dense), None) for name, f in found.items()}
            row["share"] = {name: r["seconds_per_frame"] / row["seconds_per_step"] for name, r in same.items() if r}
            dense.append(row)
            table.add_row(
                f"GNS, {width} x {layers}", f"{args.dense:,}", f"{row['seconds_per_step']:.3f}", f"{row['peak_bytes'] / 1e6:.0f}"
            )
        out["decoders"], out["dense"] = found, dense
    console.print(table)
    console.print(written(out))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
