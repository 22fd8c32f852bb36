"""What an animation shows: positions and a number of each particle, at times that all trajectories and motions have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops
from geoops.physics import Motion, Trajectory, determinant
from geoops.viz._chart_style import COLOURS
from geoops.viz._panel import value_range

#: States at chosen steps, or positions only.
Moving = Trajectory | Motion
Field = Literal["material", "error", "speed", "det_F", "equivalent_strain"] | Callable[..., Tensor]
_LABELS = {"error": "error of the position", "speed": "speed", "det_F": "det F", "equivalent_strain": "equivalent strain"}


@dataclass(frozen=True)
class Drawn:
    """One trajectory or motion, ready to be drawn.

    Args:
        title: printed above.
        x: positions; planar ones have the third coordinate 0.
        values: a number of each particle, or the index of its material.
        diameter: of a particle, in the unit of the positions.
    """

    title: str
    x: Float[np.ndarray, "frames particles 3"]
    values: Float[np.ndarray, "frames particles"]
    diameter: float


@dataclass(frozen=True)
class Show:
    """Motions side by side, with one scale of colours.

    Args:
        motions: from left to right.
        times: time of each frame.
        corners: corners of the box.
        flat: whether everything lies in a plane.
        label: printed at the colour bar.
        range: values at the two ends of the colour bar.
        materials: names of the materials, if these are what the colours tell.
    """

    motions: tuple[Drawn, ...]
    times: Float[np.ndarray, " frames"]
    corners: Float[np.ndarray, "corners 3"]
    flat: bool
    label: str
    range: tuple[float, float]
    materials: tuple[str, ...] = ()

    @property
    def material_colours(self) -> list[str]:
        """One colour for each material."""
        return [COLOURS[i % len(COLOURS)] for i in range(len(self.materials))]


def show_of(trajectories: Mapping[str, Moving], field: Field, frames: int, label: str | None, clip: float) -> Show:
    """Returns what an animation shows; errors are those of `animate`."""
    if not trajectories:
        raise ValueError("animate: give at least one trajectory to draw")
    if frames < 1:
        raise ValueError(f"animate: expected frames >= 1, got {frames}")
    first = next(iter(trajectories.values()))
    d = _positions(first).shape[-1]
    for title, trajectory in trajectories.items():
        _check(title, trajectory, d)
    chosen = _common(list(trajectories.values()))
    if chosen.shape[1] == 0:
        raise ValueError("animate: the trajectories have no frames of the same time; keep the same steps of all simulations")
    chosen = chosen[:, np.unique(np.linspace(0, chosen.shape[1] - 1, frames).round().astype(int))]

    names = tuple(dict.fromkeys(name for t in trajectories.values() for name in t.names)) if field == "material" else ()
    motions = []
    for (title, trajectory), index in zip(trajectories.items(), chosen, strict=True):
        x = _positions(trajectory).detach().cpu().double().numpy()[index]
        values = _values(title, trajectory, index, field, names, (first, chosen[0]))
        # a single size of points is all that a picture has
        diameter = float(_volume(trajectory).double().median()) ** (1 / d)
        motions.append(Drawn(title, np.pad(x, ((0, 0), (0, 0), (0, 3 - d))), values, diameter))
    lengths = np.max([t.box.lengths for t in trajectories.values()], axis=0)
    corners = np.stack(np.meshgrid(*[(0.0, length) for length in lengths], indexing="ij"), -1).reshape(-1, d)
    everything = np.concatenate([m.values.ravel() for m in motions])
    limits = (-0.5, len(names) - 0.5) if names else value_range(everything, clip)
    return Show(
        motions=tuple(motions),
        times=first.times.detach().cpu().double().numpy()[chosen[0]],
        corners=np.pad(corners, ((0, 0), (0, 3 - d))),
        flat=d == 2,
        label=_label(field) if label is None else label,
        range=limits,
        materials=names,
    )


def _positions(moving: Moving) -> Tensor:
    return moving.frames.x if isinstance(moving, Trajectory) else moving.x


def _volume(moving: Moving) -> Tensor:
    return moving.frames.volume if isinstance(moving, Trajectory) else moving.volume


def _check(title: str, trajectory: Moving, d: int) -> None:
    x = _positions(trajectory)
    who = f"animate: {_named(title)}"
    if x.shape[-1] != d:
        raise ValueError(f"{who} is in {x.shape[-1]} dimensions and the first in {d}; draw them apart")
    if 0 in x.shape:
        raise ValueError(f"{who} has {x.shape[0]} frames of {x.shape[1]} particles; there is nothing to draw")
    bad = (~x.isfinite()).any(-1).nonzero()
    if len(bad):
        frame, particle = bad[0].tolist()
        step = f" (step {int(trajectory.steps[frame])})" if isinstance(trajectory, Trajectory) else ""
        raise ValueError(
            f"{who} has a position that is not finite, particle {particle} in frame {frame}{step}; "
            "leave out the frames from there on"
        )


def _named(title: str) -> str:
    return f"trajectory {title!r}" if title else "the trajectory"


def _common(trajectories: list[Moving]) -> np.ndarray:
    """Indices (trajectories, frames) of the frames whose times all trajectories have."""
    all_times = [t.times.detach().cpu().double().numpy() for t in trajectories]
    least = min(t.dt if isinstance(t, Trajectory) else t.spacing for t in trajectories)
    times, tolerance = all_times[0], 0.01 * least
    nearest = np.stack([np.abs(times[:, None] - other).argmin(1) for other in all_times])
    near = [np.abs(other[i] - times) <= tolerance + 1e-6 * np.abs(times) for other, i in zip(all_times, nearest, strict=True)]
    return nearest[:, np.all(near, axis=0)]


def _label(field: Field) -> str:
    if isinstance(field, str):
        return _LABELS.get(field, field)
    return getattr(field, "__name__", "").strip("_").replace("<lambda>", "")


def _values(
    title: str,
    trajectory: Moving,
    index: np.ndarray,
    field: Field,
    names: tuple[str, ...],
    first: tuple[Moving, np.ndarray],
) -> Float[np.ndarray, "frames particles"]:
    x = _positions(trajectory)
    shape, chosen = (len(index), x.shape[1]), torch.from_numpy(index).to(x.device)
    if field == "material":
        known = np.array([names.index(name) for name in trajectory.names])
        return np.broadcast_to(known[trajectory.material.cpu().numpy()], shape).astype(np.float64)
    with torch.no_grad():
        if field == "speed":
            values = _speed(title, trajectory)[chosen]
        elif field in ("det_F", "equivalent_strain"):
            if isinstance(trajectory, Motion):
                raise ValueError(
                    f"animate: {_named(title)} is a motion, which holds positions only; the field {field} needs the deformation "
                    "gradients of a Trajectory"
                )
            F = trajectory.frames.F[chosen]
            values = determinant(F) if field == "det_F" else _equivalent_strain(F)
        elif field == "error":
            truth, at = _positions(first[0]), torch.from_numpy(first[1])
            if truth.shape[1] != shape[1]:
                raise ValueError(
                    f"animate: errors need the same particles; the first trajectory has {truth.shape[1]} and {title!r} {shape[1]}"
                )
            values = (x[chosen].cpu().double() - truth[at.to(truth.device)].cpu().double()).norm(dim=-1)
        elif callable(field):
            values = field(trajectory)
            if values.shape != x.shape[:2]:
                raise ValueError(
                    f"animate: field makes {tuple(values.shape)} of {_named(title)}; expected a number for each of "
                    f"{len(x)} frames and {shape[1]} particles"
                )
            values = values[chosen.to(values.device)]
        else:
            raise ValueError(
                f"animate: no field {field!r}; there are material, {', '.join(_LABELS)}, and functions of a trajectory"
            )
    return values.cpu().double().numpy()


def _speed(title: str, trajectory: Moving) -> Tensor:
    """Returns the speed of each particle; of a motion from the frame before, in the first frame to the next."""
    if isinstance(trajectory, Trajectory):
        return trajectory.frames.v.norm(dim=-1)
    if len(trajectory.x) < 2:
        raise ValueError(f"animate: {_named(title)} is a motion of one frame, which has no speed; give at least two frames")
    v = trajectory.x.diff(dim=0).norm(dim=-1) / trajectory.spacing
    return torch.cat([v[:1], v])


def _equivalent_strain(F: Tensor) -> Tensor:
    r"""$\sqrt{2/3}\,|\mathrm{dev}\,\ln\sigma|$; planes are in plane strain."""
    strain = ops.svd(F)[1].log()
    if strain.shape[-1] == 2:
        strain = torch.nn.functional.pad(strain, (0, 1))
    return (2 / 3) ** 0.5 * (strain - strain.mean(-1, keepdim=True)).norm(dim=-1)
