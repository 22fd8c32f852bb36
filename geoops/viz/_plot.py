"""The two pictures most people need: one field, and truth beside prediction."""

import warnings

import numpy as np

from geoops.geometry import Mesh, PointCloud
from geoops.viz._panel import Component, Panel, field_panel, get_field, label_of, scalar, value_range
from geoops.viz._scene import Scene


def default_view(mesh: Mesh | PointCloud) -> str:
    """Returns `xy` for planar meshes and `iso` for meshes in space."""
    return "xy" if mesh.points.shape[1] == 2 else "iso"


def plot_field(
    mesh: Mesh | PointCloud,
    field: str | None = None,
    *,
    component: Component | None = None,
    clim: tuple[float, float] | None = None,
    clip: float = 0.0,
    cmap: str | None = None,
    title: str = "",
    view: str | None = None,
    edges: bool | None = None,
    size: tuple[int, int] | None = None,
) -> Scene:
    """Draws a mesh or point cloud coloured by one of its fields.

    Args:
        mesh: what to draw. Volumes are seen from outside, clouds as points.
        field: name of a point or cell field; None draws the bare geometry.
        component: index or `x`, `y`, `z` of a vector field; the magnitude if not given.
        clim: values at the two ends of the colour bar; the range of the field if not given.
        clip: fraction of the values beyond each end of the colour bar, for fields with singular points.
        cmap: matplotlib colour map.
        title: text above; none if not given.
        view: `xy`, `xz`, `yz` or `iso`; `xy` for planar meshes if not given.
        edges: draw the edges of the cells; only where no field is drawn if not given.
        size: width and height in pixels.

    Raises:
        KeyError: no such field; the message lists the ones there are.
        ValueError: no such component or view.
    """
    panel = field_panel(mesh, field, component=component, clim=clim, clip=clip, cmap=cmap, title=title)
    return Scene((panel,), view or default_view(mesh), field is None if edges is None else edges, size)


def compare(
    truth: Mesh | PointCloud,
    prediction: Mesh | PointCloud,
    field: str,
    prediction_field: str | None = None,
    *,
    component: Component | None = None,
    clim: tuple[float, float] | None = None,
    clip: float = 0.0,
    cmap: str | None = None,
    error_limit: float | None = None,
    titles: tuple[str, str, str] = ("truth", "prediction", "error"),
    view: str | None = None,
    edges: bool = False,
    size: tuple[int, int] | None = None,
) -> Scene:
    r"""Draws truth, prediction and error side by side; truth and prediction share one colour scale.

    The error is prediction minus truth in the unit of the field, on a scale symmetric about zero; its title carries
    the relative error $\|\hat u - u\|_2 / \|u\|_2$ over the points. For vectors without a `component` the error is the
    length of the difference.

    Args:
        truth: the reference.
        prediction: a mesh with the same points in the same order; on other points no error can be drawn, which is said
            in a warning.
        field: name of the field in `truth`.
        prediction_field: its name in `prediction`; `<field>_predicted` if that is there, else `field`.
        component: index or `x`, `y`, `z` of a vector field; the magnitude if not given.
        clim: ends of the shared colour scale; the range of the truth if not given.
        clip: fraction of the values beyond each end of the scales, for fields with singular points.
        cmap: matplotlib colour map of the two fields.
        error_limit: the error's scale runs from minus this to plus this.
        titles: texts above the panels.
        view: `xy`, `xz`, `yz` or `iso`.
        edges: draw the edges of the cells.
        size: width and height in pixels.

    Raises:
        KeyError: no such field; the message lists the ones there are.
        ValueError: no such component, or fields of different kinds.
    """
    if prediction_field is None:
        predicted = f"{field}_predicted"
        prediction_field = predicted if predicted in prediction.point_fields else field
    options = {"component": component, "cmap": cmap, "clip": clip}
    left = field_panel(truth, field, clim=clim, title=titles[0], **options)
    right = field_panel(prediction, prediction_field, clim=left.range, title=titles[1], **options)
    right = Panel(prediction, right.values, right.on, left.label, titles[1], left.range, left.colours, left.categories)
    panels = [left, right]
    if left.on == right.on and truth.points.shape == prediction.points.shape and _same_points(truth, prediction):
        panels.append(_error_panel(truth, prediction, field, prediction_field, component, clip, error_limit, titles[2]))
    else:
        warnings.warn(
            f"truth ({len(truth.points)} points) and prediction ({len(prediction.points)} points) are not on the same "
            "points, so the error is not drawn; predict on the mesh of the truth to see it",
            UserWarning,
            stacklevel=2,
        )
    return Scene(tuple(panels), view or default_view(truth), edges, size)


def _same_points(a: Mesh | PointCloud, b: Mesh | PointCloud) -> bool:
    size = (a.points.amax(0) - a.points.amin(0)).max()
    return bool((a.points - b.points).abs().max() <= 1e-5 * size)


def _error_panel(
    truth: Mesh | PointCloud,
    prediction: Mesh | PointCloud,
    field: str,
    prediction_field: str,
    component: Component | None,
    clip: float,
    limit: float | None,
    title: str,
) -> Panel:
    (a, on), (b, _) = get_field(truth, field), get_field(prediction, prediction_field)
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    if a.shape != b.shape:
        raise ValueError(
            f"field {field!r} of the truth has shape {a.shape} and {prediction_field!r} of the prediction {b.shape}; "
            "they must agree"
        )
    relative = np.linalg.norm(b - a) / max(np.linalg.norm(a), 1e-300)
    title = f"{title} ({100 * relative:.2f} % in L2)"
    difference, name = scalar(b - a, field, component)
    if component == "magnitude" or (component is None and a.shape[1] > 1):
        low, high = 0.0, limit or value_range(difference, clip)[1]
        label = label_of(truth, field, f"length of the error of {field}")
        return Panel(truth, difference, on, label, title, (low, high), "magma")
    limit = limit or float(np.quantile(np.abs(difference[np.isfinite(difference)]), 1 - clip)) or 1e-12
    label = label_of(truth, field, f"error of {name}")
    return Panel(truth, difference, on, label, title, (-limit, limit), "RdBu_r")
