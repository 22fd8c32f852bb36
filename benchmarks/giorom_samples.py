"""One stepper with more and fewer samples: whether its error depends on their number and choice.

    python benchmarks/giorom_samples.py jelly --data data/jelly2d --stepper runs/jelly/model.safetensors
    python benchmarks/giorom_samples.py jelly --data data/jelly2d --stepper particles/jelly2d --numbers 250 --motions 1 --seeds 1

Results: benchmarks/results/giorom/samples-MATERIAL.json.
"""

import argparse
from pathlib import Path

import torch
from _giorom import Errors, Trained, arguments, choices, chosen, gathered, motions, record, rolled, written
from rich.console import Console
from rich.table import Table

from geoops.physics import Motion, motion_mse, relative_displacement_error

console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "samples-MATERIAL")
    parser.add_argument("material", help="names the result")
    parser.add_argument("--data", type=Path, required=True, help="folder of geoops data make particles")
    parser.add_argument("--stepper", required=True, help="a file, or the name of a packaged stepper")
    parser.add_argument("--numbers", type=int, nargs="+", default=(250, 500, 1000, 2000), help="of samples")
    parser.add_argument("--ways", nargs="+", default=("fps", "random"), help="how samples are chosen")
    parser.add_argument("--seeds", type=int, default=3, help="choices of each way")
    parser.add_argument("--motions", type=int, help="only so many of the test split")
    parser.add_argument("--frames", type=int, default=100, help="predicted frames")
    return parser.parse_args()


def measure(trained: Trained, motion: Motion, n: int, way: str, seed: int) -> Errors:
    """Returns the errors of one roll-out."""
    some = chosen(motion, n, way, seed)
    made, broken, seconds = rolled(trained, motion, some)
    truth = motion.of(some)
    if broken:
        return {"mse": float("inf"), "root": float("inf"), "displacement": float("inf"), "exploded": 1.0, "step_ms": 1e3 * seconds}
    errors = motion_mse(made, truth)
    return {
        "mse": float(errors.mean()),
        "root": float(errors.mean().sqrt()),
        "displacement": float(relative_displacement_error(made, truth).nanmean()),
        "exploded": 0.0,
        "step_ms": 1e3 * seconds,
    }


def main() -> None:
    """Measures, prints and records."""
    args = options()
    with record(f"samples-{args.material}", args) as out:
        trained, truths, rows = Trained.of(args.stepper), motions(args.data, "test", args.motions, args.frames), []
        for n in args.numbers:
            found = {
                (way, seed): [measure(trained, m, n, way, seed) for m in truths] for way, seed in choices(args.ways, args.seeds)
            }
            reach = trained.radius(truths[0], chosen(truths[0], n, *choices(args.ways, 1)[0]))
            row = {"samples": n, "radius": reach, **gathered(found)}
            rows.append(row)
            console.print(f"{n}: displacement error {100 * row['displacement'][args.ways[0]]['mean']:.2f} %")
        ratio = {}
        for key in ("mse", "root", "displacement"):
            for way in args.ways:
                means = [row[key][way]["mean"] for row in rows]
                every = [value for row in rows for value in row[key][way]["choices"]]
                ratio.setdefault(key, {})[way] = {"numbers": max(means) / min(means), "choices": max(every) / min(every)}
        out["material"], out["stepper"], out["frames"] = args.material, trained.facts, args.frames
        out["motions"], out["particles"], out["rows"], out["ratio"] = len(truths), len(truths[0].material), rows, ratio
    table = Table("samples", "chosen", "displacement error", "lowest", "highest", "MSE")
    for row in rows:
        for way in args.ways:
            errors = [f"{100 * row['displacement'][way][k]:.2f} %" for k in ("mean", "low", "high")]
            table.add_row(str(row["samples"]), way, *errors, f"{row['mse'][way]['mean']:.2e}")
    console.print(table)
    console.print("largest over least:", ratio)
    console.print(written(out))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
