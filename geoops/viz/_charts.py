"""Charts drawn with matplotlib: error against wall clock, and error against resolution."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geoops.viz._chart_style import COLOURS, figure_of, finish


def _load(source: str | os.PathLike | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(source, Mapping):
        return dict(source)
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error


def _percent_axis(axes: Any) -> None:
    """A logarithmic axis with plain numbers; a linear one from 0 where a logarithmic one would have no numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axes.dataLim.intervaly
    if not 0 < low < high / 4:
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def plot_history(
    *sources: str | os.PathLike | Mapping[str, Any],
    labels: Sequence[str] | None = None,
    key: str = "val/rel_l2",
    output: str | os.PathLike | None = None,
) -> Any:
    """Draws the validation error of one or several trainings against wall clock time.

    Args:
        sources: `metrics.json` of trainings, or dictionaries like it: a list `history` of records with `elapsed`
            (seconds) and `key`.
        labels: names in the legend; `name` in the file, or its folder's name, if not given.
        key: which number of the records is drawn.
        output: picture to write, .png, .pdf or .svg.

    Returns:
        The matplotlib figure.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file holds no history or its records lack `key`.
    """
    if not sources:
        raise ValueError("give at least one history to draw")
    figure, (axes,) = figure_of((7.0, 4.2))
    for i, source in enumerate(sources):
        content = _load(source)
        records = [r for r in content.get("history", []) if "elapsed" in r and key in r]
        if not records:
            where = "a history" if isinstance(source, Mapping) else str(source)
            raise ValueError(f"{where} has no records with 'elapsed' and {key!r} under 'history'")
        name = (
            labels[i]
            if labels
            else content.get("name") or (f"run {i + 1}" if isinstance(source, Mapping) else Path(source).absolute().parent.name)
        )
        minutes = [r["elapsed"] / 60 for r in records]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(minutes, [100 * r[key] for r in records], label=name, color=colour, linewidth=1.6)
    axes.set(xlabel="wall clock [min]", ylabel="relative L2 error [%]")
    _percent_axis(axes)
    axes.legend(frameon=False)
    return finish(figure, output)


def plot_superres(
    *sources: str | os.PathLike | Mapping[str, Any],
    labels: Sequence[str] | None = None,
    output: str | os.PathLike | None = None,
) -> Any:
    """Draws error against resolution from reports of `geoops superres`, beside interpolation of the coarse prediction.

    Args:
        sources: JSON files written by `geoops superres -o`, or `SuperResReport.to_dict()`.
        labels: names in the legend; the model's name if not given.
        output: picture to write, .png, .pdf or .svg.

    Returns:
        The matplotlib figure.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is no such report.
    """
    if not sources:
        raise ValueError("give at least one report to draw")
    figure, (axes,) = figure_of((6.0, 4.2))
    ticks: dict[int, None] = {}
    for i, source in enumerate(sources):
        content = _load(source)
        rows = content.get("rows")
        if not rows:
            raise ValueError("a report of `geoops superres` with 'rows' is needed; got keys " + ", ".join(content))
        name = labels[i] if labels else content.get("model", f"model {i + 1}")
        region = "outside" if any(r["region"] == "outside" for r in rows) else "all"
        styles = (("fine", "-", "o"), ("coarse", "--", "s"), ("interpolation", ":", "^"))
        for mode, line, marker in styles:
            chosen = sorted((r for r in rows if r["mode"] == mode and r["region"] == region), key=lambda r: r["factor"])
            if not chosen:
                continue
            axes.plot(
                [r["factor"] for r in chosen],
                [100 * r["mean"] for r in chosen],
                line,
                marker=marker,
                color=COLOURS[i % len(COLOURS)],
                label=f"{name}: {_MODES[mode]}",
                linewidth=1.6,
                markersize=5,
            )
            ticks |= {r["factor"]: None for r in chosen}
    axes.set(xlabel="points, relative to training", ylabel="relative L2 error [%]", xscale="log")
    axes.set_xticks(sorted(ticks), [f"{t}x" for t in sorted(ticks)])
    axes.xaxis.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return finish(figure, output)


_MODES = {"fine": "sees the fine mesh", "coarse": "sees the coarse mesh", "interpolation": "interpolated"}
