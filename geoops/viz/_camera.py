"""Framing: where the camera stands so that a mesh fills its panel and leaves room for title and colour bar."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

TITLE, BAR, SIDE = 0.085, 0.16, 0.03
_DIRECTIONS = {
    "xy": ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
    "xz": ((0.0, -1.0, 0.0), (0.0, 0.0, 1.0)),
    "yz": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    "iso": ((1.0, -1.2, 0.9), (0.0, 0.0, 1.0)),
    "iso_y": ((0.5, 0.4, 1.0), (0.0, 1.0, 0.0)),
}


@dataclass(frozen=True)
class Frame:
    """A parallel camera.

    Args:
        position: where the camera stands.
        focus: the point in the middle of the panel.
        up: the direction drawn upwards.
        scale: half the height of the panel, in the units of the mesh.
    """

    position: tuple[float, float, float]
    focus: tuple[float, float, float]
    up: tuple[float, float, float]
    scale: float


def axes_of(view: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the directions to the right, upwards and towards the camera."""
    if view not in _DIRECTIONS:
        raise ValueError(f"view must be one of {', '.join(_DIRECTIONS)}; got {view!r}")
    towards, up = (np.asarray(v) / np.linalg.norm(v) for v in _DIRECTIONS[view])
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    return right, np.cross(towards, right), towards


def _extent(points: Float[np.ndarray, "points 3"], view: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of the points in the camera's axes (right, up, towards the camera)."""
    along = points @ np.stack(axes_of(view), axis=1)
    return along.min(0), along.max(0)


def aspect(points: Float[np.ndarray, "points 3"], view: str, title: bool = True) -> float:
    """Returns height over width of a panel that fits the points."""
    low, high = _extent(points, view)
    width, height, _ = np.maximum(high - low, 1e-12)
    top = TITLE if title else SIDE
    return float(np.clip(height / width * (1 - 2 * SIDE) / (1 - top - BAR), 0.45, 1.5))


def frame(points: Float[np.ndarray, "points 3"], view: str, panel_aspect: float, title: bool = True) -> Frame:
    """Returns the camera for points (n, 3) in a panel whose height over width is `panel_aspect`."""
    right, up, towards = axes_of(view)
    low, high = _extent(points, view)
    size, middle = high - low, (low + high) / 2
    top = TITLE if title else SIDE
    scale = max(size[1] / (1 - top - BAR), size[0] / (1 - 2 * SIDE) * panel_aspect, 1e-9) / 2
    # The bar below is taller than the title above, so the mesh sits above the middle of the panel.
    focus = middle[0] * right + (middle[1] - (BAR - top) * scale) * up + middle[2] * towards
    distance = 2 * max(float(np.linalg.norm(size)), 2 * scale)
    position = focus + distance * towards
    return Frame(tuple(position.tolist()), tuple(focus.tolist()), tuple(up.tolist()), float(scale))
