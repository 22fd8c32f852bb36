"""What sparser samples save and cost: time of a step, memory and error against the share of the particles that is kept.

    python benchmarks/giorom_sparsity.py --data data/jelly2d data/jelly3d --stepper jelly2d=runs/jelly/model.safetensors
    python benchmarks/giorom_sparsity.py --data data/jelly2d --kept 1/16 1/64 --steps 2 --rounds 1 --multiples 1

The radius follows the number of samples (`connected_radius`); a second sweep changes it at one number of samples. GNS on all
particles is the reference of the same run. Every case runs in a process of its own, in turn; times are medians over steps and
rounds, memory is the peak of one step beyond what the process has before. Steps go along the true motion, so that all networks see
the same graphs; a network without a file has random weights, which cost the same.

Results: benchmarks/results/giorom/sparsity.json.
"""

import argparse
import json
import statistics
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from _giorom import SEEDS, Trained, apart, arguments, chosen, measured_peak, motions, named, number_of, record, rolled, written
from rich.console import Console
from rich.table import Table

from geoops import models
from geoops.data import connected_radius, window
from geoops.models import Stepper, StepperSizes
from geoops.physics import Motion, motion_mse

KEPT = ("1", "1/2", "1/4", "1/8", "1/16", "1/32", "1/64")
MULTIPLES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
#: Networks without a file; those beside ours are measured on all particles alone.
NETWORKS = {
    "ours": ("GIOROM", {}),
    "GNS, 64 x 5": ("GNS", {"width": 64, "layers": 5}),
    "GNS, 128 x 10": ("GNS", {"width": 128, "layers": 10}),
}
console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "sparsity")
    parser.add_argument("--data", type=Path, nargs="+", help="folders of geoops data make particles, one for each scene")
    parser.add_argument(
        "--stepper", nargs="+", default=[], metavar="FOLDER=FILE", help="our stepper for a scene, by its folder's name"
    )
    parser.add_argument("--options", nargs="+", default=[], metavar="FOLDER=JSON", help="of our network where it has no file")
    parser.add_argument("--kept", nargs="+", default=KEPT)
    parser.add_argument("--multiples", nargs="+", type=float, default=MULTIPLES, help="of the radius of the rule")
    parser.add_argument("--fixed", default="1/16", help="share of the particles while the radius is swept")
    parser.add_argument("--steps", type=int, default=7, help="steps that are timed in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--motions", type=int, default=5, help="of the test split, for errors")
    parser.add_argument("--frames", type=int, default=100, help="predicted frames, for errors")
    parser.add_argument("--seeds", type=int, default=3, help="choices of samples, for errors")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser.parse_args()


