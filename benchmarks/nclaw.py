"""Trains laws on the motions of NCLaw and records their errors: materials x laws x seeds, one run of `geoops fit` each.

    python benchmarks/nclaw.py                     # everything that is not there yet, two runs side by side
    python benchmarks/nclaw.py --materials jelly --laws structured faithful --install

Results go to benchmarks/results/nclaw/MATERIAL-LAW-SEED.json, runs to build/nclaw; an interrupted run goes on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _record import RESULTS, ROOT, Record
from rich.console import Console

from geoops.learning import read_material

MATERIALS = ("jelly", "plasticine", "sand", "water")
LAWS = (
    *("structured", "faithful", "velocity", "warm", "neural", "sysid", "labelled", "spline", "plain", "polar", "invariant"),
    "untrained",  # the control: networks as they start
)
NOT_PACKAGED = ("velocity", "plain", "polar", "invariant", "untrained")
RUNS = Path("build/nclaw")
console = Console(stderr=True)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--materials", nargs="+", choices=MATERIALS, default=MATERIALS)
    parser.add_argument("--laws", nargs="+", choices=LAWS, default=LAWS)
    parser.add_argument("--seeds", nargs="+", type=int, help="0, 1 and 2 for the structured law, 0 for all others")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, each with one thread")
    parser.add_argument("--install", action="store_true", help="copy laws of seed 0 into geoops/checkpoints/nclaw")
    args = parser.parse_args()
    runs = [
        (material, law, seed)
        for law in args.laws
        for seed in args.seeds or ((0, 1, 2) if law == "structured" else (0,))
        for material in args.materials
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(train, *run, args.install) for run in runs]:
            done.result()


def train(material: str, law: str, seed: int, install: bool) -> None:
    """Makes one run, unless its result is there."""
    name = f"{material}-{law}-{seed}"
    result = RESULTS / "nclaw" / f"{name}.json"
    if result.is_file():
        console.print(f"{result.relative_to(ROOT)} exists, skipped", style="dim")
        return
    overlay = {
        "structured": [],
        "sysid": ["--config", f"nclaw/laws/sysid-{material}"],
        "untrained": ["--config", "nclaw/laws/faithful", "--trainer.max_epochs", "0"],
    }.get(law, ["--config", f"nclaw/laws/{law}"])
    options = ["--seed_everything", str(seed), "--threads", "1", "--runs", str(RUNS), "--name", name, "--ckpt_path", "last"]
    command = [sys.executable, "-m", "geoops.cli", "fit", f"nclaw/{material}", *overlay, *options]
    log = ROOT / RUNS / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    console.print(f"{name} begins")
    with Record(f"nclaw/{name}", seed=seed) as record, log.open("a") as stream:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False)
        record["material"], record["law"] = material, law
        if done.returncode:
            last = log.read_text().rstrip().splitlines()[-1]
            if not (last.startswith("geoops: error") and "lower the learning rates" in last):
                raise RuntimeError(f"{name} failed; its last words:\n{log.read_text()[-2000:]}")
            record["broke_down"] = last.removeprefix("geoops: error: ")  # a result too: it cannot be trained in this way
            console.print(f"{name} breaks down in training")
            return
        metrics = json.loads((ROOT / RUNS / name / "metrics.json").read_text())
        found = read_material(ROOT / RUNS / name / "model.safetensors").named_parameters()
        record["constants"] = {key: value.item() for key, value in found if value.numel() == 1}
        record["training"], record["history"], record["errors"] = (metrics[key] for key in ("training", "history", "results"))
    error = metrics["results"]["reconstruction"]
    console.print(f"{name}: reconstruction {'breaks down' if error is None else f'{error:.2e}'}")
    if install and seed == 0 and law not in NOT_PACKAGED:
        target = ROOT / "geoops" / "checkpoints" / "nclaw" / f"{material}-{law}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / RUNS / name / "model.safetensors", target)


if __name__ == "__main__":
    main()
