"""Tables and a plot of the surrogates of unit cells."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean

from _report_tables import Record, percent, table, threads

PLOT = Path("docs/images/unit_cell_time.png")
#: Name in the files, and what readers see.
MODELS = {
    "enf2enf": "enf2enf, default",
    "enf2enf-faithful-compact": "enf2enf as published, compact",
    "enf2enf-faithful-compact-knn": "enf2enf as published, compact, nearest 4 of 9 latents",
    "transolver": "Transolver, optimised as the default is",
    "transolver-adamw": "Transolver, AdamW as published",
    "pointnet": "PointNet",
    "mlp": "pointwise MLP",
}
BASELINES = {"nearest_shape": "nearest training shape", "mean_field": "mean field", "constant": "mean value"}
MODES = {
    "fine": "sees the fine mesh",
    "coarse": "sees the coarse mesh",
    "interpolation": "coarse prediction, interpolated",
}
#: How much more error than at the training resolution a finer mesh may have.
AIMS = {4: 1.15, 16: 1.3}


def load(folder: Path) -> dict[str, Record]:
    """Returns the records of a folder by their path in it, without suffix; an empty dictionary if there are none."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))
    }


def stats(values: Mapping[str, float]) -> str:
    """Returns mean (median, 95th percentile)."""
    return f"{percent(values['mean'])} ({percent(values['median'])}, {percent(values['p95'])})"


def trainings(records: Mapping[str, Record]) -> dict[str, list[Record]]:
    """Returns the trainings of the comparison by model, in the order of `MODELS`, seeds in order."""
    found: dict[str, list[Record]] = {}
    for name, record in records.items():
        if name.startswith("compare/") and "model" in record["results"]:
            found.setdefault(record["results"]["model"], []).append(record)
    known = [*MODELS, *sorted(set(found) - set(MODELS))]
    return {m: sorted(found[m], key=lambda r: r["seed"]) for m in known if m in found}


def mean_stats(records: Iterable[Record], region: str) -> dict[str, float]:
    """Returns the errors of a region, averaged over seeds."""
    tests = [record["results"]["test"][region] for record in records]
    return {key: fmean(test[key] for test in tests) for key in ("mean", "median", "p95")}


def comparison(records: Mapping[str, Record]) -> str:
    """Returns the table at equal time, with the baselines, or nothing."""
    rows = []
    runs = trainings(records)
    for model, group in runs.items():
        seeds = f", mean of {len(group)} seeds" if len(group) > 1 else ""
        first = group[0]["results"]
        cells = [stats(mean_stats(group, region)) for region in ("outside", "all")]
        rows.append([f"{MODELS.get(model, model)}{seeds}", f"{first['parameters']:,}", *cells])
    for name, label in BASELINES.items():
        if "compare/baselines" in records and name in (found := records["compare/baselines"]["results"]):
            rows.append([label, "", *(stats(found[name]["test"][region]) for region in ("outside", "all"))])
    if not rows:
        return ""
    baselines = len(rows) - len(runs)
    text = table(["model", "parameters", "away from the corners", "all points"], rows)
    if not runs:
        return text
    first = next(iter(runs.values()))[0]
    ranges = [
        f"{MODELS.get(m, m)} {percent(min(e))} to {percent(max(e))}"
        for m, group in runs.items()
        if len(e := [r["results"]["test"]["outside"]["mean"] for r in group]) > 1
    ]
    note = f"The last {baselines} rows learn nothing: `benchmarks/_unit_cell_baselines.py`." if baselines else ""
    spread = f" Range over seeds: {'; '.join(ranges)}." if ranges else ""
    cases = len(first["results"].get("cases", {}).get("outside", ())) or "all"
    return (
        f"All models for the same {first['results']['minutes']:g} minutes on one thread each, two side by side, on the "
        f"same data ({first['hardware']}); relative L2 error of the von Mises stress over {cases} test cells: "
        f"mean (median, 95th percentile).\n\n{text}\n\n{note}{spread}"
    ).strip()


