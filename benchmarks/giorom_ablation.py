"""Defects of the published code of GIOROM one at a time: shown directly, or by trainings of equal time.

    python benchmarks/giorom_ablation.py --data data/jelly2d --splash data/water2d                  # what needs no training
    python benchmarks/giorom_ablation.py --data data/jelly2d --splash data/water2d --minutes 10     # and two trainings side by side
    python benchmarks/giorom_ablation.py --data data/jelly2d --minutes 0.2 --variants mended momentum --motions 1

The published network with all defects mended is trained beside it with one of them each, all and none; ours beside it without one
of its parts each. Trainings go to --runs; an interrupted benchmark goes on. Results: benchmarks/results/giorom/ablation.json.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import yaml
from _giorom import (
    ROOT,
    Trained,
    arguments,
    choices,
    chosen,
    facts_of,
    gathered,
    motions,
    number_of,
    one_step,
    record,
    rolled,
    written,
)
from _giorom_mechanisms import (
    chamfer_of_subsets,
    coverage,
    kernel_without_query,
    one_way_edges,
    pooled_deviation,
    shared_lattice,
    spectral_branch,
    splash_at_rest,
)
from rich.console import Console
from rich.table import Table

from geoops.physics import motion_mse, relative_displacement_error

FRAMES = 100  # predicted frames
DEFECTS = ("raw_velocities", "source_coords", "shared_lattice", "fixed_lattice", "lattice_attention")
#: Numbers of the defects in the specification of the method.
NUMBERS = {"raw_velocities": 2, "source_coords": 1, "shared_lattice": 4, "fixed_lattice": 5, "lattice_attention": 11, "dropout": 11}
#: The published network is too slow for small budgets: fewer channels.
SMALL = {"preset": "authors2d", "width": 64, "processor_layers": 1, "lattice": 16}
MENDED = dict.fromkeys(DEFECTS, False) | {"dropout": 0.0, "squeeze": False, "skip": True}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "mended": ("AuthorsGIOROM", SMALL | MENDED),
    **{name: ("AuthorsGIOROM", SMALL | MENDED | {name: True}) for name in DEFECTS},
    "dropout": ("AuthorsGIOROM", SMALL | MENDED | {"dropout": 0.3}),
    "published": ("AuthorsGIOROM", SMALL),
    "ours": ("GIOROM", {}),
    "published noise": ("GIOROM", {}),
    "density, no rest shape": ("GIOROM", {"reference": "none"}),
    "no momentum": ("GIOROM", {"momentum": False}),
    "no lattice": ("GIOROM", {"processor": "none"}),
    "GNS": ("GNS", {"width": 64, "layers": 5}),
    "GNS of the authors": ("GNS", {"width": 64, "layers": 5, "block": "giorom"}),
}
PUBLISHED_NOISE = {"noise": 3e-4, "strain": 0.0, "restore": False}
console = Console()


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = arguments(__doc__, "ablation")
    parser.add_argument("--data", type=Path, required=True, help="folder of geoops data make particles, of jelly in the plane")
    parser.add_argument("--splash", type=Path, help="such a folder of water, for the decoder of fluids")
    parser.add_argument("--minutes", type=float, default=0.0, help="of each training; 0 for none")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=tuple(VARIANTS))
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, each with one thread")
    parser.add_argument("--runs", type=Path, default=Path("build/giorom-ablation"), help="folder of the trainings")
    parser.add_argument("--motions", type=int, help="only so many of the test split")
    parser.add_argument("--seeds", type=int, default=3, help="choices of samples")
    return parser.parse_args()


def mechanisms(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Returns what needs no training, by the number of the defect."""
    train = motions(args.data, "train", min(20, args.motions * 4) if args.motions else 20)
    found = {
        "1": kernel_without_query(),
        "3": spectral_branch(),
        "4": shared_lattice(train),
        "5, 6": coverage(train),
        "7": pooled_deviation(train),
        "9": one_way_edges(train),
        "15": chamfer_of_subsets(),
    }
    if args.splash:
        found["19"] = splash_at_rest(motions(args.splash, "test", args.motions))
    return found


