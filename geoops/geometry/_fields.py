"""Checks of named fields, shared by `Mesh` and `PointCloud`."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

#: The key of `units` for the unit of the coordinates.
POINTS = "points"


def check_points(points: Any, what: str) -> None:
    """Requires a CPU tensor (n, 2 or 3), n > 0, of finite float32 or float64."""
    if not isinstance(points, Tensor):
        raise TypeError(f"{what}: points must be a torch tensor (n, 2) or (n, 3), got {type(points).__name__}")
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise ValueError(f"{what}: points must have shape (n, 2) or (n, 3), got {tuple(points.shape)}")
    if points.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{what}: points must be float32 or float64, got {points.dtype}")
    if points.device.type != "cpu":
        raise TypeError(f"{what}: points must be on the CPU, got {points.device}; batches move to other devices, meshes stay")
    if not len(points):
        raise ValueError(f"{what}: there are no points (zero points); a shape needs at least one")
    finite = torch.isfinite(points).all(1)
    if not bool(finite.all()):
        bad = (~finite).nonzero().flatten()
        raise ValueError(
            f"{what}: {len(bad)} of {len(points)} points have NaN or infinite coordinates, first point {int(bad[0])}: "
            f"{points[bad[0]].tolist()}"
        )


def check_fields(fields: Any, count: int | None, role: str, what: str) -> None:
    """Requires a dict of named CPU tensors with `count` rows (any shape where `count` is None; then text is allowed
    too).
    """
    if not isinstance(fields, Mapping):
        raise TypeError(f"{what}: {role} fields must be a dict of tensors by name, got {type(fields).__name__}")
    for name, value in fields.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"{what}: names of {role} fields must be non-empty text, got {name!r}")
        if count is None and isinstance(value, str):
            continue
        if not isinstance(value, Tensor):
            wanted = "a tensor or text" if count is None else "a tensor"
            raise TypeError(f"{what}: {role} field {name!r} must be {wanted}, got {type(value).__name__}")
        if value.device.type != "cpu":
            raise TypeError(f"{what}: {role} field {name!r} must be on the CPU, got {value.device}")
        if count is not None and (value.ndim == 0 or len(value) != count):
            raise ValueError(
                f"{what}: {role} field {name!r} must have one row for each of the {count} {role}s, got shape {tuple(value.shape)}"
            )


def check_units(units: Any, names: Iterable[str], what: str) -> None:
    """Requires units as text, for names that exist."""
    if not isinstance(units, Mapping):
        raise TypeError(f"{what}: units must be a dict of text by field name, got {type(units).__name__}")
    known = {POINTS, *names}
    for name, unit in units.items():
        if name not in known:
            raise ValueError(f"{what}: units name {name!r}, but there is no such field; there are {sorted(known)}")
        if not isinstance(unit, str):
            raise TypeError(f"{what}: the unit of {name!r} must be text, got {type(unit).__name__}")


def missing_field(name: str, role: str, fields: Mapping[str, Any]) -> KeyError:
    """Returns the error for a name that is not there, which lists the names that are."""
    return KeyError(f"no {role} field {name!r}; there are {sorted(fields) or 'none'}")


def describe(kind: str, shape: Any, cells: str = "") -> str:
    """Returns one line about a mesh or cloud: sizes, and fields with their dtypes and shapes."""
    parts = [f"{len(shape.points)} points in {shape.points.shape[1]}D, {cells}".rstrip(", ")]
    for role in ("point", "cell", "global"):
        fields = getattr(shape, f"{role}_fields", {})
        if fields:
            parts.append(f"{role} fields " + ", ".join(_describe_field(name, value) for name, value in fields.items()))
    return f"{kind}({'; '.join(parts)})"


def _describe_field(name: str, value: Any) -> str:
    return f"{name}: text" if isinstance(value, str) else f"{name}: {str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
