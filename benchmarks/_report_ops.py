"""Tables and a plot of the native ops."""

from collections.abc import Iterable
from pathlib import Path

from _report_tables import Record, circumstances, ratio, read, table

GROWTH = Path("docs/images/ops_growth.png")


def scatter(record: Record) -> str:
    """Returns the table of reductions."""
    found = record["results"]
    widths = sorted({row["channels"] for row in found["rows"]})
    by = {(row["op"], row["pass"], row["channels"]): row for row in found["rows"]}
    body = []
    for op, kind in dict.fromkeys((row["op"], row["pass"]) for row in found["rows"]):
        cells = []
        for width in widths:
            row = by[op, kind, width]
            others = " / ".join(ratio(row["times"][p]) if p in row["times"] else "" for p in ("torch_scatter", "torch"))
            cells.append(f"{row['ms']['geoops']:.3g} ms: {others}")
        body.append([op if kind == "forward" else f"{op}, with backward", *cells])
    shares = ", ".join(
        f"{op} {by[op, 'forward', widths[-1]]['copy_share']:.0%}"
        for op in ("segment sum", "scatter sum")
        if (op, "forward", 1) in by
    )
    return (
        f"Reductions of {found['edges']:,} entries to {found['nodes']:,} targets, {found['dtype']}: milliseconds of geoops, and "
        f"how many times as long torch-scatter / torch take in the same process ({circumstances(record)}).\n\n"
        + table(["reduction", *(f"{width} channel{'s' if width > 1 else ''}" for width in widths)], body)
        + f"\n\nShare of the bandwidth of `copy_` at {widths[-1]} channels, counting what has to be moved: {shares}."
    )


def searches(record: Record) -> str:
    """Returns the table of searches for neighbours."""
    found = record["results"]
    rows = [[row["search"], row["package"], f"{row['ms']:.3g}", ratio(row["times"])] for row in found["rows"]]
    million = found["million"]
    return (
        f"Searches on {found['points']:,} uniform points in space, {found['mean_neighbours']} neighbours within the radius, k = "
        f"{found['k']} ({circumstances(record)}; scipy with as many workers).\n\n"
        + table(["search", "package", "ms", "times geoops"], rows)
        + f"\n\nA radius graph on {million['points']:,} points ({million['edges']:,} edges) takes {million['seconds']} s, and the "
        f"process then has used {million['peak_gib_of_process']} GiB at most."
    )


def decompositions(record: Record) -> str:
    """Returns the table of small dense kernels."""
    found = record["results"]
    rows = [
        [f"`{r['op']}` {r['size']}x{r['size']}, {r['pass']}", f"{r['ms']:.3g}", f"{r['torch_ms']:.3g}", ratio(r["speedup"])]
        for r in found["rows"]
    ]
    errors = found["error_3"]
    return (
        f"{found['matrices']:,} matrices, {found['dtype']} ({circumstances(record)}).\n\n"
        + table(["decomposition", "geoops, ms", "torch.linalg, ms", "speed-up"], rows)
        + f"\n\nLargest relative error for 3x3 against float64: singular values {errors['singular_values']:.1e} (torch "
        f"{errors['singular_values_of_torch']:.1e}), product of the factors {errors['product']:.1e}."
    )


def edges(record: Record) -> str:
    """Returns the table of fused edge ops."""
    found = record["results"]
    rows = [
        [f"`{r['op']}`, {r['pass']}", r["channels"], f"{r['ms']['geoops']:.3g}"]
        + [ratio(r["times"][p]) if p in r["times"] else "" for p in ("torch_scatter", "torch")]
        for r in found["rows"]
    ]
    memory = ", ".join(f"{package} {mib:,.0f} MiB" for package, mib in found["peak_mib"].items())
    return (
        f"Gather, multiply and add along {found['edges']:,} edges between {found['nodes']:,} nodes, {found['dtype']}, fused in "
        f"geoops and in separate steps elsewhere ({circumstances(record)}).\n\n"
        + table(["op", "channels", "geoops, ms", "times torch-scatter", "times torch"], rows)
        + f"\n\nMemory that one `edge_sum` with 64 channels needs at most beyond its inputs: {memory}; the values of the edges, "
        f"which geoops does not store, are {found['edges_times_channels_mib']:,.0f} MiB."
    )


def growth(record: Record) -> str:
    """Returns how time grows with size."""
    found = record["results"]
    rows = [[r["op"], *(f"{ms:.3g}" for ms in r["ms"]), f"{r['slope']:.2f}"] for r in found["rows"]]
    return (
        f"Milliseconds against the number of edges, ten for each node, {found['channels']} channels; the searches are among as "
        "many points in space as would have so many neighbours, about 20 or 16 each, if space had no end, and their slopes are "
        f"against the edges found. The slope is that of a line through the logarithms ({circumstances(record)}).\n\n"
        + table(["op", *(f"{size:,}" for size in found["sizes"]), "slope"], rows)
        + f"\n\n![Time against size](images/{GROWTH.name})"
    )


def attention(record: Record) -> str:
    """Returns the table of relative_attention."""
    found = record["results"]
    rows = [
        [f"`relative_attention`, {r['tokens']} tokens", r["channels"], r["ms"], r["torch_ms"], ratio(r["speedup"])]
        for r in found["rows"]
    ]
    return (
        f"{found['queries']:,} queries, {found['heads']} heads, {found['dtype']}, without derivatives "
        f"({circumstances(record)}).\n\n" + table(["op", "channels of a head", "geoops, ms", "torch, ms", "speed-up"], rows)
    )


def wheel(record: Record) -> str:
    """Returns under what else the wheel was tested."""
    found = record["results"]
    built, tested, tests = found["built_with"], found["tested_with"], found["tests"]
    passed = tests["tests"] - tests["failures"] - tests["errors"] - tests["skipped"]
    return (
        f"The wheel `{found['wheel']['file']}`, built with torch {built['torch']} on Python {built['python']}, was installed "
        f"unchanged under torch {tested['torch']} on Python {tested['python']}: {passed:,} tests of the ops passed, "
        f"{tests['failures'] + tests['errors']} failed, {tests['skipped']:,} were skipped, most of them for want of a GPU."
    )


#: Files of results, and what is told of them.
SECTIONS = {
    "scatter": scatter,
    "neighbours": searches,
    "small_dense": decompositions,
    "edge_sum": edges,
    "relative_attention": attention,
    "growth": growth,
    "wheel_check": wheel,
}


def full(results: Path, names: Iterable[str] = tuple(SECTIONS)) -> str:
    """Returns what the documentation shows."""
    found = {name: read(results / f"{name}.json") for name in names}
    return "\n\n".join(SECTIONS[name](record) for name, record in found.items() if record)


def brief(results: Path) -> str:
    """Returns what the README shows."""
    return full(results, ("scatter", "neighbours"))


def draw(results: Path, root: Path) -> None:
    """Draws time against size on logarithmic axes, one line for each op."""
    record = read(results / "growth.json")
    if record is not None:
        plot(record, root / GROWTH)


def plot(record: Record, path: Path) -> None:
    """Draws how time grows with size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 4.2), layout="constrained", dpi=120)
    axes = figure.subplots()
    colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8b5a7a", "#e69f00", "#56b4e9", "#777777"]
    for colour, row in zip(colours, record["results"]["rows"], strict=False):
        axes.plot(row["edges"], row["ms"], color=colour, label=f"{row['op']}, slope {row['slope']:.2f}", marker=".")
    axes.set(xlabel="edges", ylabel="time [ms]", xscale="log", yscale="log")
    axes.grid(True, which="major", color="#e5e5e5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
