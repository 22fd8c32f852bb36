"""Everything that is measured of steppers and decoders: motions, trainings and benchmarks in order; what is there is kept.

    python benchmarks/giorom_all.py                        # about nine hours of two cores
    python benchmarks/giorom_all.py train --scenes jelly2d
    python benchmarks/giorom_all.py bench --dry-run        # only prints the commands

Trainings and errors run `--jobs` at a time with one thread each, with logs beside the runs; what is timed runs alone. The stage
`keep` copies what was trained to benchmarks/checkpoints/giorom, from where later calls take it.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _giorom import KEPT, metrics_of
from _record import RESULTS, ROOT

MOTIONS = {  # options of geoops data make particles
    "jelly2d": ("--material", "jelly", "--dim", "2"),
    "water2d": ("--material", "water", "--dim", "2"),
    "plasticine2d": ("--material", "plasticine", "--dim", "2"),
    "jelly3d": ("--material", "jelly", "--dim", "3", "--train", "40", "--val", "4", "--test", "6"),
}
STEPPERS = {"ours": (), "gns": ("--config", "particles/with/gns")}
DECODERS = {
    "LocalAffine": (),
    "FlowMap": ("--config", "particles/with/flow-map"),
    **{name: ("--model.network", f"geoops.models.{name}") for name in ("IntegralKernel", "GridSplat", "CROM", "LiCROM")},
    "IntegralKernel, published": ("--model.network", "geoops.models.IntegralKernel", "--model.network.coords", "source"),
    "GridSplat, published": ("--model.network", "geoops.models.GridSplat", "--model.network.authors", "true"),
}
STAGES = ("data", "train", "keep", "bench")
TIMED = ("sparsity", "scale")


def options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=list(STAGES), help=f"of {', '.join(STAGES)}")
    parser.add_argument("--scenes", nargs="+", choices=MOTIONS, default=tuple(MOTIONS))
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the folders of motions")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each training of the ablation")
    parser.add_argument("--jobs", type=int, default=2, help="commands at a time, one thread each")
    parser.add_argument("--dry-run", action="store_true", help="print the commands that are left and run none")
    args = parser.parse_args()
    if unknown := set(args.stages) - set(STAGES):
        parser.error(f"stages: expected {', '.join(STAGES)}, got {', '.join(sorted(unknown))}")
    return args


def bundle(args: argparse.Namespace, name: str) -> Path:
    """Returns the file of a training: that of a run, or one that is kept or packaged."""
    run, kept = args.runs / "particles" / name / "model.safetensors", f"{name}.safetensors"
    places = (run, KEPT.relative_to(ROOT) / kept, Path("geoops/checkpoints/particles") / kept)
    return next((path for path in places if (ROOT / path).is_file()), run)


def keep(args: argparse.Namespace) -> None:
    """Copies bundles of finished runs and their metrics to where the repository keeps them."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / args.runs / "particles").glob("*/model.safetensors")):
        name = path.parent.name
        if name in known_names():
            shutil.copyfile(path, KEPT / f"{name}.safetensors")
            shutil.copyfile(path.with_name("metrics.json"), KEPT / f"{name}.json")


def known_names() -> set[str]:
    """Returns the names of all trainings."""
    steppers = {scene if name == "ours" else f"{scene}-{name}" for scene in MOTIONS for name in STEPPERS}
    return steppers | {decoder_name(scene, name) for scene in MOTIONS for name in decoders(scene)}


def decoder_name(scene: str, name: str) -> str:
    """Returns the name of the training of a decoder."""
    return f"{scene}-decoder-{name.replace(', ', '-')}"


def decoders(scene: str) -> tuple[str, ...]:
    """Returns the decoders that are trained for a scene."""
    return tuple(DECODERS) if scene.endswith("2d") else ("LocalAffine",)


def best_decoder(args: argparse.Namespace, scene: str) -> str:
    """Returns the trained decoder with the least validation error: which one is used for roll-outs."""
    errors = {}
    for name in decoders(scene):
        path = bundle(args, decoder_name(scene, name))
        if (ROOT / path).is_file() and (metrics := metrics_of(path)):
            errors[str(path)] = metrics["results"]["val/displacement"]
    return min(errors, key=lambda path: errors[path]) if errors else "LocalAffine"


