"""What the benchmarks of steppers and decoders share: motions, samples, and errors with their spread."""

import argparse
import ctypes
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from _record import RESULTS, ROOT, Record
from torch import Tensor

from geoops.data import check_alike, chosen_samples, connected_radius, read_motion, window
from geoops.geometry import ParticleGraph
from geoops.learning import as_motion, find_checkpoint, make_decoder, read_meta, read_stepper, roll_out, step_errors
from geoops.models import Decoder, Stepper
from geoops.physics import Motion

#: Bundles of trainings and their metrics, under the names of the trainings.
KEPT = ROOT / "benchmarks" / "checkpoints" / "giorom"
SEEDS = 6  # true frames that roll-outs start from
SPLITS = ("test", "test_geometry", "test_velocity")
STEPS = 20  # frames of a motion whose one-step error is taken
CHUNK = 16384  # queries that are placed together
Errors = dict[str, float]


def arguments(doc: str | None, name: str | None = None) -> argparse.ArgumentParser:
    """Returns the options that all of these benchmarks have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = "benchmarks/results/giorom/" + (f"{name}.json" if name else "...")
    parser.add_argument("--out", type=Path, help=f"JSON file to write; {where} unless given")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def record(name: str, args: argparse.Namespace, seed: int = 0) -> Record:
    """Returns the record of a benchmark, which is written to `--out` where that is given."""
    torch.set_num_threads(args.threads)
    found = Record(f"giorom/{name}", seed=seed)
    if args.out:
        found.path = args.out
    return found


def written(found: Record) -> str:
    """Says where a record is."""
    return f"written to {found.path.relative_to(ROOT) if found.path.is_relative_to(RESULTS) else found.path}"


def named(words: Sequence[str], option: str) -> dict[str, str]:
    """Returns what `NAME=FILE` says.

    Raises:
        ValueError: a word is of another form, or a name is there twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (name and equals and path) or name in found:
            raise ValueError(f"{option}: expected NAME=FILE with different names, got {word!r}")
        found[name] = path
    return found


def motions(data: Path, split: str, most: int | None = None, frames: int | None = None) -> list[Motion]:
    """Returns the first motions of a split, and of each the first frames after those that roll-outs start from.

    Raises:
        FileNotFoundError: there are none.
    """
    files = sorted((data / split).glob("*.vtkhdf"))[:most]
    if not files:
        raise FileNotFoundError(f"no motions in {data / split}; make some with geoops data make particles {data}")
    found = [read_motion(file) for file in files]
    return found if frames is None else [replace(motion, x=motion.x[: SEEDS + frames]) for motion in found]


def number_of(motion: Motion, keep: float) -> int:
    """Returns how many samples a share of the particles is."""
    total, dim = motion.x.shape[1:]
    return min(max(round(keep * total), dim + 2), total)


def choices(ways: Iterable[str], seeds: int, all_of_them: bool = False) -> list[tuple[str, int]]:
    """Returns ways and seeds of choices of samples; one where all particles are taken."""
    return [("all", 0)] if all_of_them else [(way, seed) for way in ways for seed in range(seeds)]


def chosen(motion: Motion, n: int, way: str, seed: int) -> Tensor:
    """Returns the numbers of the samples."""
    return torch.arange(len(motion.material)) if way == "all" else chosen_samples(motion, n, way, seed)  # type: ignore[arg-type]


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Returns the mean over choices of samples, the least and the largest, and all of them."""
    return {"mean": statistics.fmean(values), "low": min(values), "high": max(values), "choices": list(values)}


def gathered(found: Mapping[tuple[str, int], Sequence[Errors]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns for each error and way of choosing the spread over the choices of the mean over the motions."""
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for key in dict.fromkeys(key for rows in found.values() for row in rows for key in row):
        by_way: dict[str, list[float]] = {}
        for (way, _), rows in found.items():
            values = [row[key] for row in rows if key in row and not math.isnan(row[key])]
            if values:
                by_way.setdefault(way, []).append(statistics.fmean(values))
        out[key] = {way: spread(values) for way, values in by_way.items()}
    return out


