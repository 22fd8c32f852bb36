"""One form for every figure that geoops reports: what ran, where, with which versions and how long it took."""

import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import geoops
from geoops.learning import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "lightning",
    "torch-geometric",
    "scikit-fem",
    "gmsh",
    "pyvista",
    "torch-scatter",
    "torch-cluster",
)


def hardware() -> str:
    """Returns one line: processor, cores this process may use, memory, GPU."""
    processor = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    parts = [processor, f"{len(os.sched_getaffinity(0))} cores", platform.machine()]
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            parts.append(f"{int(line.split()[1]) / 2**20:.0f} GiB")
            break
    if torch.cuda.is_available():
        parts.append(f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}")
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the installed packages that can change a figure."""
    found = {"python": platform.python_version(), "geoops": geoops.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def command() -> str:
    """Returns the command line with paths relative to the repository, so that it can be repeated elsewhere."""
    return shlex.join(["python", *map(_portable, sys.argv)])


def keep_memory() -> None:
    """Starts the script again with an allocator that keeps freed memory, as a long run of a program with less has it.

    The C library otherwise gives large blocks back to the system, which clears every page when it hands it out again: on
    virtual machines that can take several times as long as the op that is measured, for all packages alike.
    """
    wanted = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted})


class Record:
    """Collects a result and writes it, with its circumstances, when the block ends without an error.

    Args:
        name: file name below ``benchmarks/results``, without suffix; folders are made.
        seed: seed of everything random in the block, or None where nothing is random; it is also set here.

    Example:
        with Record("edge_sum", seed=0) as record:
            record["rows"] = measure()
    """

    def __init__(self, name: str, *, seed: int | None = None):
        self.path = RESULTS / f"{name}.json"
        self.seed = seed
        self.results: dict[str, Any] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        self.results[key] = value

    def __enter__(self) -> "Record":
        if self.seed is not None:
            torch.manual_seed(self.seed)
        self.begin = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        record = {
            "command": command(),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "seed": self.seed,
            "hardware": hardware(),
            "threads": torch.get_num_threads(),
            "allocator": {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")},
            "wall_seconds": round(time.perf_counter() - self.begin, 2),
            "versions": versions(),
            "results": self.results,
        }
        write_json(self.path, record)


def compare_ms(*calls: Callable[[], object], repeats: int = 9) -> list[float]:
    """Returns the median wall-clock time of each call in milliseconds.

    The calls take turns, so that a busy moment of the machine does not fall on one of them; each runs twice in its turn and
    the second run counts, so that none pays for what the one before it left in caches or for threads that it let sleep.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, seen in zip(calls, times, strict=True):
            call()
            begin = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seen.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(seen) for seen in times]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _portable(word: str) -> str:
    """Returns a word, or the file after the equals sign in it, relative to the repository if it is there or beside it."""
    name, equals, path = word.rpartition("=")
    if not path or not Path(path).exists() or not Path(path).resolve().is_relative_to(ROOT.parent):
        return word
    return name + equals + os.path.relpath(Path(path).resolve(), ROOT)
