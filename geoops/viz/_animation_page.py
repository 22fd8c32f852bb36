"""An animation as one HTML page with a slider for the time, which needs no server and no network."""

import base64
import json
import zlib
from importlib.resources import files
from typing import Any

import numpy as np
from jaxtyping import UInt

from geoops.viz._camera import axes_of
from geoops.viz._colour_bar import ticks
from geoops.viz._film import clock_of
from geoops.viz._motion import Drawn, Show

_SHADES = 255  # and one more for what is not finite


def animation_page(show: Show, view: str, cmap: str, fps: float) -> str:
    """Returns the page. Positions are rounded to 1/65535 of the box, colours to one of 255."""
    points = np.concatenate([show.corners, *(m.x.reshape(-1, 3) for m in show.motions)])
    low, high = points.min(0), points.max(0)
    right, up, towards = axes_of(view)
    vertical = np.eye(3)[np.abs(up).argmax()] * np.sign(up[np.abs(up).argmax()])
    start, end = show.range
    content = {
        "fps": fps,
        "times": clock_of(show.times),
        "flat": show.flat,
        "box": show.corners.max(0).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "axes": [axis.tolist() for axis in (right, up, towards)],
        "up": vertical.tolist(),
        "materials": list(zip(show.materials, show.material_colours, strict=True)),
        "palette": [*(show.material_colours or _shades(cmap)), "#d3d3d3"],
        "label": show.label,
        "ticks": [] if show.materials else [((v - start) / (end - start), text) for v, text in ticks(start, end).items()],
        "panels": [_panel(motion, show, low, high) for motion in show.motions],
    }
    # a caption may hold what would end the script
    text = json.dumps(content).replace("<", "\\u003c")
    page = files("geoops.viz").joinpath("_animation.html").read_text(encoding="utf-8")
    return page.replace("const data = DATA;", f"const data = {text};")


def _shades(cmap: str) -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(c) for c in colormaps[cmap](np.linspace(0, 1, _SHADES))]


def _panel(motion: Drawn, show: Show, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    size = np.where(high > low, high - low, 1.0)
    x = ((motion.x - low) / size * 65535).round().astype("<u2")
    if show.materials:
        colours = motion.values.astype(np.uint8)
    else:
        share = (motion.values - show.range[0]) / (show.range[1] - show.range[0])
        shade = (np.nan_to_num(share, posinf=1.0, neginf=0.0).clip(0, 1) * (_SHADES - 1)).round()
        colours = np.where(np.isnan(share), _SHADES, shade).astype(np.uint8)
    return {
        "title": motion.title,
        "particles": motion.x.shape[1],
        "diameter": motion.diameter,
        "x": _packed(x),
        "colours": _packed(colours),
    }


def _packed(values: UInt[np.ndarray, "frames ..."]) -> str:
    """Differences from frame to frame, which wrap round, deflated and as text."""
    changes = np.concatenate([values[:1], values[1:] - values[:-1]])
    return base64.b64encode(zlib.compress(changes.tobytes(), 9)).decode()
