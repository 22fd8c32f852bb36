"""Tables and pictures of steppers and decoders of few particles."""

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

from _report_tables import read, table

MATERIALS = ("jelly", "plasticine", "water", "jelly3d")
SPLITS = {"test": "as in training", "test_geometry": "unseen shapes", "test_velocity": "unseen speeds"}
NAMES = {"ours": "GIOROM, ours", "gns": "GNS", "authors": "GIOROM as published"}
ROLLOUT = "docs/images/giorom_rollout_{}.png"
SWEEP = "docs/images/giorom_sparsity_{}.png"


def value(errors: Mapping[str, Any], key: str, way: str, part: str = "mean") -> float:
    """Returns an error of a way of choosing samples; infinite where a roll-out exploded, NaN where it was not measured."""
    if way not in errors.get(key, {}):
        return math.nan
    number = errors[key][way][part]
    return math.inf if number is None else number


def way_of(errors: Mapping[str, Any], wanted: str = "fps") -> str:
    """Returns the way of choosing samples that is shown: the wanted one, or that of all particles."""
    ways = list(errors["mse_100"])
    return wanted if wanted in ways else ways[0]


def number(x: float, form: str = ".1e", ranges: tuple[float, float] | None = None) -> str:
    """Returns a number, with the least and the largest behind it where they differ."""
    if math.isnan(x):
        return ""
    if math.isinf(x):
        return "*explodes*"
    text = f"{x:{form}}"
    if ranges and all(map(math.isfinite, ranges)) and f"{ranges[0]:{form}}" != f"{ranges[1]:{form}}":
        text += f" ({ranges[0]:{form}} to {ranges[1]:{form}})"
    return text


def cell(errors: Mapping[str, Any], key: str, way: str, form: str = ".1e") -> str:
    """Returns an error with its range over choices of samples."""
    parts = [value(errors, key, way, part) for part in ("mean", "low", "high")]
    return number(parts[0], form, (parts[1], parts[2]))


def rollouts(results: Path, splits: Iterable[str] = tuple(SPLITS), details: bool = True) -> str:
    """Returns errors of roll-outs by materials, splits and steppers."""
    rows, more, frames, drawn = [], [], 0, []
    for material in MATERIALS:
        record = read(results / "giorom" / f"rollout-{material}.json")
        if record is None:
            continue
        found, frames = record["results"], record["results"]["frames"]
        drawn.append(material)
        for split in splits:
            falls: list[str] = []
            for name, entry in found["steppers"].items():
                if split not in entry["splits"]:
                    continue
                errors = entry["splits"][split]
                way = way_of(errors)
                label = f"{material}, {SPLITS.get(split, split)}: {NAMES.get(name, name)}"
                size = f"{entry['samples']:,} of {entry['particles']:,}"
                cells = [cell(errors, key, way) for key in ("mse_100", "mse")]
                rows.append([label, size, *cells, cell(errors, "full_mse_100", way), cell(errors, "frames_until", way, ".0f")])
                falls = falls or [number(value(errors, f"{kind}_mse_100", way)) for kind in ("fall", "ballistic")]
                wide = f"{label}, {way}"
                detail = ("centre_of_mass", "kinetic_energy", "outside", "displacement_100", "decoder_displacement_100")
                detail += ("earth_movers_at_100", "mirror")
                for other in errors["mse_100"]:
                    wide = f"{label}, {other}"
                    ratio = cell(errors, "full_over_samples_at_100", other, ".2f")
                    step = cell(errors, "one_step", other, ".3f")
                    more.append([wide, step, *(cell(errors, key, other) for key in detail), ratio])
            for kind, fall in zip(("free fall within the walls", "free fall through the walls"), falls, strict=False):
                rows.append([f"{material}, {SPLITS.get(split, split)}: {kind}", "", fall, "", "", ""])
    if not rows:
        return ""
    words = (
        "Mean squared error of positions (mean over axes, the six true frames at the start left out) over the first 100 predicted "
        f"frames and over all {frames}; of the samples, chosen by farthest points, and of all particles placed by a decoder; and "
        "the frame in which particles are 5 % of the body's size off. Mean (least to largest over choices of the samples)."
    )
    head = ["roll-outs", "simulated", "100 frames", f"{frames} frames", "all particles, 100 frames", "frames until 5 %"]
    text = f"{words}\n\n{table(head, rows)}"
    if details:
        text += "".join(f"\n\n![Errors over time, {m}](images/{Path(ROLLOUT.format(m)).name})" for m in drawn)
    if details and more:
        names = [
            "one step (share of none)",
            "centre of mass",
            "kinetic energy",
            "outside",
            "displacement, 100",
            "decoder alone, 100",
            "earth mover's distance, frame 100",
            "mirrored, displacement",
            "all over samples at frame 100",
        ]
        text += f"\n\n{table(['the same, other errors', *names], more)}"
    return text


