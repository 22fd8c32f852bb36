"""From a folder of meshes to a super-resolved, rendered field in a few minutes: what `make demo` runs.

Trains a surrogate for about three minutes on 64 unit cells, asks it for the stress on meshes 4 and 16 times finer than
it saw, does the same with the packaged model of the full training, compares both with interpolation, and draws.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

ROOT = Path(__file__).resolve().parents[1]
#: The exact stress is infinite in the two clamped corners.
CORNERS = "0,0,0.1 1,0,0.1"


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT / "datasets" / "unit_cell" / "small")
    parser.add_argument("--recipe", default="unit-cell/enf2enf", help="what is trained here")
    parser.add_argument("--checkpoint", default="unit-cell/enf2enf", help="the packaged model it is compared with")
    parser.add_argument("--seconds", type=int, default=180, help="time for training")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "demo")
    return parser.parse_args()


def train(args: argparse.Namespace) -> Path:
    """Trains as `geoops fit` does and returns the bundle."""
    from geoops.cli import main as geoops

    hours, rest = divmod(args.seconds, 3600)
    settings = {
        "data.root": args.data,
        "trainer.max_time": f"00:{hours:02}:{rest // 60:02}:{rest % 60:02}",
        "trainer.val_check_interval": "00:00:00:30",
        "threads": args.threads,
        "runs": args.output,
        "name": "training",
        "overwrite": "true",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    if geoops(["fit", args.recipe, *words]):
        sys.exit("training failed")
    return args.output / "training" / "model.safetensors"


def load(bundle: Path, args: argparse.Namespace, console: Console) -> list:
    """Returns the model trained here and, where there is one, the packaged model."""
    import geoops
    from geoops.inference import checkpoint_names

    predictors = [geoops.load(bundle)]
    predictors[0].name = "this run"
    if args.checkpoint in checkpoint_names() or Path(args.checkpoint).is_file():
        predictors.append(geoops.load(args.checkpoint))
        predictors[1].name = "packaged"
    else:
        console.print(f"there is no checkpoint {args.checkpoint!r} to compare with", style="yellow")
    return predictors


def draw(predictor, report, args: argparse.Namespace, console: Console) -> list[Path]:
    """Predicts the cell of median error on its finest mesh, and draws truth, prediction and error."""
    import geoops
    from geoops.viz import compare

    (field,) = predictor.task.targets
    finest = report.factors[-1]
    key = f"{field}/{finest}/fine/outside"
    case = sorted(report.cases, key=lambda name: report.cases[name][key])[len(report.cases) // 2]
    truth = geoops.read(args.data / f"test_{finest}x" / f"{case}.vtu")
    prediction = predictor.predict(truth)
    file = args.output / f"cell_{case}_{finest}x.vtu"
    geoops.write(file, prediction)
    titles = (f"finite elements, {len(truth.points):,} points", f"prediction ({predictor.name})", "error")
    scene = compare(truth, prediction, field, clip=0.001, titles=titles)
    try:
        return [file, scene.png(args.output / "comparison.png"), scene.html(args.output / "comparison.html")]
    except RuntimeError as error:
        console.print(f"no picture: {error}", style="yellow")
        return [file]


def main() -> None:
    """Trains, super-resolves, compares and draws."""
    args, console, started = options(), Console(), time.perf_counter()
    if not (args.data / "train").is_dir():
        sys.exit(f"no data in {args.data}; make them with `geoops data make unit-cell` or give --data")
    # That the finer meshes leave the trained spacing is the point of it all.
    warnings.filterwarnings("ignore", message=".*finer than trained")

    console.print(Rule(f"1 of 3: train {args.recipe} for {args.seconds} seconds on {args.data.name} data"))
    bundle = train(args)

    import torch

    from geoops.inference import superres, superres_table
    from geoops.viz import plot_superres

    # Operations are small here: a second thread gains little, and waits long for the first on a busy machine.
    torch.set_num_threads(1)
    console.print(Rule("2 of 3: stress in unseen cells, on meshes up to 16 times finer than any in training"))
    predictors = load(bundle, args, console)
    written = [bundle]
    reports = []
    for predictor in predictors:
        written.append(args.output / f"superres_{predictor.name.replace(' ', '_')}.json")
        reports.append(superres(predictor, args.data, written[-1], exclude=CORNERS))
    console.print(superres_table(reports, brief=True))

    console.print(Rule("3 of 3: draw"))
    written += draw(predictors[-1], reports[-1], args, console)
    written.append(args.output / "resolution.png")
    plot_superres(*(report.to_dict() for report in reports), output=written[-1])
    for path in written:
        console.print(f"  {os.path.relpath(path)}", highlight=False, soft_wrap=True)
    minutes = (time.perf_counter() - started) / 60
    console.print(f"{minutes:.1f} minutes. Open comparison.html in a browser, the .vtu file in ParaView.")


if __name__ == "__main__":
    main()
