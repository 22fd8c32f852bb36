"""Stress of elastic laws along simple motions."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops
from geoops.physics import Trajectory
from geoops.viz._chart_style import COLOURS, figure_of, finish
from geoops.viz._law_values import Law, evaluate, require_laws

_POINTS, _BINS = 121, 60


def stress_stretch(
    laws: Mapping[str, Law],
    path: str | os.PathLike | None = None,
    *,
    trajectory: Trajectory | None = None,
    stretches: tuple[float, float] = (0.6, 1.6),
) -> Any:
    r"""Draws the principal Kirchhoff stress of elastic laws against stretch, in three panels.

    * uniaxial: F = diag(s, 1, 1), the stress along the first axis.
    * equibiaxial: F = diag(s, s, 1), the stress along the first axis.
    * simple shear: the stress in the direction which shear by $\gamma = s - 1/s$ stretches by s.

    The background is the darker the more of the principal stretches of a trajectory lie there; where it is white, laws
    learned from it extrapolate.

    Args:
        laws: functions from deformation gradients to Kirchhoff stresses; the first is the truth and drawn dashed.
        path: picture to write, .png, .pdf or .svg.
        trajectory: motion whose strains shade the background, and whose dimension counts; without it laws are taken to be in
            three dimensions.
        stretches: least and greatest stretch.

    Returns:
        The matplotlib figure.

    Raises:
        TypeError: a law is no function.
        ValueError: there is no law, stretches are out of order, or a law makes matrices of another shape.

    Example:
        >>> from geoops.physics import FixedCorotated, NeoHookean
        >>> from geoops.viz import stress_stretch
        >>> figure = stress_stretch({"truth": FixedCorotated(1e5, 0.2), "learned": NeoHookean(1e5, 0.2)})
    """
    require_laws(laws, "stress_stretch")
    if not 0 < stretches[0] < stretches[1]:
        raise ValueError(f"stress_stretch: expected 0 < least < greatest stretch, got {stretches}")
    s = torch.linspace(*stretches, _POINTS, dtype=torch.float64)
    motions = _motions(s, 3 if trajectory is None else trajectory.frames.x.shape[-1])
    figure, panels = figure_of((11.0, 3.8), columns=len(motions))
    for axes, (title, (F, n)) in zip(panels, motions.items(), strict=True):
        for i, (name, law) in enumerate(laws.items()):
            stress = torch.einsum("pi,pij,pj->p", n, evaluate(law, F, name), n)
            look = {"color": "black", "linestyle": "--", "zorder": 3} if i == 0 else {"color": COLOURS[(i - 1) % len(COLOURS)]}
            axes.plot(s.numpy(), stress.numpy(), label=name, linewidth=1.6, **look)
        axes.set(title=title, xlabel="stretch", xlim=stretches)
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    panels[0].set_ylabel("principal Kirchhoff stress")
    panels[0].legend(frameon=False)
    if trajectory is not None:
        _shade(panels, trajectory, stretches)
    return finish(figure, path)


def _motions(s: Tensor, d: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Deformation gradients of each motion, and the direction whose stress is drawn."""
    one = torch.eye(d, dtype=s.dtype).repeat(len(s), 1, 1)
    uniaxial, equibiaxial, shear = one.clone(), one.clone(), one.clone()
    uniaxial[:, 0, 0] = equibiaxial[:, 0, 0] = equibiaxial[:, 1, 1] = s
    shear[:, 0, 1] = s - 1 / s
    first = one[:, 0]
    # (s, 1) is an eigenvector of F F^T with the eigenvalue s^2
    along = first * s[:, None] + one[:, 1]
    return {
        "uniaxial": (uniaxial, first),
        "equibiaxial": (equibiaxial, first),
        "simple shear": (shear, along / along.norm(dim=1, keepdim=True)),
    }


def visited(
    trajectory: Trajectory, stretches: tuple[float, float]
) -> tuple[Float[np.ndarray, " edges"], Float[np.ndarray, " bins"]]:
    """Returns the edges of bins between two stretches, and the share of the principal stretches of a motion in each.

    Raises:
        ValueError: the deformation of the motion is not finite.
    """
    F = trajectory.frames.F.detach().cpu()
    if not F.isfinite().all():
        raise ValueError("stress_stretch: the deformation gradients of the trajectory are not finite; end it before they are not")
    sigma = ops.svd(F)[1].double().numpy().ravel()
    counts, edges = np.histogram(sigma, _BINS, stretches)
    return edges, counts / max(len(sigma), 1)


def _shade(panels: list[Any], trajectory: Trajectory, stretches: tuple[float, float]) -> None:
    edges, share = visited(trajectory, stretches)
    # rare strains still teach a law, and a linear scale would not show them
    depth = np.log1p(1e3 * share / max(share.max(), 1e-300))
    for axes in panels:
        low, high = axes.get_ylim()
        extent = (edges[0], edges[-1], low, high)
        axes.imshow(depth[None], cmap="Greys", vmin=0, vmax=3 * depth.max() or 1, extent=extent, aspect="auto", zorder=0)
        axes.set_ylim(low, high)
