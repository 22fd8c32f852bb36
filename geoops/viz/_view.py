"""`geoops view`: look at a field of a file, alone or beside a prediction."""

from pathlib import Path

from geoops import io
from geoops.viz._panel import Component
from geoops.viz._plot import compare as compare_fields
from geoops.viz._plot import plot_field
from geoops.viz._scene import Scene


def view(
    file: str | Path,
    field: str | None = None,
    compare: str | Path | None = None,
    compare_field: str | None = None,
    png: str | Path | None = None,
    html: str | Path | None = None,
    component: Component | None = None,
    clim: tuple[float, float] | None = None,
    clip: float = 0.0,
    cmap: str | None = None,
    look_from: str | None = None,
    edges: bool = False,
    size: tuple[int, int] | None = None,
) -> list[Path]:
    """Draws a field of a file; with neither `png` nor `html` a window opens.

    Args:
        file: any mesh or point cloud that geoops reads.
        field: name of the field; without it the bare geometry is drawn.
        compare: another file, drawn beside the first on the same colour scale, with the error where the points agree.
        compare_field: name of the field in `compare` (or in `file` itself, if `compare` is not given).
        png: picture to write.
        html: interactive page to write.
        component: index or x, y, z of a vector field; its magnitude if not given.
        clim: values at the two ends of the colour bar.
        clip: fraction of the values beyond each end of the colour bar, for fields with singular points (0.005, say).
        cmap: matplotlib colour map.
        look_from: xy, xz, yz or iso.
        edges: draw the edges of the cells.
        size: width and height of the picture in pixels.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: a file is missing.
        KeyError: a file has no such field; the message lists the ones there are.
        RuntimeError: no window and no off-screen picture can be made here; the message names the missing package.
    """
    for path, suffix in ((png, ".png"), (html, ".html")):
        if path is not None and Path(path).suffix.lower() != suffix:
            raise ValueError(f"--{suffix[1:]} needs a file name that ends in {suffix}; got {path}")
    if field is None and (compare is not None or compare_field is not None):
        raise ValueError("comparing needs the name of a field; add --field NAME")
    scene = _scene(
        file,
        field,
        compare,
        compare_field,
        component=component,
        clim=clim,
        clip=clip,
        cmap=cmap,
        view=look_from,
        edges=edges,
        size=size,
    )
    written = []
    if png is not None:
        written.append(scene.png(png))
    if html is not None:
        written.append(scene.html(html))
    if not written:
        scene.show()
    return written


def _scene(file: str | Path, field: str | None, other: str | Path | None, other_field: str | None, **options) -> Scene:
    mesh = _read(file)
    try:
        if field is None or (other is None and other_field is None):
            options["edges"] = options["edges"] or field is None
            return plot_field(mesh, field, **options)
        second = mesh if other is None else _read(other)
        return compare_fields(mesh, second, field, other_field, **options)
    except KeyError as error:
        files = str(file) if other is None else f"{file} or {other}"
        raise KeyError(f"{files}: {error.args[0]}") from error


def _read(path: str | Path):
    if Path(path).suffix.lower() == ".vtkhdf":
        raise ValueError(f"{path} is the trajectory of a simulation; draw it with `geoops animate {path} -o FILE.html`")
    return io.read(Path(path))
