"""Colour bars with round numbers, and text, set in one font."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from geoops.viz._camera import BAR
from geoops.viz._panel import Panel

_LEFT, _WIDTH = 0.1, 0.8


@cache
def _font_file() -> str:
    # matplotlib ships this font, so pictures look the same on every machine.
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def font_size(width: float, factor: float = 1.0) -> int:
    """Returns the font size that suits a panel of a width in pixels."""
    return int(np.clip(factor * 0.019 * width, 6, 30))


def colour_map(panel: Panel) -> Any:
    """Returns what pyvista takes as colour map: a name, or one colour per category."""
    if not panel.categories:
        return panel.colours
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    known = colormaps[panel.colours]
    colours = list(getattr(known, "colors", ()))
    if panel.colours == "tab20":
        # The strong colours first; the pale ones only where there are more than ten.
        colours = [*colours[::2], *colours[1::2]]
    if not panel.categories <= len(colours) <= 64:
        colours = known(np.linspace(0, 1, panel.categories))
    return [to_hex(c) for c in colours[: panel.categories]]


def ticks(low: float, high: float, categories: int = 0) -> dict[float, str]:
    """Returns round numbers between two values with their texts."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    if categories:
        values = np.arange(round(low + 0.5), round(high - 0.5) + 1)
        return {float(v): f"{v:d}" for v in values}
    values = [float(v) for v in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    margin = 1e-9 * (high - low)
    values = [v for v in values if low - margin <= v <= high + margin]
    size = max(abs(low), abs(high))
    if size >= 1e5 or size < 1e-3:
        digits = next(d for d in range(2, 17) if d == 16 or len({f"{v:.{d}g}" for v in values}) == len(values))
        return {v: f"{v:.{digits}g}" for v in values}
    formatter = ScalarFormatter(useOffset=False)
    formatter.create_dummy_axis()
    formatter.set_locs(values)
    return {v: formatter(v).replace("\N{MINUS SIGN}", "-") for v in values}


def add_text(plotter: Any, text: str, x: float, y: float, *, size: int, colour: str = "black") -> Any:
    """Writes a line of text centred at a place of the current panel, in fractions of it, and returns its actor."""
    # VTK would read these as the start of a formula or as a new column.
    text = text.replace("$", r"\$").replace("|", "/")
    look = {"font_size": size, "color": colour, "font_file": _font_file()}
    actor = plotter.add_text(text, position=(x, y), viewport=True, **look)
    actor.prop.SetJustificationToCentered()
    actor.prop.SetVerticalJustificationToCentered()
    return actor


def add_colour_bar(plotter: Any, mapper: Any, panel: Panel, name: str, width: float, *, texts: bool) -> None:
    """Adds the colour bar of a panel at its lower edge.

    Args:
        plotter: with the panel as its current one.
        mapper: whose colours are explained.
        panel: what is drawn.
        name: unique among the panels.
        width: of the panel in pixels.
        texts: write label and numbers here; the viewer of an HTML page sets them itself.
    """
    bar = plotter.add_scalar_bar(
        title=name,
        mapper=mapper,
        n_labels=0 if texts else 5,
        color="black",
        width=_WIDTH,
        height=0.17 * BAR,
        position_x=_LEFT,
        position_y=0.38 * BAR,
        fill=False,
        render=False,
    )
    label = panel.label + _beyond(panel)
    bar.SetTitle("" if texts else label)
    bar.SetUnconstrainedFontSize(True)
    if not texts:
        return
    bar.SetBarRatio(1.0)
    size = font_size(width)
    # pyvista doubles font sizes, and a letter is about 0.6 times as wide as the font is high.
    fitting = int(0.96 * width / (0.6 * 2 * max(len(label), 1)))
    add_text(plotter, label, 0.5, 0.76 * BAR, size=min(size, fitting))
    low, high = panel.range
    for value, text in ticks(low, high, panel.categories).items():
        add_text(plotter, text, _LEFT + _WIDTH * (value - low) / (high - low), 0.2 * BAR, size=int(0.85 * size))


def _beyond(panel: Panel) -> str:
    """Says so where values lie beyond the ends of the colour scale."""
    if panel.values is None or panel.categories:
        return ""
    finite = panel.values[np.isfinite(panel.values)]
    low, high = panel.range
    margin = 0.01 * (high - low)
    parts = [f"min {_short(finite.min())}"] * bool(finite.min() < low - margin)
    parts += [f"max {_short(finite.max())}"] * bool(finite.max() > high + margin)
    return f" ({', '.join(parts)})" if parts else ""


def _short(value: float) -> str:
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