def trainings(args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Returns names and commands of the trainings, the long ones of steppers first."""
    found = []
    for scene in args.scenes:
        named = {scene if name == "ours" else f"{scene}-{name}": (scene, more) for name, more in STEPPERS.items()}
        named |= {decoder_name(scene, name): (f"{scene}-decoder", DECODERS[name]) for name in decoders(scene)}
        for name, (recipe, more) in named.items():
            if (ROOT / bundle(args, name)).is_file():
                continue
            place = ["--runs", str(args.runs), "--name", f"particles/{name}", "--data.root", str(args.data / scene)]
            place += ["--threads", "1", "--ckpt_path", "last"]  # an interrupted training goes on
            if name != scene:  # all are tested by the benchmarks, and roll-outs of all particles take long
                place += ["--data.test_split", "none"]
            found.append((name, ["-m", "geoops.cli", "fit", f"particles/{recipe}", *more, *place]))
    return sorted(found, key=lambda entry: "-decoder-" in entry[0])


def benchmarks(args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Returns names and commands of the benchmarks whose record is missing."""
    found: dict[str, list[str]] = {}
    for scene in args.scenes:
        label = scene.removesuffix("2d")
        data = [label, "--data", str(args.data / scene)]
        steppers = [f"{name}={bundle(args, scene if name == 'ours' else f'{scene}-{name}')}" for name in STEPPERS]
        found[f"rollout-{label}"] = [*data, "--stepper", *steppers, "--decoder", best_decoder(args, scene)]
        if scene.endswith("2d"):
            trained = [f"{name}={bundle(args, decoder_name(scene, name))}" for name in decoders(scene)]
            found[f"decoders-{label}"] = [*data, "--bundle", *trained]
            found[f"samples-{label}"] = [*data, "--stepper", str(bundle(args, scene))]
    folders = [str(args.data / name) for name in ("jelly2d", "jelly3d")]
    known = [f"{name}={bundle(args, name)}" for name in ("jelly2d", "jelly3d")]
    found["ablation"] = ["--data", folders[0], "--splash", str(args.data / "water2d"), "--minutes", f"{args.minutes:g}"]
    found["ablation"] += ["--jobs", str(args.jobs)]
    found["sparsity"] = ["--data", *folders, "--stepper", *known]
    found["scale"] = ["--data", folders[1], "--threads", "2"]
    return [
        (name, [f"benchmarks/giorom_{name.partition('-')[0]}.py", *more])
        for name, more in found.items()
        if not (RESULTS / "giorom" / f"{name}.json").is_file()
    ]


def run(args: argparse.Namespace, name: str, command: list[str]) -> None:
    """Runs a command with one thread and its output in a file."""
    print(f"{name}: python {shlex.join(command)}", flush=True)
    if args.dry_run:
        return
    log = ROOT / args.runs / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    with log.open("w") as out:
        done = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{name} failed; its last words ({log}):\n{log.read_text()[-2000:]}")
    print(f"{name}: done", flush=True)


def main() -> None:
    """Runs what is left of the stages."""
    args = options()

    def side_by_side(commands: list[tuple[str, list[str]]]) -> None:
        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(lambda entry: run(args, *entry), commands))

    if "data" in args.stages:
        for scene in args.scenes:
            if not (ROOT / args.data / scene).is_dir():
                run(
                    args,
                    f"data-{scene}",
                    ["-m", "geoops.cli", "data", "make", "particles", str(args.data / scene), *MOTIONS[scene]],
                )
    if "train" in args.stages:
        side_by_side(trainings(args))
    if "keep" in args.stages and not args.dry_run:
        keep(args)
    if "bench" in args.stages:
        left = benchmarks(args)
        alone = [entry for entry in left if entry[0] in ("ablation", *TIMED)]
        side_by_side([entry for entry in left if entry not in alone])
        for entry in alone:  # the ablation trains side by side itself
            run(args, *entry)


if __name__ == "__main__":
    main()