def decoders(results: Path, way: str = "fps") -> str:
    """Returns errors of decoders with true samples."""
    found = {
        material: record["results"] for material in MATERIALS if (record := read(results / "giorom" / f"decoders-{material}.json"))
    }
    if not found:
        return ""
    names = list(dict.fromkeys(row["name"] for results_of in found.values() for row in results_of["rows"]))
    rows = []
    for name in names:
        cells, about = [], None
        for results_of in found.values():
            row = next((row for row in results_of["rows"] if row["name"] == name), None)
            shown = "" if row is None else f"{100 * value(row, 'displacement', way):.2f} % / {value(row, 'chamfer', way):.1e}"
            cells.append(shown)
            about = about or row
        if about is not None:
            kind = "trained" if about["trained"] else ""
            rows.append([name, kind, f"{about['parameters']:,}", *cells, f"{value(about, 'ms_per_frame', way):.1f}"])
    first = next(iter(found.values()))
    words = (
        f"All {first['particles']:,} particles placed from {first['samples']} true samples of farthest points, means over the test "
        "motions and choices of samples: error relative to the displacements, and squared Chamfer distance."
    )
    return f"{words}\n\n{table(['decoder', '', 'parameters', *found, 'ms per frame'], rows)}"


#: Published figure of an elastic body: share kept, ms per step on a GPU, times as fast as all, MSE of 120 steps.
PUBLISHED = (
    ("1", 904, 1.0, 7.0e-3),
    ("1/2", 625, 1.4, 3.0e-3),
    ("1/4", 700, 1.3, 1.4e-3),
    ("1/8", 458, 2.0, 1e-4),
    ("1/16", 128, 7.0, 3e-4),
    ("1/32", 47, 19.0, 1e-4),
    ("1/64", 24, 37.0, 1.1e-3),
)


def published() -> str:
    """Returns the published figure in numbers, to be read beside ours."""
    rows = [[kept, f"{ms:,}", f"{times:.1f}", f"{error:.1e}"] for kept, ms, times, error in PUBLISHED]
    words = (
        "What was published for another elastic body, read off a figure: times of a GPU, and radii that change with the share. The "
        "shape can be compared, the numbers cannot."
    )
    return f"{words}\n\n{table(['published, share kept', 'ms per step', 'times as fast as all', 'MSE, 120 frames'], rows)}"


