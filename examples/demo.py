"""From a folder of meshes to a super-resolved, rendered field in a few minutes: what `make demo` runs.

Trains a surrogate for about three minutes on 64 unit cells, asks it for the stress on meshes up to 16 times finer than it saw,
does the same with the packaged model of the full training, compares both with interpolation, and draws the result.
"""

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXCLUDE = ["0,0,0.1", "1,0,0.1"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "datasets" / "unit_cell" / "small")
    parser.add_argument("--recipe", default="unit-cell/enf2enf", help="what is trained here")
    parser.add_argument("--checkpoint", default="unit-cell/enf2enf", help="the packaged model it is compared with")
    parser.add_argument("--seconds", type=int, default=180, help="time for training")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "demo")
    parser.add_argument("--case", default=None, help="test case that is drawn; the one of median error if not given")
    return parser.parse_args()


def train(args: argparse.Namespace) -> Path:
    """Trains with `geoops fit` and returns the bundle."""
    from geoops.cli import main

    hours, rest = divmod(args.seconds, 3600)
    command = ["fit", args.recipe, "--data.root", str(args.data), "--trainer.max_time", f"00:{hours:02}:{rest // 60:02}:{rest % 60:02}"]
    command += ["--threads", str(args.threads), "--runs", str(args.output), "--name", "training", "--overwrite", "true"]
    # A validation every half minute is enough, and costs little on 16 meshes.
    command += ["--trainer.val_check_interval", "00:00:00:30"]
    if main(command):
        sys.exit("training failed")
    return args.output / "training" / "model.safetensors"


def typical_case(report) -> str:
    """Returns the test case whose error at the finest resolution is the median."""
    key = f"{report.rows[0].field}/{report.factors[-1]}/fine/outside"
    ranked = sorted(report.cases, key=lambda name: report.cases[name][key])
    return ranked[len(ranked) // 2]


def main() -> None:
    args = options()
    started = time.perf_counter()
    from rich.console import Console
    from rich.rule import Rule

    console = Console()
    console.print(Rule("1. train three minutes on the small set" if args.seconds == 180 else f"1. train {args.seconds} seconds"))
    if not (args.data / "train").is_dir():
        sys.exit(f"no data in {args.data}; run `geoops data make unit-cell` or give --data")
    bundle = train(args)

    import torch

    import geoops
    from geoops.inference import checkpoint_names, superres, superres_table
    from geoops.viz import compare, plot_superres

    torch.set_num_threads(args.threads)
    console.print(Rule("2. super-resolve unseen cells to 4x and 16x"))
    models = {"trained here": geoops.load(bundle)}
    if args.checkpoint in checkpoint_names() or Path(args.checkpoint).is_file():
        models["full training"] = geoops.load(args.checkpoint)
    else:
        console.print(f"no checkpoint {args.checkpoint!r}: only the model trained here is shown", style="yellow")
    reports = []
    for label, predictor in models.items():
        predictor.name = f"{predictor.name.replace('model', args.recipe)}, {label}"
        with warnings.catch_warnings():
            # That the finer meshes leave the trained spacing is the point of this test.
            warnings.filterwarnings("ignore", message=".*finer than trained")
            reports.append(superres(predictor, args.data, args.output / f"superres_{label.replace(' ', '_')}.json", EXCLUDE))
    console.print(superres_table(reports))
    console.print(
        f"  'outside excluded' leaves out radius 0.1 around the two clamped corners, where the exact stress is infinite.\n"
        f"  Training meshes have about {reports[0].row(1).points:.0f} points; no model saw any of these cells.",
        style="dim",
    )

    console.print(Rule("3. draw"))
    predictor, report = list(models.values())[-1], reports[-1]
    case, finest = args.case or typical_case(report), report.factors[-1]
    truth = geoops.read(args.data / f"test_{finest}x" / f"{case}.vtu")
    (field,) = predictor.task.targets
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*finer than trained")
        prediction = predictor.predict(truth)
    written = [bundle, *sorted(args.output.glob("superres_*.json"))]
    geoops.write(args.output / f"{case}_{finest}x.vtu", prediction)
    scene = compare(truth, prediction, field, clip=0.001, titles=(f"truth, {len(truth.points):,} points", "prediction", "error"))
    written += [args.output / f"{case}_{finest}x.vtu", scene.png(args.output / "comparison.png"), scene.html(args.output / "comparison.html")]
    plot_superres(*(r.to_dict() for r in reports), output=args.output / "resolution.png")
    written.append(args.output / "resolution.png")
    for path in written:
        console.print(f"  {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    seconds = time.perf_counter() - started
    (args.output / "demo.json").write_text(json.dumps({"seconds": round(seconds, 1), "case": case}) + "\n")
    console.print(f"done in {seconds / 60:.1f} minutes; open comparison.html in a browser, or the .vtu file in ParaView")


if __name__ == "__main__":
    main()
