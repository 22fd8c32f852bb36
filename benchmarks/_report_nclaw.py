"""Tables of the materials that were learned from motions."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from _report_tables import read, table

MATERIALS = ("jelly", "plasticine", "sand", "water")
#: Laws in the files, and what readers see.
LAWS = {
    "structured": "structured: learned energy and yield set",
    "faithful": "networks of NCLaw, published schedule",
    "velocity": "the same with velocities in the loss",
    "warm": "networks of NCLaw, weak form first",
    "plain": "the latter with inputs `plain`",
    "polar": "the latter with inputs `polar`",
    "invariant": "the latter with inputs `invariant`",
    "sysid": "`sys-id`: true formula, unknown constants",
    "labelled": "`labeled`: networks that see true stresses",
    "neural": "`neural`: network of principal stretches, weak form first",
    "spline": "`spline`: splines of principal stretches, weak form first",
    "untrained": "networks of NCLaw before training",
}
#: Mean squared errors of the paper's Tables 1 and 2, as a third party reports them: reconstruction, time, velocity.
PUBLISHED = {
    "jelly": (2.4e-4, 9.8e-4, 2.4e-4),
    "plasticine": (6.5e-5, 1.4e-4, 4.6e-5),
    "sand": (2.6e-5, 4.2e-5, 6.5e-5),
    "water": (2.0e-5, 3.5e-4, 1.9e-5),
}
PICTURES = """\
Pictures of the packaged laws, made by `docs/make_material_images.py`: errors over twice the time that was seen, and stresses
of jelly, shaded where that motion has strains.

![Errors of positions over time](images/nclaw_error.png)

![Stress against stretch](images/nclaw_stress.png)

Where return maps take states of the plane of volume change and distortion.

![Yield surfaces](images/nclaw_yield.png)"""
KNOT = """\
The learned jelly in a shape that was not seen, given as a mesh (`benchmarks/nclaw_unseen.py`): truth, learned law and the law
before it learned, coloured by their distance from the truth.

![A knot of jelly](images/nclaw_knot.gif)"""
TESTS = ("reconstruction", "time", "velocity", "geometry", "boundary", "two materials")


def errors(record: dict[str, Any]) -> dict[str, float]:
    """Returns the errors of a run by test, infinite where it broke down; that of velocities is the mean over the throws."""
    if "broke_down" in record["results"]:
        return dict.fromkeys(TESTS, math.inf)
    found = {
        name.removeprefix("test/"): math.inf if value is None else value for name, value in record["results"]["errors"].items()
    }
    throws = [value for name, value in found.items() if name.startswith("velocity-")]
    return found | ({"velocity": fmean(throws)} if throws else {})


def runs(results: Path, material: str, law: str) -> list[dict[str, Any]]:
    """Returns the records of a law, by seed."""
    paths = sorted((results / "nclaw").glob(f"{material}-{law}-*.json"))
    return [json.loads(path.read_text()) for path in paths]


def materials(results: Path, tests: Iterable[str] = TESTS, laws: Iterable[str] = tuple(LAWS)) -> str:
    """Returns errors by materials, laws and tests."""
    tests, rows = list(tests), []
    for material in MATERIALS:
        found = {law: runs(results, material, law) for law in laws}
        if not any(found.values()):
            continue
        published = dict(zip(("reconstruction", "time", "velocity"), PUBLISHED[material], strict=True))
        rows.append([f"**{material}**, published", *(f"{published[t]:.1e}" if t in published else "" for t in tests)])
        rows += [[LAWS[law], *(_cell([errors(r) for r in records], t) for t in tests)] for law, records in found.items() if records]
    if not rows:
        return ""
    words = (
        "Mean squared error of positions (unofficial reproduction; where there are several seeds: mean, least to largest). "
        "Published values are those of the paper, as reported by a third party. *breaks down*: the simulation with the law, or its "
        "training, leaves the box or gives values that are not finite."
    )
    return f"{words}\n\n{table(['material, law', *tests], rows)}"


def unseen(results: Path) -> str:
    """Returns errors on the shape that is given as a mesh."""
    record = read(results / "nclaw_unseen.json")
    if record is None:
        return ""
    found = record["results"]
    rows = [[name, f"{value:.1e}"] for name, value in found["position_mse"].items()]
    size = f"{found['particles']:,} particles, {found['steps']:,} steps"
    return f"{KNOT}\n\n{table([size, 'position MSE'], rows)}"


def simulator(results: Path) -> str:
    """Returns what a step of the simulator costs."""
    record = read(results / "mpm.json")
    if record is None:
        return ""
    found = record["results"]
    cells: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in found["rows"]:
        key = (row["law"], f"{row['particles']:,}", row["dtype"])
        cells.setdefault(key, {})[row["pass"]] = row["cpu_ms"]
    rows = [
        [law, size, kind, *(f"{times[p]:.2f}" for p in ("forward", "forward and backward"))]
        for (law, size, kind), times in cells.items()
    ]
    (plane, *_), growth = found["plane"], found["growth"]
    speed = plane["million_particle_steps_per_s"]
    words = (
        f"In the plane, {plane['particles']:,} particles of jelly: {speed:.1f} million particle-steps/s "
        f"on one core. Time grows from 1,000 to {growth['rows'][-1]['particles']:,} particles with slope {growth['slope']:.2f}."
    )
    head = ["CPU ms per step, one thread", "particles", "precision", "forward", "forward and backward"]
    return f"{table(head, rows)}\n\n{words}"


def training(results: Path) -> str:
    """Returns how long trainings took."""
    rows = []
    for path in sorted((results / "nclaw").glob("*-*-*.json")):
        if not (facts := json.loads(path.read_text())["results"].get("training")):
            continue  # it broke down
        rows.append([f"`{path.name}`", facts["seed"], facts["steps"], facts["threads"], f"{facts['seconds'] / 60:.1f}"])
    return table(["file in `benchmarks/results/nclaw`", "seed", "steps", "threads", "minutes"], rows) if rows else ""


def brief(results: Path) -> str:
    """Returns what the README shows."""
    return materials(results, ("reconstruction", "time", "velocity"), ("faithful", "warm", "structured"))


def full(results: Path) -> str:
    """Returns tables and pictures of materials that were learned from motions."""
    errors = materials(results)
    return errors and "\n\n".join(filter(None, [errors, PICTURES, unseen(results), training(results)]))


def _cell(found: list[dict[str, float]], test: str) -> str:
    values = [f[test] for f in found if test in f]
    if not values:
        return ""
    mean = f"{fmean(values):.1e}" if math.isfinite(fmean(values)) else "*breaks down*"
    return mean if len(values) == 1 else f"{mean} ({min(values):.1e} to {max(values):.1e})"