def sparsity(results: Path) -> str:
    """Returns time, memory and error against the share that is kept."""
    record = read(results / "giorom" / "sparsity.json")
    if record is None:
        return ""
    parts = []
    for name, scene in record["results"]["scenes"].items():
        dense = [row["model"] for row in scene["rows"] if row["model"] != "ours"]
        rows = []
        for row in scene["rows"]:
            error = [math.inf if e is None else e for e in row.get("error", [])]
            times = [f"{row['speedup'][m]:.1f}" for m in dense]
            shown = number(fmean(error), ".1e", (min(error), max(error))) if error else ""
            label = NAMES.get(row["model"], row["model"])
            size = [f"{row['samples']:,}", f"{row['step_ms']:.1f}", f"{row['search_ms']:.2f}", f"{row['peak_bytes'] / 1e6:.0f}"]
            rows.append([f"{label}, {Fraction(row['kept']).limit_denominator(1000)}", *size, *times, shown])
        head = ["network, share kept", "simulated", "ms per step", "of it search", "MB"]
        head += [f"times as fast as {m}" for m in dense] + ["MSE, 100 frames"]
        lead = f"{scene['particles']:,} particles in {scene['dim']}D" + ("" if scene["trained"] else ", weights random")
        parts.append(f"{lead} ({name}):\n\n{table(head, rows)}")
        if scene["radii"]:
            rows = []
            for row in scene["radii"]:
                error = [math.inf if e is None else e for e in row.get("error", [])]
                shown = number(fmean(error), ".1e", (min(error), max(error))) if error else ""
                rows.append([f"{row['times']:g}", f"{row['degree']:.1f}", f"{row['step_ms']:.1f}", shown])
            fixed = Fraction(scene["radii"][0]["kept"]).limit_denominator(1000)
            parts.append(table([f"radius over that of the rule, {fixed} kept", "degree", "ms per step", "MSE, 100 frames"], rows))
        parts.append(f"![Time, memory and error against the share kept](images/{Path(SWEEP.format(name)).name})")
    return "\n\n".join([*parts, published()])