def default(records: Mapping[str, Record]) -> str:
    """Returns the errors of the full training, or nothing."""
    if "default" not in records:
        return ""
    record = records["default"]
    results, training = record["results"], record["results"]["training"]
    rows = [
        ["away from the corners", *(percent(results["test"]["outside"][k]) for k in ("mean", "median", "p95"))],
        ["all points", *(percent(results["test"]["all"][k]) for k in ("mean", "median", "p95"))],
    ]
    return (
        f"The packaged model `{results['recipe']}` ({results['parameters']:,} parameters): {training['steps']:,} steps "
        f"in {training['seconds'] / 60:.0f} minutes on {threads(training['threads'])} ({record['hardware']}).\n\n"
        + table(["test error", "mean", "median", "95th percentile"], rows)
    )


def resolution(records: Mapping[str, Record], regions: Iterable[str] = ("outside",)) -> str:
    """Returns error against resolution, or nothing."""
    if "superres" not in records:
        return ""
    rows = records["superres"]["results"]["rows"]
    parts = []
    for region in regions:
        chosen = {(row["factor"], row["mode"]): row for row in rows if row["region"] == region}
        body = []
        for factor in sorted({factor for factor, _ in chosen}):
            points = next(row["points"] for (f, _), row in chosen.items() if f == factor)
            cells = [percent(chosen[factor, mode]["mean"]) if (factor, mode) in chosen else "" for mode in MODES]
            body.append([f"{factor}x ({points:,.0f} points)", *cells])
        where = "away from the corners" if region == "outside" else "all points"
        fine = {factor: row["mean"] for (factor, mode), row in sorted(chosen.items()) if mode == "fine"}
        aims = AIMS if region == "outside" else {}
        growth = ", ".join(
            f"{error / fine[1]:.2f} at {factor}x{f' (aim: at most {aims[factor]})' if factor in aims else ''}"
            for factor, error in fine.items()
            if factor > 1
        )
        parts.append(table([f"mean error, {where}", *MODES.values()], body))
        parts.append(f"Error on the fine mesh over that at the training resolution, {where}: {growth}.")
    lead = "The same model on meshes that are finer than any it was trained on:"
    return "\n\n".join([lead, *parts])


def label_error(records: Mapping[str, Record]) -> str:
    """Returns how good the labels are and the error against better ones, or nothing."""
    if "labels" not in records:
        return ""
    rows = records["labels"]["results"]["rows"]
    kinds = ("labels", "model_against_labels", "model_against_finer")
    body = [[f"{row['factor']}x", *(percent(row[kind]) for kind in kinds)] for row in rows]
    growth = {kind: ", ".join(f"{row[kind] / rows[0][kind]:.2f} at {row['factor']}x" for row in rows[1:]) for kind in kinds[1:]}
    return (
        "The labels themselves are finite elements and have errors, and at 16x most nodes are of a kind that no coarser mesh "
        "has: mid-side nodes of the solution that gave the labels, with errors of their own. A model cannot learn those, so the "
        "error against the labels grows with the resolution by more than the error itself. Here "
        f"{rows[0]['cells']} test cells are solved once more on meshes twice as fine as the one that gave the labels (away from "
        "the corners):\n\n"
        + table(["mean error", "labels against finer", "model against labels", "model against finer"], body)
        + f"\n\nGrowth of the model's error: {growth['model_against_labels']} against the labels, "
        f"{growth['model_against_finer']} against the finer solution."
    )


def speed(records: Mapping[str, Record]) -> str:
    """Returns decoding speed and latency, or nothing."""
    parts = []
    if "decode" in records:
        record = records["decode"]
        found = record["results"]
        rows = [[row["budget"], f"{row['points_per_second']:,}", f"{row['peak_mb']:,.0f} MB"] for row in found["rows"]]
        worst = max(found["chunks"].values())
        parts.append(
            f"Decoding {found['points']:,} points with `{found['checkpoint']}` on {threads(record['threads'])} "
            f"({record['hardware']}), signed distances included. Chunks of 7 to 4,096 points differ from the whole by "
            f"at most {worst:.1e} of the largest value.\n\n" + table(["memory budget", "points per second", "memory used"], rows)
        )
    if "latency" in records:
        record = records["latency"]
        rows = [
            [row["model"], f"{row['parameters']:,}", f"{row['network_ms']:.1f}", f"{row['whole_ms']:.1f}"]
            for row in record["results"]["rows"]
        ]
        ms = {row["model"]: row["network_ms"] for row in record["results"]["rows"]}
        ratios = [
            f"{ms[f'{size}, inner loop'] / ms[f'{size}, one-shot encoder']:.1f} ({size})"
            for size in ("published size", "faithful-compact")
            if f"{size}, inner loop" in ms and f"{size}, one-shot encoder" in ms
        ]
        ratio = f"\n\nTime of the inner loop over that of the one-shot encoder: {', '.join(ratios)}." if ratios else ""
        parts.append(
            f"One new shape, encoded and decoded at 972 points on {threads(record['threads'])}; the last column begins "
            "with a mesh in memory and includes its boundary and distances.\n\n"
            + table(["network", "parameters", "network, ms", "from the mesh, ms"], rows)
            + ratio
        )
    return "\n\n".join(parts)


