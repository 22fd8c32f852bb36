"""What all charts share: colours, axes and how they are written."""

import io
import os
from typing import Any

from geoops.viz._files import ending, write

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
_ENDINGS = (".png", ".pdf", ".svg")


def figure_of(size: tuple[float, float], columns: int = 1) -> tuple[Any, list[Any]]:
    """Returns a figure of a size in inches and its axes, side by side."""
    from matplotlib.figure import Figure

    # A Figure of its own needs no back end, so nothing global is switched and nothing opens.
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    panels = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in panels:
        axes.grid(True, which="both", color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    return figure, panels


def finish(figure: Any, output: str | os.PathLike | None) -> Any:
    """Writes a figure, if there is a name to write it to, and returns it.

    Raises:
        ValueError: the name ends in none of .png, .pdf and .svg.
    """
    if output is not None:
        stream = io.BytesIO()
        figure.savefig(stream, format=ending(output, *_ENDINGS)[1:])
        write(output, stream.getvalue())
    return figure