@dataclass(frozen=True)
class Trained:
    """A stepper, and what its file says of its training."""

    stepper: Stepper
    keep: float
    degree: float | None
    spacing: float
    facts: dict[str, Any]

    @classmethod
    def of(cls, path: str) -> "Trained":
        """Reads the file, or the packaged stepper of that name."""
        stepper, meta = read_stepper(path)
        data = meta["data"]
        return cls(stepper, float(data["keep"]), data["degree"], float(data["spacing"]), facts_of(path))

    def radius(self, motion: Motion, some: Tensor) -> float:
        """Returns the radius of the graph of a sample, by the rule of roll-outs."""
        return connected_radius(motion, some, self.degree)

    def graph(self, motion: Motion, some: Tensor, last: int, radius: float) -> ParticleGraph:
        """Returns the window of a sample that ends in a frame, after a check that the stepper was trained for such motions."""
        sizes = self.stepper.sizes
        check_alike("the motion", motion, sizes.dim, self.spacing)
        return window(motion, some, last, sizes.materials, sizes.history, radius).joined()


def metrics_of(path: Path) -> dict[str, Any]:
    """Returns the metrics of a training, which lie beside its bundle or are kept under its name; empty if they do not."""
    record = path.with_name("metrics.json") if path.name == "model.safetensors" else KEPT / f"{path.stem}.json"
    return json.loads(record.read_text()) if record.is_file() else {}


def facts_of(path: str) -> dict[str, Any]:
    """Returns what a bundle says of network and training, without paths."""
    meta = read_meta(find_checkpoint(path))
    training = {key: meta["training"][key] for key in ("steps", "seconds", "threads", "seed") if key in meta["training"]}
    name = meta.get("stepper") or meta.get("decoder")
    return {"class": name, "options": meta["options"], "parameters": meta["parameters"], "training": training}


def one_step(trained: Trained, motion: Motion, some: Tensor) -> Errors:
    """Returns the error of one step from true frames: as a share of that of no acceleration, and per particle."""
    first, last = SEEDS - 1, len(motion) - 1
    squared = zero = count = 0.0
    reach = trained.radius(motion, some)
    for t in range(first, last, max(1, (last - first) // STEPS)):
        step = step_errors(trained.stepper, trained.graph(motion, some, t, reach), motion.x[t + 1, some])
        squared, zero, count = squared + step.squared, zero + step.zero, count + step.count
    return {"one_step": squared / max(zero, 1e-30), "one_step_mse": squared / count}


def rolled(trained: Trained, motion: Motion, some: Tensor, times: float = 1.0) -> tuple[Motion, int, float]:
    """Returns the roll-out of a sample from the true frames, the frame where it explodes (0: nowhere), and seconds of a step.

    Positions are infinite from the explosion on; the radius is `times` that of the rule.
    """
    first, frames = SEEDS - 1, len(motion) - SEEDS
    graph = trained.graph(motion, some, first, times * trained.radius(motion, some))
    made: list[Tensor] = []
    begin, broken = time.perf_counter(), 0
    try:
        made.extend(roll_out(trained.stepper, graph, frames))
    except FloatingPointError:
        broken = len(made) + 1  # counted from the first predicted frame
        made += [torch.full_like(motion.x[0, some], math.inf)] * (frames - len(made))
    seconds = (time.perf_counter() - begin) / max(frames, 1)
    return as_motion(motion, some, first, torch.stack(made)), SEEDS - 1 + broken if broken else 0, seconds


def placed(decoder: Decoder, motion: Motion, some: Tensor, samples: Tensor) -> Motion:
    """Returns all particles, placed from the samples in all frames."""
    body, parts = motion.material, []
    with torch.no_grad():
        for queries in torch.arange(len(body)).split(CHUNK):
            state = decoder.begin(motion.x[0, some], motion.x[0, queries], body[some], body[queries], motion.bounds)
            parts.append(decoder.place(state, samples[1:])[0])
    return replace(motion, x=torch.cat([motion.x[:1], torch.cat(parts, 1)]))


def decoder_of(which: str, dim: int) -> Decoder:
    """Returns a decoder by its class, or from a file."""
    return make_decoder(which, dim)


def resident(*, peak: bool = False) -> int:
    """Returns the memory of this process in bytes, now or at its peak since `measured_peak` began (Linux)."""
    key = "VmHWM" if peak else "VmRSS"
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def measured_peak(call: Callable[[], object]) -> int:
    """Returns how many bytes a call needs at most beyond what the process has; freed memory is given back before (glibc)."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    call()
    return max(resident(peak=True) - before, 0)


def apart(script: str, case: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Returns what the script says of a case in a process of its own, so that memory is that of the case alone."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, "--threads", str(threads), "--case", json.dumps(case)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(script).name} failed for {case}; its last words:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.rstrip().splitlines()[-1])
