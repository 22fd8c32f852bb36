"""From a mesh to the arrays a surrogate needs, still in physical units."""

from collections.abc import Mapping

import torch
from torch import Tensor

from geoops.geometry import Facets, Mesh, Outline, PointCloud, boundary_facets, distance, point_spacing, signed_distance

from ._task import Task

#: Arrays of one shape: pos, sdf, corners and corner_index (of the boundary), spacing; fields as in:name, out:name, mu:name.
Raw = dict[str, Tensor]


def check_fields(mesh: Mesh | PointCloud, task: Task, name: str, *, targets: bool = True) -> None:
    """Requires every field of the task, numeric and finite; `name` says which mesh in messages."""
    for role, names in (("input", task.inputs), ("target", task.targets if targets else ())):
        for field in names:
            _check_finite(point_field(mesh, field, role, name), field, name)
    for field in task.globals:
        _check_finite(_global_field(mesh, field, name), field, name)


def point_field(mesh: Mesh | PointCloud, field: str, role: str, name: str) -> Tensor:
    """Returns a point field as (n, channels)."""
    fields = mesh.point_fields
    if field not in fields:
        hint = f"; {field!r} is a cell field there, turn it into point data" if field in getattr(mesh, "cell_fields", {}) else ""
        raise KeyError(f"{name}: no point field {field!r} ({role} of the task); point fields: {_list(fields)}{hint}")
    return fields[field].reshape(len(mesh.points), -1)


def raw_sample(mesh: Mesh | PointCloud, task: Task, *, name: str, targets: bool = True) -> Raw:
    """Returns positions, signed distance, boundary and fields of a mesh; the boundary of a cloud are its points."""
    check_fields(mesh, task, name, targets=targets)
    raw: Raw = {"pos": mesh.points}
    try:
        shape = bounded(mesh)
        raw["sdf"] = distance_to(smooth(shape), mesh.points)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if isinstance(shape, PointCloud):
        raw["corners"], raw["corner_index"] = shape.points[:, None], torch.arange(len(shape.points))[:, None]
    else:
        raw["corners"], raw["corner_index"] = shape.points, shape.index
    raw["spacing"] = torch.quantile(point_spacing(mesh.points).double(), torch.tensor([0.05, 0.5, 0.95], dtype=torch.double))
    for field in task.inputs:
        raw[f"in:{field}"] = point_field(mesh, field, "input", name)
    for field in task.targets if targets else ():
        raw[f"out:{field}"] = point_field(mesh, field, "target", name)
    for field in task.globals:
        raw[f"mu:{field}"] = _global_field(mesh, field, name)
    return raw


def bounded(mesh: Mesh | PointCloud | Facets) -> Facets | PointCloud:
    """Returns the boundary of a mesh; lines and vertices bound nothing and count as points."""
    if not isinstance(mesh, Mesh):
        return mesh
    if len(mesh.cells) and mesh.cells.dim >= 2:
        return boundary_facets(mesh)
    return PointCloud(mesh.points)


def smooth(shape: Facets | PointCloud) -> Facets | PointCloud:
    """Returns the boundary from which distances are taken: in the plane smooth curves between corners, see `Outline`."""
    return Outline.of(shape).refined() if isinstance(shape, Facets) and shape.points.shape[-1] == 2 else shape


def distance_to(shape: Facets | PointCloud, points: Tensor) -> Tensor:
    """Returns the distance of points to a boundary (n, 1), negative inside; unsigned for open surfaces and clouds."""
    if isinstance(shape, PointCloud):
        from scipy.spatial import cKDTree

        near, _ = cKDTree(shape.points.double().numpy()).query(points.double().numpy())
        return torch.from_numpy(near).to(points.dtype)[:, None]
    try:
        return signed_distance(shape, points).reshape(-1, 1)
    except ValueError:
        return distance(shape, points).reshape(-1, 1)


def _global_field(mesh: Mesh | PointCloud, field: str, name: str) -> Tensor:
    fields = mesh.global_fields
    if field not in fields:
        raise KeyError(f"{name}: no global field {field!r}; global fields: {_list(fields)}")
    value = fields[field]
    if isinstance(value, str):
        raise TypeError(f"{name}: global field {field!r} is text ({value!r}); a global parameter must be numeric")
    return value.reshape(-1)


def _check_finite(value: Tensor, field: str, name: str) -> None:
    if value.is_floating_point() and not torch.isfinite(value).all():
        bad = int((~torch.isfinite(value)).reshape(len(value), -1).any(1).sum())
        raise ValueError(f"{name}: field {field!r} has NaN or infinite values in {bad} of {len(value)} entries; repair the file")


def _list(fields: Mapping[str, object]) -> str:
    return ", ".join(sorted(fields)) or "none"