def train(args: argparse.Namespace, name: str) -> Path:
    """Trains a variant, unless it is there, and returns its bundle."""
    runs = args.runs if args.runs.is_absolute() else ROOT / args.runs
    slug = name.replace(",", "").replace(" ", "-")
    bundle, overlay = runs / slug / "model.safetensors", runs / f"{slug}.yaml"
    if bundle.is_file():
        return bundle
    runs.mkdir(parents=True, exist_ok=True)
    cls, more = VARIANTS[name]
    network = {"class_path": f"geoops.models.{cls}", "init_args": more}
    data = PUBLISHED_NOISE if cls != "GIOROM" or name == "published noise" else {}
    if cls != "GIOROM":
        data = data | {"symmetric": False}  # these do not see gravity, which is turned with the axes
    overlay.write_text(yaml.safe_dump({"data": data, "model": {"network": network}}))
    seconds = round(60 * args.minutes)
    time = f"00:{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    # There is no such split: tests are made here, with the same samples for all.
    some = ["--data.limit_val", "1", "--data.test_split", "none", "--data.particles_per_step", "1000", "--ckpt_path", "last"]
    place = ["--data.root", str(args.data.resolve()), "--runs", str(runs), "--name", slug, "--threads", "1"]
    command = [sys.executable, "-m", "geoops.cli", "fit", "particles/jelly2d", "--config", str(overlay)]
    command += ["--trainer.max_time", time, "--trainer.val_check_interval", "00:01:00:00", *some, *place]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    with (runs / f"{slug}.log").open("a") as log:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed; its last words:\n{(runs / f'{slug}.log').read_text()[-2000:]}")
    console.print(f"{name} is trained")
    return bundle


def evaluated(args: argparse.Namespace, bundle: Path) -> dict[str, Any]:
    """Returns the errors of a trained variant on the test motions."""
    trained, found = Trained.of(str(bundle)), {}
    for way, seed in choices(("fps",), args.seeds):
        rows = []
        for motion in motions(args.data, "test", args.motions, FRAMES):
            some = chosen(motion, number_of(motion, trained.keep), way, seed)
            made, broken, _ = rolled(trained, motion, some)
            truth = motion.of(some)
            error = float("inf") if broken else float(motion_mse(made, truth).mean())
            relative = float("inf") if broken else float(relative_displacement_error(made, truth).nanmean())
            rows.append(
                {**one_step(trained, motion, some), "mse_100": error, "displacement_100": relative, "exploded": float(broken > 0)}
            )
        found[way, seed] = rows
    return {**facts_of(str(bundle)), **gathered(found)}


def main() -> None:
    """Measures, trains, prints and records."""
    args = options()
    with record("ablation", args) as out:
        out["mechanisms"] = shown = mechanisms(args)
        trained: dict[str, Any] = {}
        if args.minutes:
            with ThreadPoolExecutor(args.jobs) as pool:
                bundles = dict(zip(args.variants, pool.map(lambda name: train(args, name), args.variants), strict=True))
            trained = {name: {"defect": NUMBERS.get(name), **evaluated(args, path)} for name, path in bundles.items()}
        out["minutes"], out["jobs"], out["frames"], out["variants"] = args.minutes, args.jobs, FRAMES, trained
        out["not_measured"] = {"8": "there is no option for a loss that asks for two accelerations at once"}
    table = Table("defect", "published", "ours", "what")
    for number, found in shown.items():
        table.add_row(number, f"{found['published']:.3g}", f"{found['ours']:.3g}", found.get("unit", "order of the error"))
    console.print(table)
    table = Table("variant", "defect", "one step", "MSE", "displacement error")
    for name, row in trained.items():
        cells = [f"{row['mse_100']['fps']['mean']:.3g}", f"{100 * row['displacement_100']['fps']['mean']:.3g} %"]
        table.add_row(name, str(row["defect"] or ""), f"{row['one_step']['fps']['mean']:.3g}", *cells)
    console.print(table)
    console.print(written(out))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
