"""What an animation shows: positions and a number of each particle, at times that all trajectories have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops
from geoops.physics import Trajectory, determinant
from geoops.viz._chart_style import COLOURS
from geoops.viz._panel import value_range

Field = Literal["material", "error", "speed", "det_F", "equivalent_strain"] | Callable[[Trajectory], Tensor]
_LABELS = {"error": "error of the position", "speed": "speed", "det_F": "det F", "equivalent_strain": "equivalent strain"}


@dataclass(frozen=True)
class Motion:
    """One trajectory, ready to be drawn.

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

    motions: tuple[Motion, ...]
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


def show_of(trajectories: Mapping[str, Trajectory], field: Field, frames: int, label: str | None, clip: float) -> Show:
    """Returns what an animation shows; errors are those of `animate`."""
    if not trajectories:
        raise ValueError("animate: give at least one trajectory to draw")
    if frames < 1:
        raise ValueError(f"animate: expected frames >= 1, got {frames}")
    first = next(iter(trajectories.values()))
    d = first.frames.x.shape[-1]
    for title, trajectory in trajectories.items():
        _check(title, trajectory, d)
    chosen = _common(list(trajectories.values()))
    if chosen.shape[1] == 0:
        raise ValueError("animate: the trajectories have no frames of the same time; keep the same steps of all simulations")
    chosen = chosen[:, np.unique(np.linspace(0, chosen.shape[1] - 1, frames).round().astype(int))]

    names = tuple(dict.fromkeys(name for t in trajectories.values() for name in t.names)) if field == "material" else ()
    motions = []
    for (title, trajectory), index in zip(trajectories.items(), chosen, strict=True):
        x = trajectory.frames.x.detach().cpu().double().numpy()[index]
        values = _values(title, trajectory, index, field, names, (first, chosen[0]))
        # a single size of points is all that a picture has
        diameter = float(trajectory.frames.volume.double().median()) ** (1 / d)
        motions.append(Motion(title, np.pad(x, ((0, 0), (0, 0), (0, 3 - d))), values, diameter))
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


def _check(title: str, trajectory: Trajectory, d: int) -> None:
    x = trajectory.frames.x
    who = f"animate: {_named(title)}"
    if x.shape[-1] != d:
        raise ValueError(f"{who} is in {x.shape[-1]} dimensions and the first in {d}; draw them apart")
    if 0 in x.shape:
        raise ValueError(f"{who} has {x.shape[0]} frames of {x.shape[1]} particles; there is nothing to draw")
    bad = (~x.isfinite()).any(-1).nonzero()
    if len(bad):
        frame, particle = bad[0].tolist()
        raise ValueError(
            f"{who} has a position that is not finite, particle {particle} in frame {frame} (step {int(trajectory.steps[frame])}); "
            "leave out the frames from there on"
        )


def _named(title: str) -> str:
    return f"trajectory {title!r}" if title else "the trajectory"


def _common(trajectories: list[Trajectory]) -> np.ndarray:
    """Indices (trajectories, frames) of the frames whose times all trajectories have."""
    all_times = [t.times.detach().cpu().double().numpy() for t in trajectories]
    times, tolerance = all_times[0], 0.01 * min(t.dt for t in trajectories)
    nearest = np.stack([np.abs(times[:, None] - other).argmin(1) for other in all_times])
    near = [np.abs(other[i] - times) <= tolerance + 1e-6 * np.abs(times) for other, i in zip(all_times, nearest, strict=True)]
    return nearest[:, np.all(near, axis=0)]


def _label(field: Field) -> str:
    if isinstance(field, str):
        return _LABELS.get(field, field)
    return getattr(field, "__name__", "").strip("_").replace("<lambda>", "")


def _values(
    title: str,
    trajectory: Trajectory,
    index: np.ndarray,
    field: Field,
    names: tuple[str, ...],
    first: tuple[Trajectory, np.ndarray],
) -> Float[np.ndarray, "frames particles"]:
    frames, shape = trajectory.frames, (len(index), trajectory.frames.x.shape[1])
    chosen = torch.from_numpy(index).to(frames.x.device)
    if field == "material":
        known = np.array([names.index(name) for name in trajectory.names])
        return np.broadcast_to(known[trajectory.material.cpu().numpy()], shape).astype(np.float64)
    with torch.no_grad():
        if field == "speed":
            values = frames.v[chosen].norm(dim=-1)
        elif field == "det_F":
            values = determinant(frames.F[chosen])
        elif field == "equivalent_strain":
            values = _equivalent_strain(frames.F[chosen])
        elif field == "error":
            truth, at = first[0].frames.x, torch.from_numpy(first[1])
            if truth.shape[1] != shape[1]:
                raise ValueError(
                    f"animate: errors need the same particles; the first trajectory has {truth.shape[1]} and {title!r} {shape[1]}"
                )
            values = (frames.x[chosen].cpu().double() - truth[at.to(truth.device)].cpu().double()).norm(dim=-1)
        elif callable(field):
            values = field(trajectory)
            if values.shape != frames.x.shape[:2]:
                raise ValueError(
                    f"animate: field makes {tuple(values.shape)} of {_named(title)}; expected a number for each of "
                    f"{len(frames.x)} frames and {shape[1]} particles"
                )
            values = values[chosen.to(values.device)]
        else:
            raise ValueError(
                f"animate: no field {field!r}; there are material, {', '.join(_LABELS)}, and functions of a trajectory"
            )
    return values.cpu().double().numpy()


def _equivalent_strain(F: Tensor) -> Tensor:
    r"""$\sqrt{2/3}\,|\mathrm{dev}\,\ln\sigma|$; planes are in plane strain."""
    strain = ops.svd(F)[1].log()
    if strain.shape[-1] == 2:
        strain = torch.nn.functional.pad(strain, (0, 1))
    return (2 / 3) ** 0.5 * (strain - strain.mean(-1, keepdim=True)).norm(dim=-1)
