"""What one panel of a picture shows: a mesh, a number per point or cell, a colour scale and its label."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped

from geoops.geometry import Mesh, PointCloud

Component = int | Literal["x", "y", "z", "magnitude"]
_CATEGORIES = 12


@dataclass(frozen=True)
class Panel:
    """One picture in a row of pictures.

    Args:
        mesh: what is drawn.
        values: one number per point or cell; None draws the bare geometry.
        on: whether `values` belong to points or to cells.
        label: name and unit, printed at the colour bar.
        title: printed above.
        range: values at the two ends of the colour bar.
        colours: name of a matplotlib colour map.
        categories: number of distinct integers, 0 for a continuous field.
    """

    mesh: Mesh | PointCloud
    values: Shaped[np.ndarray, " values"] | None = None
    on: Literal["point", "cell"] = "point"
    label: str = ""
    title: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    colours: str = "viridis"
    categories: int = 0

    def with_range(self, low: float, high: float) -> "Panel":
        """Returns the same panel with another colour scale."""
        return replace(self, range=_widened(low, high))


def field_names(mesh: Mesh | PointCloud) -> list[str]:
    """Returns the names of the fields that can be drawn."""
    return sorted({*mesh.point_fields, *getattr(mesh, "cell_fields", {})})


def get_field(mesh: Mesh | PointCloud, name: str) -> tuple[Any, Literal["point", "cell"]]:
    """Returns the array of a field and where it lives; points come first if both have the name.

    Raises:
        KeyError: there is no such field; the message lists the ones there are.
    """
    if name in mesh.point_fields:
        return mesh.point_fields[name].detach().cpu().numpy(), "point"
    cell_fields = getattr(mesh, "cell_fields", {})
    if name in cell_fields:
        return cell_fields[name].detach().cpu().numpy(), "cell"
    raise KeyError(f"no field {name!r} to draw; the fields there are: {', '.join(field_names(mesh)) or 'none'}")


def scalar(values: Shaped[np.ndarray, "..."], name: str, component: Component | None) -> tuple[Shaped[np.ndarray, " values"], str]:
    """Reduces a field to one number per point (itself, a component, the magnitude) and returns it with its name.

    Raises:
        ValueError: the field has no such component.
    """
    flat = values.reshape(len(values), -1)
    channels = flat.shape[1]
    if component is None:
        component = "magnitude" if channels > 1 else 0
    if component == "magnitude":
        if channels == 1:
            return np.abs(flat[:, 0]), f"magnitude of {name}"
        return np.linalg.norm(flat.astype(np.float64), axis=1), f"magnitude of {name}"
    index = "xyz".index(component) if isinstance(component, str) else component
    if not 0 <= index < channels:
        raise ValueError(f"field {name!r} has {channels} component(s); component {component!r} is not among them")
    suffix = "" if channels == 1 else f"_{'xyz'[index] if channels <= 3 else index}"
    return flat[:, index], name + suffix


def label_of(mesh: Mesh | PointCloud, field: str, name: str) -> str:
    """Returns the text at the colour bar, for example `von_mises [Pa]`."""
    unit = mesh.units.get(field, "")
    return f"{name} [{unit}]" if unit else name


def value_range(values: Shaped[np.ndarray, " values"], clip: float = 0.0) -> tuple[float, float]:
    """Returns the smallest and largest finite value after leaving out the fraction `clip` at each end."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise ValueError("the field holds no finite value; nothing can be drawn")
    low, high = np.quantile(finite, [clip, 1 - clip]) if clip else (finite.min(), finite.max())
    return _widened(float(low), float(high))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A constant field, up to rounding, still needs a scale with two different ends."""
    if high - low > 1e-6 * max(abs(low), abs(high)):
        return low, high
    margin = abs(low) * 0.01 or 1.0
    return low - margin, high + margin


def field_panel(
    mesh: Mesh | PointCloud,
    field: str | None,
    *,
    component: Component | None = None,
    clim: tuple[float, float] | None = None,
    clip: float = 0.0,
    cmap: str | None = None,
    title: str = "",
) -> Panel:
    """Returns the panel of one field; a small set of integers is drawn with one colour each."""
    if field is None:
        return Panel(mesh, title=title)
    raw, on = get_field(mesh, field)
    values, name = scalar(raw, field, component)
    label = label_of(mesh, field, name)
    distinct = np.unique(values) if np.issubdtype(raw.dtype, np.integer) or raw.dtype == np.bool_ else np.empty(0)
    values = values.astype(np.float64)
    if clim is None and 0 < distinct.size <= _CATEGORIES:
        low, high = int(distinct.min()), int(distinct.max())
        if high - low < _CATEGORIES:
            count = high - low + 1
            return Panel(mesh, values, on, label, title, (low - 0.5, high + 0.5), cmap or "tab20", count)
    limits = _widened(*clim) if clim is not None else value_range(values, clip)
    return Panel(mesh, values, on, label, title, limits, cmap or "viridis")
