"""Frames of an animation, drawn off-screen one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, UInt8

from geoops.geometry import PointCloud
from geoops.viz._camera import BAR, TITLE, aspect, frame
from geoops.viz._colour_bar import add_colour_bar, add_text, font_size
from geoops.viz._headless import offscreen
from geoops.viz._motion import Drawn, Show
from geoops.viz._panel import Panel

_PANEL_WIDTH = 420
_FINE = 2  # drawn this much larger and averaged: smooth edges, at sizes of points that VTK's own smoothing changes


@final
class Film:
    """Draws any frame of an animation; made by `film_of`, which closes its window.

    Args:
        show: what is drawn.
        view: where it is seen from.
        cmap: matplotlib colour map.
        size: width and height in pixels; the panels fit the box if None.
    """

    def __init__(self, show: Show, view: str, cmap: str, size: tuple[int, int] | None):
        import pyvista as pv

        count = len(show.motions)
        titled = any(motion.title for motion in show.motions)
        width, height = size or (_PANEL_WIDTH * count, round(_PANEL_WIDTH * aspect(show.corners, view, titled)))
        self.size, self._show, self._clouds = (width, height), show, []
        self._plotter = pv.Plotter(off_screen=True, window_size=[_FINE * width, _FINE * height], shape=(1, count), border=False)
        self._plotter.set_background(color="white")
        self._plotter.render_window.SetMultiSamples(0)
        camera = frame(show.corners, view, height / (width / count), titled)
        pixel, panel_width = 2 * camera.scale / (_FINE * height), _FINE * width / count
        for i, motion in enumerate(show.motions):
            self._plotter.subplot(0, i)
            self._clouds.append(_draw(self._plotter, show, motion, i, pixel, panel_width, cmap))
            self._plotter.enable_parallel_projection()
            self._plotter.camera_position = [camera.position, camera.focus, camera.up]
            self._plotter.camera.parallel_scale = camera.scale
            self._plotter.reset_camera_clipping_range()
        self._plotter.subplot(0, 0)
        self._clock = clock_of(show.times)
        self._time = add_text(self._plotter, self._clock[0], 0.13, 0.76 * BAR, size=font_size(panel_width))

    def image(self, i: int) -> UInt8[np.ndarray, "height width 3"]:
        """Returns frame i as an array of red, green and blue."""
        from PIL import Image

        for cloud, motion in zip(self._clouds, self._show.motions, strict=True):
            cloud.points = motion.x[i].astype(np.float32)
            cloud.point_data.active_scalars[:] = motion.values[i]
        self._time.input = self._clock[i]
        self._plotter.render()
        fine = np.ascontiguousarray(self._plotter.screenshot(None, return_img=True)[..., :3])
        return np.array(Image.fromarray(fine).reduce(_FINE))

    def close(self) -> None:
        """Closes the window that nobody sees."""
        self._plotter.close()


@contextmanager
def film_of(show: Show, view: str, cmap: str, size: tuple[int, int] | None) -> Iterator[Film]:
    """Gives a film and closes it at the end."""
    with offscreen():
        film = Film(show, view, cmap, size)
        try:
            yield film
        finally:
            film.close()


def _draw(plotter: Any, show: Show, motion: Drawn, index: int, pixel: float, width: float, cmap: str) -> Any:
    import pyvista as pv

    outline = pv.Box([*np.stack([show.corners.min(0), show.corners.max(0)], 1).ravel()]).extract_all_edges()
    plotter.add_mesh(outline, color="#909090", line_width=_FINE, lighting=False)
    name = f"panel {index}"
    cloud = pv.PolyData(motion.x[0].astype(np.float32))
    cloud.point_data[name] = motion.values[0].copy()
    actor = plotter.add_mesh(
        cloud,
        scalars=name,
        clim=show.range,
        cmap=show.material_colours if show.materials else cmap,
        n_colors=len(show.materials) or 256,
        nan_color="lightgrey",
        style="points",
        point_size=float(np.clip(motion.diameter / pixel, 2 * _FINE, 60 * _FINE)),
        render_points_as_spheres=True,
        # enough light from everywhere that colours stay those of the bar
        lighting=not show.flat,
        ambient=0.45,
        diffuse=0.6,
        show_scalar_bar=False,
        copy_mesh=False,
    )
    if motion.title:
        add_text(plotter, motion.title, 0.5, 1 - TITLE / 2, size=font_size(width, 1.25))
    if show.materials:
        _legend(plotter, show, width)
    else:
        points = PointCloud(torch.from_numpy(motion.x[0]))
        panel = Panel(points, motion.values.ravel(), label=show.label, range=show.range)
        add_colour_bar(plotter, actor.mapper, panel, name, width, texts=True)
    return cloud


def _legend(plotter: Any, show: Show, width: float) -> None:
    """Names of the materials in their colours, in one line."""
    lengths = np.array([len(name) + 3 for name in show.materials])
    # pyvista doubles font sizes, and a letter is about 0.6 times as wide as the font is high
    size = min(font_size(width, 1.1), int(0.96 * width / (0.6 * 2 * lengths.sum())))
    places = 0.5 + (np.cumsum(lengths) - lengths / 2 - lengths.sum() / 2) * 1.2 * size / width
    for name, colour, x in zip(show.materials, show.material_colours, places, strict=True):
        add_text(plotter, name, float(x), 0.4 * BAR, size=size, colour=colour)


def clock_of(times: Float[np.ndarray, " frames"]) -> list[str]:
    """Returns the text of each time, with as many decimals as tell frames apart."""
    gap = float(np.diff(times).min()) if len(times) > 1 else 0.01
    digits = int(np.clip(np.ceil(-np.log10(max(gap, 1e-9)) - 1e-6), 0, 6))
    return [f"t = {time:.{digits}f} s" for time in times]
