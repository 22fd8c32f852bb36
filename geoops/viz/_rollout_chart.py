"""Errors of roll-outs against time."""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from geoops.viz._chart_style import COLOURS, figure_of, finish
from geoops.viz._error_chart import draw_curve

Errors = Float[np.ndarray, "*choices frames"] | Float[Tensor, "*choices frames"]


def rollout_chart(
    errors: Mapping[str, Errors],
    spacing: float,
    path: str | os.PathLike | None = None,
    *,
    start: int = 0,
    label: str = "mean square error of positions",
) -> Any:
    """Draws errors of roll-outs against time, one line for each method, on a logarithmic axis.

    Where there are several choices of samples the line is their median, in a band from the smallest to the largest. Frames with an
    error that is zero or not finite are left out.

    Args:
        errors: for each method the error in each frame (such as `geoops.physics.motion_mse`), of one or of several choices.
        spacing: time between frames.
        path: picture to write, .png, .pdf or .svg.
        start: number of the first frame, if seed frames were left out.
        label: of the vertical axis.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: there is no method, a number is out of range, or no error of a method is positive and finite.

    Example:
        >>> import torch
        >>> from geoops.viz import rollout_chart
        >>> figure = rollout_chart({"ours": 1e-6 * torch.rand(3, 50), "constant velocity": 1e-3 * torch.rand(50)}, 5e-3)
    """
    if not errors:
        raise ValueError("rollout_chart: give the errors of at least one method to draw")
    if not (spacing > 0 and math.isfinite(spacing)) or start < 0:
        raise ValueError(f"rollout_chart: expected spacing > 0 and start >= 0, got {spacing} and {start}")
    figure, (axes,) = figure_of((7.0, 4.2))
    for i, (name, values) in enumerate(errors.items()):
        rows = values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values, float)
        if rows.ndim not in (1, 2):
            raise ValueError(
                f"rollout_chart: {name!r} has errors of shape {rows.shape}; expected (frames) or (choices of samples, frames)"
            )
        times = spacing * (start + np.arange(rows.shape[-1]))
        draw_curve(axes, f"rollout_chart: {name!r}", name, COLOURS[i % len(COLOURS)], times, np.atleast_2d(rows))
    axes.set(xlabel="time [s]", ylabel=label, yscale="log")
    axes.legend(frameon=False)
    return finish(figure, path)
