"""Errors of simulations against time."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from geoops.viz._chart_style import COLOURS, figure_of, finish

Curve = tuple[Float[Tensor, " frames"], Float[Tensor, "*seeds frames"]]


def error_over_time(curves: Mapping[str, Curve], path: str | os.PathLike | None = None) -> Any:
    """Draws errors of positions against time, one line for each law, on a logarithmic axis.

    Where there are several seeds the line is their median, in a band from the smallest to the largest. Zeros, as of a common
    start, are left out.

    Args:
        curves: for each law, times and errors (`geoops.physics.position_mse`) of one or of several seeds.
        path: picture to write, .png, .pdf or .svg.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: there is no curve, times and errors do not fit, or no error is positive.

    Example:
        >>> import torch
        >>> from geoops.viz import error_over_time
        >>> time = torch.linspace(0, 1, 50)
        >>> figure = error_over_time({"learned": (time, 1e-6 * time * torch.rand(3, 50))})
    """
    if not curves:
        raise ValueError("error_over_time: give at least one curve to draw")
    figure, (axes,) = figure_of((7.0, 4.2))
    for i, (name, (times, errors)) in enumerate(curves.items()):
        t, rows = _array(times), np.atleast_2d(_array(errors))
        if t.ndim != 1 or rows.ndim != 2 or rows.shape[1] != len(t):
            raise ValueError(
                f"error_over_time: {name!r} has {tuple(times.shape)} times and errors of shape {tuple(errors.shape)}; "
                "expected (frames) and (frames) or (seeds, frames)"
            )
        draw_curve(axes, f"error_over_time: {name!r}", name, COLOURS[i % len(COLOURS)], t, rows)
    axes.set(xlabel="time [s]", ylabel="mean square error of positions [m$^2$]", yscale="log")
    axes.legend(frameon=False)
    return finish(figure, path)


def draw_curve(axes: Any, who: str, name: str, colour: str, t: np.ndarray, rows: np.ndarray) -> None:
    """Draws the median of rows in a band from the smallest to the largest, where all of them are positive and finite."""
    drawn = (rows > 0).all(0) & np.isfinite(rows).all(0)
    if not drawn.any():
        raise ValueError(f"{who} has no time at which all errors are positive and finite")
    t, rows = t[drawn], rows[:, drawn]
    axes.plot(t, np.median(rows, 0), label=name, color=colour, linewidth=1.6)
    if len(rows) > 1:
        axes.fill_between(t, rows.min(0), rows.max(0), color=colour, alpha=0.2, linewidth=0)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
