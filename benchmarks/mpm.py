"""Time of a step of the material point method with its laws, and how it grows with the number of particles."""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from _record import Record, keep_memory
from growth import slope
from rich.console import Console
from rich.table import Table
from torch import nn

from geoops import ops
from geoops.models import IsotropicEnergy, NCLawElastic, NCLawPlastic, YieldProjection
from geoops.physics import MPM, Box, FixedCorotated, Particles, material

UNROLLED = 50  # steps that are differentiated together
#: CPU milliseconds of a step by the code of NCLaw (Ma et al. 2023).
ORIGINAL = {
    "note": "measured on another day, on another machine and under load: orders of magnitude, no ratio of one run",
    "how": "Warp 0.6.1 on the CPU and PyTorch 2.13, one thread, 1000 particles in 20^3 cells, float32",
    "forward": {"jelly": 2.2, "sand": 3.7, "plasticine": 3.9, "water": 1.6, "neural pair": 6.3},
    "forward and backward": {"jelly": 10.7, "sand": 17.3, "plasticine": 15.7, "water": 8.8, "neural pair": 21.2},
    "8000 particles in 32^3 cells": {"jelly, forward": 9.0, "neural pair, forward": 27.3, "neural pair, both": 92.0},
    "taichi, 2D, 100,000 particles, million particle steps per second of a core": 10.5,
}


def step_ms(run: Callable[[], object], steps: int, repeats: int) -> dict[str, float]:
    """Returns milliseconds of a step: the least time of the processor, and the median by the clock."""
    cpu, wall = [], []
    run()
    for _ in range(repeats):
        begin = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - begin[0])
        wall.append(time.perf_counter() - begin[1])
    return {"cpu_ms": round(1e3 * min(cpu) / steps, 4), "wall_ms": round(1e3 * statistics.median(wall) / steps, 4)}


def laws() -> dict[str, tuple[nn.Module, nn.Module | None]]:
    """Returns stress laws and return maps, all of whose constants are unknown."""
    known = {name: material(name).requires_grad_() for name in ("jelly", "sand", "plasticine", "water")}
    return {name: (law.elastic, law.plastic) for name, law in known.items()} | {
        "neural pair": (NCLawElastic(), NCLawPlastic()),
        "structured pair": (IsotropicEnergy(), YieldProjection()),
    }


def thrown_cube(each: int, dtype: torch.dtype) -> Particles:
    """Returns the training scene of NCLaw with `each` particles along an edge."""
    axis = torch.linspace(-0.25, 0.25, each, dtype=torch.float64)
    offset = torch.cartesian_prod(axis, axis, axis)
    v = torch.tensor([1.0, -1.5, -2.0]) + torch.linalg.cross(torch.full_like(offset, 4.0), offset)
    return Particles.undeformed((offset + 0.5).to(dtype), v.to(dtype), volume=0.125 / each**3, density=1e3)


def scene(mpm: MPM, each: int, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """Returns the two passes over the steps, from a state in motion."""
    with torch.no_grad():
        start = mpm.run(thrown_cube(each, dtype), 100)
    return {
        "forward": torch.no_grad()(lambda: mpm.run(start, UNROLLED)),
        "forward and backward": lambda: mpm.run(start, UNROLLED).x.square().mean().backward(),
    }


def measure_laws() -> list[dict[str, Any]]:
    """Returns the time of a step for all laws, two numbers of particles and both passes, and of one law in float64."""
    rows = []
    cases = [(10, 20, torch.float32), (20, 32, torch.float32), (10, 20, torch.float64)]
    for each, cells, dtype in cases:
        for law, pair in laws().items():
            if dtype == torch.float64 and law != "structured pair":
                continue
            mpm = MPM(Box((cells,) * 3, 1 / cells, eps=1e-7), 5e-4, *pair).to(dtype)
            for kind, run in scene(mpm, each, dtype).items():
                case = {"law": law, "particles": each**3, "cells": cells, "dtype": str(dtype).removeprefix("torch."), "pass": kind}
                rows.append(case | step_ms(run, UNROLLED, 15 if each == 10 else 5))
    return rows


def jelly(particles: int, d: int, cells: int, each: float) -> tuple[MPM, Particles]:
    """Returns a jelly in random order that fills its part of the box with `each` particles in a cell."""
    dx = 1 / cells
    side = (particles / each) ** (1 / d) * dx
    x = (1 - side) / 2 + side * torch.rand(particles, d)
    start = Particles.undeformed(x, 0.1 * torch.randn(d).expand(particles, d), volume=dx**d / each, density=1e3)
    mpm = MPM(Box((cells,) * d, dx), 1e-4, FixedCorotated(1e5, 0.2))
    with torch.no_grad():
        return mpm, mpm.run(start, 2)


@torch.no_grad()
def measure_plane(particles: int = 100_000) -> list[dict[str, Any]]:
    """Returns the speed in two dimensions: as `MPM.run` sorts particles, and without."""
    mpm, start = jelly(particles, 2, 256, 4.0)

    def unsorted() -> None:
        now = start
        for _ in range(UNROLLED):
            now = mpm(now)

    rows = []
    for order, run in {"sorted": lambda: mpm.run(start, UNROLLED), "shuffled": unsorted}.items():
        found = step_ms(run, UNROLLED, 5)
        speed = {"million_particle_steps_per_s": round(particles / found["cpu_ms"] / 1e3, 2)}
        rows.append({"order": order, "particles": particles, "cells": 256} | found | speed)
    return rows


@torch.no_grad()
def measure_growth(sizes: list[int]) -> dict[str, Any]:
    """Returns the time of a step with eight particles in a cell, and the slopes of its logarithm over that of their number."""
    rows = []
    for particles in sizes:
        cells = math.ceil(2 * (particles / 8) ** (1 / 3))
        mpm, start = jelly(particles, 3, cells, 8.0)
        repeats = max(2, min(20, 300_000 // particles))
        found = step_ms(lambda mpm=mpm, start=start: mpm.run(start, UNROLLED), UNROLLED, repeats)
        rows.append({"particles": particles, "cells": cells} | found)
    times = [row["cpu_ms"] for row in rows]
    between = [slope(sizes[i : i + 2], times[i : i + 2]) for i in range(len(sizes) - 1)]
    return {"rows": rows, "slope": round(slope(sizes, times), 3), "slopes_between": [round(s, 3) for s in between]}


def main() -> None:
    """Prints the tables and writes benchmarks/results/mpm.json."""
    keep_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="of the growth")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    with Record("mpm", seed=0) as record:
        record["kernels"], record["steps"], record["original"] = vars(ops.info()), UNROLLED, ORIGINAL
        record["rows"] = rows = measure_laws()
        record["plane"] = plane = measure_plane()
        record["growth"] = growth = measure_growth(options.sizes)
    for title, found in {"one step": rows, "in two dimensions": plane, "growth": growth["rows"]}.items():
        table = Table(*found[0], title=title)
        for row in found:
            table.add_row(*map(str, row.values()))
        console.print(table)
    console.print(f"slope {growth['slope']}, between neighbours {growth['slopes_between']}")
    console.print(f"written to {record.path.name} in benchmarks/results")


if __name__ == "__main__":
    main()