def curves(found: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """Returns what `geoops.viz.rollout_chart` draws of the first split."""
    out: dict[str, list[list[float]]] = {}
    for name, entry in found["steppers"].items():
        label = NAMES.get(name, name)
        out[f"{label}, {entry['samples']:,} samples"] = entry["curves"]["samples"]
        if "all" in entry["curves"]:
            out[f"{label}, all {entry['particles']:,} placed"] = entry["curves"]["all"]
    first = next(iter(found["steppers"].values()))["curves"]
    return out | {"free fall within the walls": first["fall"]}


def sweeps(results: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns what `geoops.viz.sweep_chart` draws, by scene."""
    record, out = read(results / "giorom" / "sparsity.json"), {}
    for name, scene in (record["results"]["scenes"] if record else {}).items():
        methods: dict[str, list[dict[str, Any]]] = {}
        for row in scene["rows"]:
            error = [e for e in row.get("error", []) if e is not None]
            drawn = {
                "kept": row["kept"],
                "seconds": row["step_ms"] / 1e3,
                "bytes": row["peak_bytes"] or None,
                "error": error or None,
            }
            methods.setdefault(NAMES.get(row["model"], row["model"]), []).append(drawn)
        out[name] = methods
    return out


def draw(results: Path, root: Path) -> None:
    """Draws roll-outs and sweeps."""
    from geoops.viz import rollout_chart, sweep_chart

    for material in MATERIALS:
        if record := read(results / "giorom" / f"rollout-{material}.json"):
            found = record["results"]
            path = root / ROLLOUT.format(material)
            path.parent.mkdir(parents=True, exist_ok=True)
            rollout_chart(curves(found), found["spacing"], path, start=found["seed_frames"])
    for name, methods in sweeps(results).items():
        path = root / SWEEP.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep_chart(methods, path)


def scale(results: Path) -> str:
    """Returns what placing many points costs."""
    record = read(results / "giorom" / "scale.json")
    if record is None:
        return ""
    found, rows = record["results"], []
    for name, decoder in found["decoders"].items():
        rows += [
            [name, f"{row['points']:,}", f"{row['seconds_per_frame']:.3f}", f"{row['peak_bytes'] / 1e6:.0f}"]
            for row in decoder["rows"]
        ]
    slopes = [f"{name} {decoder['slope']:.2f}" for name, decoder in found["decoders"].items() if decoder["slope"] is not None]
    text = (
        f"Points placed from {found['samples']:,} samples in 3D, {record['threads']} thread{'s' if record['threads'] > 1 else ''} "
        f"({record['hardware']}), {found['chunk']:,} at a time.\n\n{table(['decoder', 'points', 's per frame', 'MB'], rows)}"
    )
    if slopes:
        text += f"\n\nSlope of the time over the number of points: {', '.join(slopes)}."
    dense = [
        f"GNS of {row['layers']} layers and {row['width']} channels takes {row['seconds_per_step']:.1f} s for a step of "
        f"{row['points']:,} particles, of which placing as many is "
        + ", ".join(f"{100 * share:.2g} % ({name})" for name, share in row["share"].items())
        for row in found["dense"]
        if row["share"]
    ]
    return text + (f"\n\n{'; '.join(dense)}." if dense else "")


def samples(results: Path) -> str:
    """Returns errors against the number of samples."""
    rows, ratios = [], []
    for material in MATERIALS:
        record = read(results / "giorom" / f"samples-{material}.json")
        if record is None:
            continue
        found = record["results"]
        for row in found["rows"]:
            for way in row["displacement"]:
                parts = [100 * value(row, "displacement", way, part) for part in ("mean", "low", "high")]
                shown = number(parts[0], ".2f", (parts[1], parts[2])) + " %"
                rows.append([f"{material}, {row['samples']:,} of {found['particles']:,}, {way}", shown, cell(row, "mse", way)])
        shares = [f"{r['numbers'] or math.inf:.2f} ({way})" for way, r in found["ratio"]["displacement"].items()]
        ratios.append(f"{material} {', '.join(shares)}")
    if not rows:
        return ""
    words = "One stepper with more and fewer samples: error of 100 frames relative to the displacements, and mean squared error."
    head = ["samples", "displacement error", "MSE"]
    return f"{words}\n\n{table(head, rows)}\n\nLargest over least error of these numbers of samples: {'; '.join(ratios)}."


WHAT = {
    "1": "the kernel does not see the query: order of the error in the spacing of the samples",
    "3": "degenerate graph convolution: nodes that a change of one reaches",
    "4": "one lattice for all scenes: relative change of accelerations when two join",
    "5, 6": "lattice out of reach: share of particles with a lattice point",
    "7": "deviation of deviations: size over that of all numbers",
    "9": "one-way Delaunay edges: share of the nodes that a node hears of",
    "15": "Chamfer distance on random subsets: 8,192 points over 4,096",
    "19": "a splash placed from the start: squared Chamfer distance in frame 100",
}


def ablation(results: Path) -> str:
    """Returns defects of the published code, beside ours."""
    record = read(results / "giorom" / "ablation.json")
    if record is None:
        return ""
    found = record["results"]
    rows = [
        [f"{key}: {WHAT.get(key, '')}", f"{row['published']:.2g}", f"{row['ours']:.2g}"] for key, row in found["mechanisms"].items()
    ]
    text = table(["defect, without training", "published", "ours"], rows)
    if found["variants"]:
        rows = []
        for name, row in found["variants"].items():
            label = f"{name} (defect {row['defect']})" if row["defect"] else name
            steps = row["training"].get("steps")
            errors = [cell(row, "one_step", "fps", ".3f"), cell(row, "mse_100", "fps")]
            rows.append([label, f"{row['parameters']:,}", "" if steps is None else f"{steps:,}", *errors])
        text += (
            f"\n\nTrainings of {found['minutes']:g} minutes each on one thread: the published network with all defects mended, "
            "with one of them each, and with all; ours with one of its parts left out.\n\n"
        )
        text += table(["variant", "parameters", "steps", "one step (share of none)", "MSE, 100 frames"], rows)
    return text


def full(results: Path) -> str:
    """Returns what the documentation shows."""
    sections = {
        "Roll-outs": rollouts(results),
        "Decoders": decoders(results),
        "Sparser samples": sparsity(results),
        "Number of samples": samples(results),
        "Many points from few": scale(results),
        "Defects of the published code": ablation(results),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections.items() if text)


def brief(results: Path) -> str:
    """Returns what the README shows."""
    return "\n\n".join(filter(None, [rollouts(results, ("test",), False), decoders(results)]))
