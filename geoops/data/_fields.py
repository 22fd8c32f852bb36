"""From a mesh to the arrays a surrogate needs, still in physical units."""

from collections.abc import Mapping

import torch
from torch import Tensor

from geoops.geometry import (
    Facets,
    Mesh,
    PointCloud,
    boundary_facets,
    distance,
    farthest_points,
    merge_segments,
    point_spacing,
    signed_distance,
)

from ._task import Task

#: Arrays of one shape: pos, sdf, token_*, spacing, and fields under "in:name", "out:name", "mu:name".
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


def raw_sample(
    mesh: Mesh | PointCloud,
    task: Task,
    *,
    max_tokens: int,
    name: str,
    targets: bool = True,
    token_size: float = 0.0,
) -> Raw:
    """Returns positions, signed distance, boundary tokens and fields of a mesh.

    Boundary tokens are the facets of the boundary, the points of a cloud. Segments of a planar boundary are joined up to the
    length `token_size`. Where there are more than `max_tokens`, a farthest-point subset stays and takes over the measure of its
    neighbours.
    """
    check_fields(mesh, task, name, targets=targets)
    try:
        shape = bounded(mesh)
        raw = _tokens(merge_segments(shape, token_size) if isinstance(shape, Facets) else shape, max_tokens)
        raw["pos"] = mesh.points
        raw["sdf"] = distance_to(shape, mesh.points)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
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


def _tokens(shape: Facets | PointCloud, most: int) -> Raw:
    if isinstance(shape, PointCloud):
        pos = shape.points
        normal, size = torch.zeros_like(pos), torch.ones_like(pos[:, :1])
        index = torch.arange(len(pos))[:, None]
    else:
        pos, normal, size, index = shape.pos, shape.normal, shape.size.reshape(-1, 1), shape.index
    if len(pos) > most:
        from scipy.spatial import cKDTree

        kept = farthest_points(pos, most)
        _, nearest = cKDTree(pos[kept].double().numpy()).query(pos.double().numpy())
        size = torch.zeros_like(size[:most]).index_add_(0, torch.from_numpy(nearest).long(), size)
        pos, normal, index = pos[kept], normal[kept], index[kept]
    return {"token_pos": pos, "token_normal": normal, "token_size": size, "token_index": index}


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
