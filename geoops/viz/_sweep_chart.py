"""What sparser samples save, and what they cost."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geoops.viz._chart_style import COLOURS, figure_of, finish

Row = Mapping[str, float | Sequence[float] | None]

#: Label and unit of each panel, by the key of its numbers.
_PANELS = {"seconds": ("time per step [ms]", 1e-3), "bytes": ("peak memory [MB]", 1e6), "error": ("", 1.0)}


def sweep_chart(
    sweeps: Mapping[str, Sequence[Row]],
    path: str | os.PathLike | None = None,
    *,
    label: str = "mean square error of positions",
) -> Any:
    """Draws time of a step, peak memory and error against the share of the particles that is kept, in three panels.

    All axes are logarithmic.

    Args:
        sweeps: for each method its rows: `kept`, the share in (0, 1], and those that are known of `seconds` (of a step), `bytes`
            (peak memory) and `error`. A list of several numbers, such as errors of several choices of samples, is drawn as its
            median in a band from the smallest to the largest.
        path: picture to write, .png, .pdf or .svg.
        label: of the vertical axis of errors.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: there is no method or no row, a row has no share that is kept, or a number is not positive and finite.

    Example:
        >>> from geoops.viz import sweep_chart
        >>> rows = [{"kept": 1 / k, "seconds": 0.1 / k, "bytes": 1e9 / k, "error": [1e-4, 2e-4]} for k in (1, 2, 4, 8)]
        >>> figure = sweep_chart({"ours": rows})
    """
    if not sweeps or not all(len(rows) for rows in sweeps.values()):
        raise ValueError("sweep_chart: give at least one method to draw, and at least one row of each")
    figure, panels = figure_of((11.0, 3.8), columns=len(_PANELS))
    for axes, (key, (title, unit)) in zip(panels, _PANELS.items(), strict=True):
        for i, (name, rows) in enumerate(sweeps.items()):
            points = sorted((_share(name, row), *_spread(name, row, key)) for row in rows if row.get(key) is not None)
            if not points:
                continue
            kept, low, middle, high = np.array(points).T
            colour = COLOURS[i % len(COLOURS)]
            axes.plot(kept, middle / unit, label=name, color=colour, linewidth=1.6, marker="o", markersize=4)
            if (high > low).any():
                axes.fill_between(kept, low / unit, high / unit, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="share of the particles that is kept", ylabel=title or label)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(_fraction)
        if axes.lines:
            axes.set_yscale("log")
    drawn = next((axes for axes in panels if len(axes.lines) == len(sweeps)), panels[0])
    if drawn.lines:
        drawn.legend(frameon=False)
    return finish(figure, path)


def _share(name: str, row: Row) -> float:
    kept = row.get("kept")
    if not isinstance(kept, float | int) or not 0 < kept <= 1:
        raise ValueError(f"sweep_chart: {name!r}: expected rows with a share `kept` in (0, 1], got {kept} in {dict(row)}")
    return float(kept)


def _spread(name: str, row: Row, key: str) -> tuple[float, float, float]:
    """Returns the least, the median and the largest of the numbers of a row."""
    values = np.atleast_1d(np.asarray(row[key], float))
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"sweep_chart: {name!r}: expected {key} > 0 and finite, got {row[key]} at kept = {row.get('kept')}")
    return float(values.min()), float(np.median(values)), float(values.max())


def _fraction(share: float, _: int | None) -> str:
    """Writes powers of two as 1, 1/2, 1/4, ..."""
    inverse = 1 / share
    return f"{share:g}" if share >= 1 or not math.isclose(inverse, round(inverse), rel_tol=1e-6) else f"1/{round(inverse)}"
