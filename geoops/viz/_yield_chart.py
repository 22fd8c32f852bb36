"""Where return maps lead."""

import math
import os
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops
from geoops.viz._chart_style import figure_of, finish
from geoops.viz._law_values import Law, evaluate, require_laws

_POINTS = 41


def yield_surface(
    return_maps: Mapping[str, Law],
    path: str | os.PathLike | None = None,
    *,
    reach: float = 0.1,
    applications: int = 1,
    dim: int = 3,
) -> Any:
    r"""Draws where return maps lead in the plane of $\mathrm{tr}\,\epsilon$ and $|\mathrm{dev}\,\epsilon|$, one panel for each.

    Trial states $F = \exp(\mathrm{diag}(\epsilon))$ with $\mathrm{dev}\,\epsilon$ along (1, 0, -1) fill the plane. The background
    is the darker the farther a state is moved, dots are where states arrive: on the yield surface, or where they were if they do
    not yield. $\epsilon$ is the logarithm of the singular values.

    Args:
        return_maps: functions from trial deformation gradients to admissible ones; truth first.
        path: picture to write, .png, .pdf or .svg.
        reach: largest trace and deviator of the trial states.
        applications: how often the map is applied to a state. Maps which correct a little in every step show where they lead
            only after many.
        dim: 2 or 3.

    Returns:
        The matplotlib figure.

    Raises:
        TypeError: a return map is no function.
        ValueError: there is no return map, it makes matrices of another shape, or an argument is out of range.

    Example:
        >>> from geoops.physics import Hencky, VonMises
        >>> from geoops.viz import yield_surface
        >>> law = Hencky(3e5, 0.25)
        >>> figure = yield_surface({"truth": VonMises(law, 5e3), "learned": VonMises(law, 6e3)})
    """
    require_laws(return_maps, "yield_surface")
    if not (reach > 0 and math.isfinite(reach)):
        raise ValueError(f"yield_surface: expected reach > 0, got {reach}")
    if applications < 1:
        raise ValueError(f"yield_surface: expected applications >= 1, got {applications}")
    if dim not in (2, 3):
        raise ValueError(f"yield_surface: expected dim of 2 or 3, got {dim}")
    trial = _trial(reach, dim)
    landed = {name: _landed(law, trial, applications, name) for name, law in return_maps.items()}
    moved = {name: (strain - trial).norm(dim=-1) for name, strain in landed.items()}
    most = max(float(m[m.isfinite()].max()) if m.isfinite().any() else 0.0 for m in moved.values()) or 1.0
    figure, panels = figure_of((4.2 * len(return_maps) + 1, 3.8), columns=len(return_maps))
    start = [c.reshape(_POINTS, _POINTS).numpy() for c in _plane(trial)]
    shades = None
    for axes, (name, strain) in zip(panels, landed.items(), strict=True):
        look = {"cmap": "Blues", "vmin": 0, "vmax": most, "shading": "gouraud"}
        shades = axes.pcolormesh(*start, moved[name].reshape(_POINTS, _POINTS).numpy(), **look)
        # the grid would hide the shades
        axes.grid(False)
        axes.scatter(
            *(c.numpy() for c in _plane(strain)), s=5, color="#d55e00", linewidths=0, zorder=3, label="where states arrive"
        )
        axes.set(title=name, xlabel=r"tr $\epsilon$", xlim=(-reach, reach), ylim=(-0.02 * reach, reach))
        axes.locator_params(axis="x", nbins=4)
    panels[0].set_ylabel(r"|dev $\epsilon$|")
    panels[0].legend(loc="upper right", frameon=True, fontsize=8)
    figure.colorbar(shades, ax=panels, label=r"distance in $\epsilon$")
    return finish(figure, path)


def _trial(reach: float, dim: int) -> Float[Tensor, "states d"]:
    """Principal strains on a grid of the plane."""
    trace, length = torch.meshgrid(
        torch.linspace(-reach, reach, _POINTS, dtype=torch.float64),
        torch.linspace(0, reach, _POINTS, dtype=torch.float64),
        indexing="xy",
    )
    shear = torch.zeros(dim, dtype=torch.float64)
    shear[0], shear[-1] = math.sqrt(0.5), -math.sqrt(0.5)
    return trace.reshape(-1, 1) / dim + length.reshape(-1, 1) * shear


def _landed(law: Law, strain: Tensor, applications: int, name: str) -> Float[Tensor, "states d"]:
    F = strain.exp().diag_embed()
    for _ in range(applications):
        F = evaluate(law, F, name)
    return ops.svd(F)[1].log()


def _plane(strain: Tensor) -> tuple[Tensor, Tensor]:
    """Trace and length of the deviator."""
    trace = strain.sum(-1)
    return trace, (strain - trace[..., None] / strain.shape[-1]).norm(dim=-1)