def data(records: Mapping[str, Record]) -> str:
    """Returns how long the data took to make, or nothing."""
    if "data" not in records:
        return ""
    record = records["data"]
    found = record["results"]
    files = found["files"]
    cases = files["train"] + files["val"] + files["test"]
    return (
        f"{cases:,} cases ({files['train']:,} to train, {files['val']} to validate, {files['test']} to test; the latter at three "
        f"resolutions), {len(found['rejected'])} rejected, {found['megabytes']:.0f} MB, made in "
        f"{record['wall_seconds'] / 60:.1f} minutes by {found['processes']} processes ({record['hardware']})."
    )


def provenance(results: Path) -> str:
    """Returns how each file was made."""
    records = load(results / "unit_cell")
    rows = []
    for name, record in records.items():
        training = record["results"].get("training", {})
        seconds = training.get("seconds", record["wall_seconds"])
        steps = f"{training['steps']:,}" if training else ""
        rows.append(
            [
                f"`{name}.json`",
                "" if record["seed"] is None else record["seed"],
                steps,
                f"{seconds:,.0f}",
                record["date"],
            ]
        )
    return table(["file in `benchmarks/results/unit_cell`", "seed", "steps", "seconds", "date"], rows) if rows else ""


def full(results: Path) -> dict[str, str]:
    """Returns the sections of the documentation by title; empty where nothing was measured."""
    records = load(results / "unit_cell")
    plotted = f"![Validation error against wall clock](images/{PLOT.name})" if trainings(records) else ""
    return {
        "The data": data(records),
        "Equal time": "\n\n".join(filter(None, [comparison(records), plotted])),
        "The packaged model": default(records),
        "Super-resolution": "\n\n".join(filter(None, [resolution(records, ("outside", "all")), label_error(records)])),
        "Speed and memory": speed(records),
    }


def brief(results: Path) -> str:
    """Returns what the README shows."""
    records = load(results / "unit_cell")
    return "\n\n".join(filter(None, [comparison(records), default(records), resolution(records)]))


def draw(results: Path, root: Path) -> None:
    """Draws validation error against wall clock."""
    records = load(results / "unit_cell")
    if trainings(records):
        plot(records, root / PLOT)


def plot(records: Mapping[str, Record], path: Path) -> None:
    """Draws validation error against wall clock, one line for each training, baselines as horizontal lines."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(9.2, 4.2), layout="constrained", dpi=120)
    axes = figure.subplots()
    key, colours = "val/rel_l2/away_from_corners", ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8b5a7a", "#e69f00", "#56b4e9"]
    for colour, (model, group) in zip(colours, trainings(records).items(), strict=False):
        for i, record in enumerate(group):
            rows = [row for row in record["results"]["history"] if key in row]
            label = MODELS.get(model, model) if i == 0 else None
            axes.plot(
                [r["elapsed"] / 60 for r in rows],
                [100 * r[key] for r in rows],
                color=colour,
                label=label,
                linewidth=1.3,
                marker=".",
                markersize=3,
            )
    found = records["compare/baselines"]["results"] if "compare/baselines" in records else {}
    for style, (name, label) in zip((":", "--", "-."), BASELINES.items(), strict=True):
        if name in found:
            scores = found[name]["validation"]
            axes.axhline(100 * min(scores.values()), color="#777777", linestyle=style, linewidth=1, label=label)
    axes.set(xlabel="wall clock, one thread [min]", ylabel="validation error, relative L2 [%]", yscale="log")
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, which="both", color="#e5e5e5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
