"""Accuracy and speed on the unit cell: every figure in the README's table comes from here, as one JSON file each.

    python benchmarks/unit_cell.py --make                   # the data, with the time that it takes
    python benchmarks/unit_cell.py --compare --minutes 30   # all models for the same time on one thread each; baselines
    python benchmarks/unit_cell.py --default                # the full training of the default; super-resolution
    python benchmarks/unit_cell.py --labels                 # the error of the labels themselves, and what it means
    python benchmarks/unit_cell.py --decode --latency       # speed and memory
    python benchmarks/report.py                             # tables and plot from the JSON files

What has its JSON file already is skipped, and an interrupted training goes on where it stopped.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from _record import RESULTS, ROOT, Record
from _unit_cell_baselines import baselines
from _unit_cell_errors import CORNERS, errors, read_split, summary
from _unit_cell_labels import labels
from _unit_cell_speed import decode, latency
from rich.console import Console

import geoops
from geoops.data.unit_cell import make
from geoops.inference import superres

console = Console()


@dataclass(frozen=True)
class Run:
    """A training: what it is called in the results, its recipe and seed, and further options of `geoops fit`."""

    model: str
    recipe: str
    seed: int = 0
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.model}-{self.seed}"


#: In pairs: who trains beside whom.
COMPARED = (
    Run("enf2enf", "unit-cell/enf2enf", 0),
    Run("transolver", "unit-cell/transolver"),
    Run("enf2enf", "unit-cell/enf2enf", 1),
    Run("enf2enf-faithful-compact", "unit-cell/enf2enf-faithful-compact"),
    Run("enf2enf", "unit-cell/enf2enf", 2),
    Run("pointnet", "unit-cell/pointnet"),
    Run(
        "transolver-adamw",
        "unit-cell/transolver",
        options=(
            *("--model.network.init_args.hidden", "64", "--model.optimizer", "adamw"),
            *("--model.lr", "1e-3", "--trainer.precision", "32-true"),
        ),
    ),
    Run("mlp", "unit-cell/mlp"),
    Run(
        "enf2enf-faithful-compact-knn",
        "unit-cell/enf2enf-faithful-compact",
        options=("--model.network.init_args.attention", "knn", "--model.network.init_args.nearest_k", "4"),
    ),
)


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", action="store_true", help="make the data set")
    parser.add_argument(
        "--compare",
        action="store_true",
        help="all models at equal time, one thread each, two at a time",
    )
    parser.add_argument("--default", action="store_true", help="the full training of the default model")
    parser.add_argument("--labels", action="store_true", help="compare labels and the default with a solution twice as fine")
    parser.add_argument("--decode", action="store_true", help="decode a million points")
    parser.add_argument("--latency", action="store_true", help="encode a shape and decode 972 points")
    parser.add_argument(
        "--minutes",
        type=float,
        default=None,
        help="time of a training; 30, and the recipe's for --default",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=None,
        help="names of models of --compare, or 'baselines'",
    )
    parser.add_argument("--data", type=Path, default=Path("datasets/unit_cell/full"))
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs/benchmark"),
        help="folder of the trainings",
    )
    parser.add_argument("--results", default="unit_cell", help="folder under benchmarks/results")
    parser.add_argument("--checkpoint", default="unit-cell/enf2enf", help="model of --decode and --labels")
    parser.add_argument("--points", type=int, default=1_000_000, help="points of --decode")
    parser.add_argument(
        "--threads",
        type=int,
        default=2,
        help="threads of --default, --decode and --latency, processes of --make and --labels",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="copy the bundles (seed 0) into geoops/checkpoints/unit-cell",
    )
    return parser.parse_args()


def max_time(minutes: float) -> str:
    """Returns minutes as days:hours:minutes:seconds."""
    minutes, seconds = divmod(round(60 * minutes), 60)
    return f"00:{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def train(
    run: Run,
    args: argparse.Namespace,
    *,
    minutes: float | None,
    threads: int,
    core: int | None,
    folder: str,
) -> Path:
    """Trains with `geoops fit` in a process of its own and returns the folder; continues what was interrupted."""
    name = f"{folder}/{run.name}"
    command = [
        sys.executable,
        "-m",
        "geoops.cli",
        "fit",
        run.recipe,
        "--data.root",
        str(args.data),
        "--seed_everything",
    ]
    command += [
        str(run.seed),
        "--threads",
        str(threads),
        "--runs",
        str(args.runs),
        "--name",
        name,
        "--ckpt_path",
        "last",
    ]
    command += ["--data.processes", str(threads), *run.options]
    if minutes is not None:
        command += ["--trainer.max_time", max_time(minutes)]
    if core is not None and (taskset := shutil.which("taskset")):
        command = [taskset, "--cpu-list", str(core), *command]
    threads_of = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    log = RESULTS / args.results / "logs" / f"{name.replace('/', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as stream:
        environment = {**os.environ, **threads_of, "PYTHONPATH": path, "COLUMNS": "120"}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    # Warnings name files; readers elsewhere need no more than where they are in the repository.
    log.write_text(log.read_text().replace(f"{ROOT}{os.sep}", "").replace(sys.prefix, "<python>"))
    if done.returncode:
        raise RuntimeError(f"training {name} failed; its last words:\n{log.read_text()[-2000:]}")
    return ROOT / args.runs / name


def record_training(run: Run, folder: Path, args: argparse.Namespace, name: str, record: Record) -> geoops.inference.Predictor:
    """Evaluates a finished training on the test cells and writes everything about it into a record."""
    metrics = json.loads((folder / "metrics.json").read_text())
    predictor = geoops.load(folder / "model.safetensors")
    (field,) = predictor.task.targets

    def predict(mesh: geoops.geometry.Mesh) -> torch.Tensor:
        return predictor.decode(predictor.encode(mesh))[:, 0]

    found = errors(predict, read_split(ROOT / args.data / "test"), field)
    record["model"], record["recipe"], record["name"] = run.model, run.recipe, name
    record["parameters"] = sum(p.numel() for p in predictor.network.parameters())
    record["training"] = metrics["training"]
    record["validation"] = {k: v for k, v in metrics["results"].items() if k.startswith("val/")}
    record["test"] = summary(found)
    record["history"] = metrics["history"]
    record["cases"] = found
    if args.install and run.seed == 0:
        target = ROOT / "geoops" / "checkpoints" / "unit-cell" / f"{run.model}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "model.safetensors", target)
    return predictor


def finished(args: argparse.Namespace, name: str) -> bool:
    """Says whether a result is there already."""
    path = RESULTS / args.results / f"{name}.json"
    if path.is_file():
        console.print(f"{path.relative_to(ROOT)} exists, skipped", style="dim")
    return path.is_file()


def make_data(args: argparse.Namespace) -> None:
    """Makes the whole data set and records the time."""
    root = ROOT / args.data
    if finished(args, "data"):
        return
    if root.exists():
        sys.exit(f"{args.data} exists; delete it, or name another folder with --data, to time the making of the data")
    with Record(f"{args.results}/data", seed=0) as record:
        make(root, jobs=args.threads)
        folders = sorted(path for path in root.iterdir() if path.is_dir())
        record["files"] = {folder.name: len(list(folder.glob("*.vtu"))) for folder in folders}
        record["rejected"] = yaml.safe_load((root / "dataset.yaml").read_text())["rejected"]
        record["processes"] = args.threads
        record["megabytes"] = round(sum(path.stat().st_size for path in root.rglob("*.vtu")) / 1e6, 1)


def compare(args: argparse.Namespace) -> None:
    """Trains every model for the same time on one thread, two side by side, and computes the baselines."""
    minutes = 30.0 if args.minutes is None else args.minutes
    cores = sorted(os.sched_getaffinity(0))[:2]
    torch.set_num_threads(1)

    def one(run: Run) -> None:
        core = free.pop()
        try:
            console.print(f"{run.name}: {minutes:g} minutes on core {core}")
            with Record(f"{args.results}/compare/{run.name}", seed=run.seed) as record:
                folder = train(run, args, minutes=minutes, threads=1, core=core, folder="compare")
                record["minutes"] = minutes
                record_training(run, folder, args, run.name, record)
                found = record.results["test"]["outside"]["mean"]
            console.print(f"{run.name}: {100 * found:.2f} %")
        finally:
            free.append(core)

    free = list(cores)
    wanted = [run for run in COMPARED if args.only is None or {run.model, run.name} & set(args.only)]
    with ThreadPoolExecutor(len(cores)) as pool:
        list(
            pool.map(
                one,
                [run for run in wanted if not finished(args, f"compare/{run.name}")],
            )
        )
    if (args.only is None or "baselines" in args.only) and not finished(args, "compare/baselines"):
        with Record(f"{args.results}/compare/baselines", seed=0) as record:
            for name, result in baselines(ROOT / args.data).items():
                record[name] = result
                console.print(f"{name}: {100 * result['test']['outside']['mean']:.2f} %")


def default(args: argparse.Namespace) -> None:
    """Trains the default as its recipe says, and measures its error at all resolutions."""
    run = Run("enf2enf", "unit-cell/enf2enf")
    torch.set_num_threads(args.threads)
    if not finished(args, "default"):
        with Record(f"{args.results}/default", seed=run.seed) as record:
            folder = train(
                run,
                args,
                minutes=args.minutes,
                threads=args.threads,
                core=None,
                folder="default",
            )
            record_training(run, folder, args, "default", record)
    if not finished(args, "superres"):
        bundle = ROOT / args.runs / "default" / run.name / "model.safetensors"
        with Record(f"{args.results}/superres") as record:
            predictor = geoops.load(bundle)
            predictor.name = "enf2enf"
            warnings.filterwarnings("ignore", message=".*finer than trained")
            report = superres(
                predictor,
                ROOT / args.data,
                exclude=[f"{x},{y},{r}" for x, y, r in CORNERS],
            ).to_dict()
            for key in ("rows", "cases", "exclude", "notes"):
                record[key] = report[key]


def main() -> None:
    """Runs what is asked for."""
    args = options()
    if not (args.make or args.compare or args.default or args.labels or args.decode or args.latency):
        sys.exit("nothing to do: give --make, --compare, --default, --labels, --decode or --latency (see --help)")
    if args.make:
        make_data(args)
    if (args.compare or args.default or args.labels) and not (ROOT / args.data / "test").is_dir():
        sys.exit(f"no data in {args.data}: run `geoops data make unit-cell` first")
    if args.compare:
        compare(args)
    if args.default:
        default(args)
    torch.set_num_threads(args.threads)
    if args.labels and not finished(args, "labels"):
        with Record(f"{args.results}/labels") as record:
            record["checkpoint"] = args.checkpoint
            record["rows"] = labels(geoops.load(args.checkpoint), ROOT / args.data, 24, args.threads)
    if args.decode and not finished(args, "decode"):
        with Record(f"{args.results}/decode", seed=0) as record:
            for key, value in decode(args.checkpoint, args.points).items():
                record[key] = value
    if args.latency and not finished(args, "latency"):
        with Record(f"{args.results}/latency", seed=0) as record:
            record["rows"] = latency()


if __name__ == "__main__":
    main()
