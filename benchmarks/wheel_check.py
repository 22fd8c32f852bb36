"""The wheel built here, unchanged, under another Python and another torch: it is installed there and its op tests are run.

make wheel-check                                     # Python 3.12 with torch 2.14.1, a CUDA build of several gigabytes
make wheel-check CHECK="--python python3.13 --torch torch==2.10.0"
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from _record import ROOT, Record, versions

FACTS = (
    "import json, platform, sys, torch, geoops; from geoops import ops; print(json.dumps({'python': platform.python_version(), "
    "'torch': torch.__version__, 'torch_cuda': torch.version.cuda, 'kernels': vars(ops.info()), "
    "'installed': 'site-packages' in geoops.__file__}))"
)


def run(*command: object, folder: Path = ROOT, **options: str) -> str:
    """Runs a command, echoes it and what it says, and returns that."""
    words = [str(word) for word in command]
    print("$", *words, flush=True)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | options
    done = subprocess.run(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout[-3000:])
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}")
    return done.stdout


def environment(python: str, torch: str, wheel: Path) -> Path:
    """Returns the interpreter of a virtual environment with that torch and the wheel, whose dependencies it brings."""
    folder = ROOT / "build" / "wheel-check" / f"{Path(python).name}-{torch.replace('==', '-')}"
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        run(python, "-m", "venv", folder)
    run(interpreter, "-m", "pip", "install", "--quiet", torch)
    run(interpreter, "-m", "pip", "install", "--quiet", f"geoops[test] @ {wheel.as_uri()}", torch)
    run(interpreter, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", wheel)
    return interpreter


def main() -> None:
    """Writes benchmarks/results/wheel_check.json if all tests pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="python3.12", help="another interpreter than this one")
    parser.add_argument("--torch", default="torch==2.14.1", help="another torch than the wheel was built with")
    options = parser.parse_args()
    (wheel,) = (ROOT / "dist").glob("geoops-*-py3-none-*.whl")
    with Record("wheel_check") as record:
        interpreter = environment(options.python, options.torch, wheel)
        away = ROOT / "build" / "wheel-check" / "tests"  # away from the source, so that the installed package is tested
        shutil.rmtree(away, ignore_errors=True)
        (away / "tests").mkdir(parents=True)
        (away / "csrc").mkdir()
        for name in ("setup.cfg", "tests/conftest.py", "csrc/registration.cpp"):  # a test compares the schemas with its own
            shutil.copy(ROOT / name, away / name)
        shutil.copytree(ROOT / "tests" / "ops", away / "tests" / "ops")
        facts = json.loads(run(interpreter, "-c", FACTS, folder=away).splitlines()[-1])
        assert facts["installed"]
        assert facts["kernels"]["cpu"] == "native"
        report = away / "report.xml"
        # Another torch warns of other things, which are errors in our own tests.
        options_of_pytest = ["-q", "-n", "2", "tests/ops", "-m", "not slow", "-W", "default", f"--junitxml={report}"]
        run(interpreter, "-m", "pytest", *options_of_pytest, folder=away, OMP_NUM_THREADS="1")
        suite = ElementTree.parse(report).getroot()[0].attrib
        record["wheel"] = {"file": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
        record["built_with"] = {key: versions()[key] for key in ("python", "torch")}
        record["tested_with"] = facts
        record["tests"] = {key: int(suite[key]) for key in ("tests", "failures", "errors", "skipped")}
    print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
