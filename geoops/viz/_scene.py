"""A row of panels, drawn off-screen into a PNG or exported as an interactive HTML page."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from geoops.viz._camera import TITLE, aspect, frame
from geoops.viz._colour_bar import add_colour_bar, add_text, colour_map, font_size
from geoops.viz._files import ending, write
from geoops.viz._headless import has_display, offscreen
from geoops.viz._page import page_of
from geoops.viz._panel import Panel

_PANEL_WIDTH = 620


@final
@dataclass(frozen=True)
class Scene:
    """One or several panels side by side; nothing is drawn before a picture is asked for.

    In a notebook a scene shows itself as a picture.

    Args:
        panels: from left to right; all are seen from the same place.
        view: `xy` (from +z, the default of planar meshes), `xz`, `yz` or `iso`.
        edges: draw the edges of the cells.
        size: width and height in pixels; None fits the panels to the mesh.
    """

    panels: tuple[Panel, ...]
    view: str = "xy"
    edges: bool = False
    size: tuple[int, int] | None = None

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the picture."""
        if self.size is not None:
            return self.size
        height = round(_PANEL_WIDTH * aspect(_points(self.panels[0]), self.view, self._titled))
        return _PANEL_WIDTH * len(self.panels), height

    @property
    def _titled(self) -> bool:
        return any(panel.title for panel in self.panels)

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        """Returns the picture as an array of red, green and blue."""
        with offscreen():
            plotter = self._plotter(off_screen=True)
            try:
                return np.ascontiguousarray(plotter.screenshot(None, return_img=True)[..., :3])
            finally:
                plotter.close()

    def png(self, path: str | os.PathLike) -> Path:
        """Writes the picture and returns where it is.

        Raises:
            OSError: the folder cannot be written.
            ValueError: the name does not end in .png.
        """
        ending(path, ".png")
        return write(path, self._repr_png_())

    def html(self, path: str | os.PathLike) -> Path:
        """Writes one page that turns and zooms in any browser, without a server and without anything to download.

        Raises:
            OSError: the folder cannot be written.
            ModuleNotFoundError: `trame-vtk` is not installed.
            ValueError: the name does not end in .html.
        """
        ending(path, ".html")
        with offscreen():
            plotter = self._plotter(off_screen=True, titles=False)
            try:
                page = page_of(plotter, [p.title for p in self.panels])
            finally:
                plotter.close()
        return write(path, page.encode())

    def show(self) -> None:
        """Opens a window.

        Raises:
            RuntimeError: there is no display to open it on.
        """
        if not has_display():
            raise RuntimeError("there is no display to open a window on; write a picture (--png) or a page (--html)")
        self._plotter(off_screen=False).show()

    def _repr_png_(self) -> bytes:
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(self.image()).save(stream, format="png")
        return stream.getvalue()

    def _plotter(self, *, off_screen: bool, titles: bool = True) -> Any:
        import pyvista as pv

        width, height = self.pixels
        count = len(self.panels)
        plotter = pv.Plotter(off_screen=off_screen, window_size=[width, height], shape=(1, count), border=False)
        plotter.set_background(color="white")
        if off_screen:
            plotter.enable_anti_aliasing("ssaa")
        ratio = height / (width / count)
        for i, panel in enumerate(self.panels):
            plotter.subplot(0, i)
            _draw(plotter, panel, i, self, width / count, ratio, texts=titles)
            if titles and panel.title:
                add_text(plotter, panel.title, 0.5, 1 - TITLE / 2, size=font_size(width / count, 1.25))
        return plotter


def _points(panel: Panel) -> np.ndarray:
    points = panel.mesh.points.detach().cpu().numpy().astype(np.float64)
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))


def _draw(plotter: Any, panel: Panel, index: int, scene: Scene, width: float, ratio: float, *, texts: bool) -> None:
    points = _points(panel)
    camera = frame(points, scene.view, ratio, scene._titled)
    shape = panel.mesh.to_pyvista()
    shape.clear_data()
    flat = panel.mesh.points.shape[1] == 2
    cells = getattr(panel.mesh, "cells", ())
    look: dict[str, Any] = {"lighting": not flat, "show_scalar_bar": False, "copy_mesh": False}
    # Enough light from everywhere that colours stay those of the bar.
    look |= {} if flat else {"ambient": 0.55, "diffuse": 0.5, "specular": 0.0}
    if len(cells) == 0:
        spacing = _typical_spacing(points)
        pixel = 2 * camera.scale / (width * ratio)
        look |= {"style": "points", "point_size": float(np.clip(0.8 * spacing / pixel, 3, 14))}
        look |= {"lighting": False, "render_points_as_spheres": True}
    elif scene.edges:
        look |= {"show_edges": True, "edge_color": "#404040", "line_width": 0.5, "edge_opacity": 0.4}
    if panel.values is None:
        plotter.add_mesh(shape, color="#b8c4d0", **look)
    else:
        # The name is the key of the colour bar, so it must differ from panel to panel.
        name = f"panel {index}"
        (shape.point_data if panel.on == "point" else shape.cell_data)[name] = panel.values
        # Between points of different categories colours blend; values in between would be other categories.
        look |= {"n_colors": panel.categories or 256, "interpolate_before_map": not panel.categories}
        actor = plotter.add_mesh(shape, scalars=name, clim=panel.range, cmap=colour_map(panel), nan_color="lightgrey", **look)
        add_colour_bar(plotter, actor.mapper, panel, f"{name}", width, texts=texts)
    plotter.enable_parallel_projection()
    plotter.camera_position = [camera.position, camera.focus, camera.up]
    plotter.camera.parallel_scale = camera.scale
    plotter.reset_camera_clipping_range()


def _typical_spacing(points: np.ndarray) -> float:
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return 0.0
    some = points[:: max(1, len(points) // 2000)]
    return float(np.median(cKDTree(points).query(some, k=2)[0][:, 1]))