def network(case: dict[str, Any], motion: Motion) -> Stepper:
    """Returns the trained stepper, or one with random weights."""
    if case.get("file"):
        return Trained.of(case["file"]).stepper
    torch.manual_seed(0)
    name, more = NETWORKS[case["model"]]
    more = more | (case["options"] if case["model"] == "ours" else {})
    return getattr(models, name)(StepperSizes(motion.x.shape[2], motion.names), **more).eval().requires_grad_(False)


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Returns times, memory and errors of a case."""
    (motion,) = motions(Path(case["data"]), "test", 1)
    stepper, sizes = network(case, motion), StepperSizes(motion.x.shape[2], motion.names)
    some = chosen(motion, number_of(motion, case["kept"]), "fps" if case["kept"] < 1 else "all", 0)
    reach = case["times"] * connected_radius(motion, some)
    first = max(SEEDS - 1, len(motion) // 4)  # bodies hit the floor by then
    names, history = stepper.sizes.materials, stepper.sizes.history
    few = chosen(motion, 64, "random", 0)
    small = window(motion, few, first, names, history, connected_radius(motion, few)).joined()
    stepper(small.moved(motion.x[first + 1, few]))  # what the first call alone loads
    graph = window(motion, some, first, names, history, reach).joined()
    peak = measured_peak(lambda: stepper.next(graph.moved(motion.x[first + 1, some])))
    whole, search = [], []
    for t in range(first, first + case["steps"]):
        begin = time.perf_counter()
        stepper.next(graph)
        middle = time.perf_counter()
        graph = graph.moved(motion.x[t + 1, some])
        end = time.perf_counter()
        whole.append(1e3 * (end - begin))
        search.append(1e3 * (end - middle))
    edges = graph.edge_index.shape[1]
    found: dict[str, Any] = {
        "samples": len(some),
        "edges": edges,
        "degree": round(edges / len(some) - 1, 2),
        "radius": round(reach, 5),
        "parameters": sum(p.numel() for p in stepper.parameters()),
        "dim": sizes.dim,
        "particles": len(motion.material),
        "step_ms": whole,
        "search_ms": search,
        "peak_bytes": peak,
    }
    if case["errors"]:
        trained = Trained.of(case["file"])
        found["error"] = errors(trained, case)
    return found


def errors(trained: Trained, case: dict[str, Any]) -> list[float]:
    """Returns the roll-out error of each choice of samples, a mean over motions and frames."""
    found = []
    for seed in range(case["seeds"] if case["kept"] < 1 else 1):
        values = []
        for motion in motions(Path(case["data"]), "test", case["motions"], case["frames"]):
            some = chosen(motion, number_of(motion, case["kept"]), "fps" if case["kept"] < 1 else "all", seed)
            made, broken, _ = rolled(trained, motion, some, case["times"])
            values.append(float("inf") if broken else float(motion_mse(made, motion.of(some)).mean()))
        found.append(statistics.fmean(values))
    return found


def sweep(args: argparse.Namespace, folder: Path, file: str | None, more: dict[str, Any]) -> dict[str, Any]:
    """Returns the rows of both sweeps of a scene."""
    common = {key: getattr(args, key) for key in ("steps", "frames", "motions", "seeds")}
    common |= {"data": str(folder.resolve()), "options": more}
    cases = [{"model": "ours", "kept": float(Fraction(kept)), "times": 1.0} for kept in args.kept]
    cases += [{"model": name, "kept": 1.0, "times": 1.0} for name in NETWORKS if name != "ours"]
    radii = [{"model": "ours", "kept": float(Fraction(args.fixed)), "times": times} for times in args.multiples]
    rows: list[dict[str, Any]] = [{} for _ in cases + radii]
    for turn in range(args.rounds):
        for row, case in zip(rows, cases + radii, strict=True):
            mine = file if case["model"] == "ours" else None
            path = {"file": str(Path(mine).resolve()) if Path(mine).exists() else mine} if mine else {}
            found = apart(__file__, {**common, **case, **path, "errors": bool(mine) and turn == 0}, args.threads)
            if turn == 0:
                row.update(case | found)
            else:
                for key in ("step_ms", "search_ms"):
                    row[key] += found[key]
        console.print(f"{folder.name}: round {turn + 1} of {args.rounds}")
    for row in rows:
        for key in ("step_ms", "search_ms"):
            row[key] = round(statistics.median(row[key]), 3)
    main, by_radius = rows[: len(cases)], rows[len(cases) :]
    dense = {row["model"]: row["step_ms"] for row in main if row["kept"] == 1.0}
    for row in main:
        row["speedup"] = {name: round(ms / row["step_ms"], 2) for name, ms in dense.items()}
    about = {"particles": main[0]["particles"], "dim": main[0]["dim"], "trained": bool(file), "options": more}
    return {**about, "rows": main, "radii": by_radius}


def main() -> None:
    """Prints the tables and writes the record."""
    args = options()
    if args.case:
        torch.set_num_threads(args.threads)
        sys.stdout.write(json.dumps(measure(json.loads(args.case))) + "\n")
        return
    files = named(args.stepper, "--stepper")
    if unknown := set(files) - {folder.name for folder in args.data}:
        raise SystemExit(f"--stepper: no --data folder is called {sorted(unknown)[0]}")
    with record("sparsity", args) as out:
        given = {name: json.loads(text) for name, text in named(args.options, "--options").items()}
        scenes = {folder.name: sweep(args, folder, files.get(folder.name), given.get(folder.name, {})) for folder in args.data}
        out["scenes"], out["steps"], out["rounds"], out["frames"] = scenes, args.steps, args.rounds, args.frames
    for name, found in scenes.items():
        for title, rows in {"kept": found["rows"], "radius": found["radii"]}.items():
            table = Table("network", "kept", "radius", "degree", "ms", "of it search", "MB", "error", title=f"{name}, {title}")
            for r in rows:
                error = f"{statistics.fmean(r['error']):.2e}" if r.get("error") else ""
                cells = [f"{r['times']:g}", f"{r['degree']:.1f}", f"{r['step_ms']:.1f}", f"{r['search_ms']:.1f}"]
                table.add_row(r["model"], str(Fraction(r["kept"])), *cells, f"{r['peak_bytes'] / 1e6:.0f}", error)
            console.print(table)
    console.print(written(out))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
