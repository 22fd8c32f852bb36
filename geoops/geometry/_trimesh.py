"""trimesh's meshes to geoops' and back."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arrays import as_tensor
from ._cells import Cells
from ._mesh import Mesh
from ._pointcloud import PointCloud
from ._vtk_blocks import join

#: The key of trimesh's metadata that holds what trimesh has no place for.
NOTES = "geoops"
# Colours and texture coordinates live in trimesh's `visual`, not among the attributes.
_VERTEX_COLORS, _FACE_COLORS, _UV = "vertex_colors", "face_colors", "uv"


def from_trimesh(obj: Any) -> Mesh | PointCloud:
    """Returns a mesh of triangles, the joined parts of a scene, or a cloud."""
    if hasattr(obj, "geometry") and hasattr(obj, "graph"):
        return _scene(obj)
    notes = obj.metadata.get(NOTES, {})
    points = as_tensor(np.asarray(obj.vertices), "points").to(getattr(torch, notes.get("dtype", "float64")))
    if len(points) and not bool(points[:, 2].any()):
        points = points[:, :2].contiguous()
    if not hasattr(obj, "faces"):
        fields = dict(notes.get("point_fields", {}))
        colors = np.asarray(getattr(obj, "colors", np.zeros(0)))
        if len(colors) == len(points) and _VERTEX_COLORS not in fields:
            fields[_VERTEX_COLORS] = as_tensor(colors, "colours")
        return PointCloud(points, fields, notes.get("globals", {}), _units(notes, fields))
    point_fields = {name: _attribute(v, name, "point", notes) for name, v in obj.vertex_attributes.items()}
    cell_fields = {name: _attribute(v, name, "cell", notes) for name, v in obj.face_attributes.items()}
    visual = obj.visual
    if getattr(visual, "defined", False):
        if visual.kind == "vertex":
            point_fields.setdefault(_VERTEX_COLORS, as_tensor(visual.vertex_colors, "vertex colours"))
        elif visual.kind == "face":
            cell_fields.setdefault(_FACE_COLORS, as_tensor(visual.face_colors, "face colours"))
        elif getattr(visual, "uv", None) is not None:
            point_fields.setdefault(_UV, as_tensor(visual.uv, "texture coordinates"))
    cells = Cells.from_blocks({"triangle": torch.from_numpy(np.asarray(obj.faces).astype(np.int64))})
    global_fields = dict(notes.get("globals", {}))
    units = _units(notes, {**point_fields, **cell_fields, **global_fields})
    return Mesh(points, cells, point_fields, cell_fields, global_fields, units)


def to_trimesh(shape: Mesh | PointCloud) -> Any:
    """Returns a `trimesh.Trimesh` or `trimesh.PointCloud`; nothing is merged or reordered.

    Raises:
        ValueError: there are cells other than triangles.
    """
    import trimesh

    vertices = torch.nn.functional.pad(shape.points.detach(), (0, 3 - shape.dim)).numpy().astype(np.float64)
    notes: dict[str, Any] = {
        "dtype": str(shape.points.dtype).removeprefix("torch."),
        "globals": dict(shape.global_fields),
        "units": dict(shape.units),
    }
    if isinstance(shape, PointCloud):
        return trimesh.PointCloud(vertices, metadata={NOTES: {**notes, "point_fields": dict(shape.point_fields)}})
    others = [f"{n} {name}" for name, n in shape.cells.counts().items() if name != "triangle"]
    if others:
        raise ValueError(f"trimesh holds triangles only, the mesh has {', '.join(others)} cells")
    notes["bfloat16"] = [n for f in (shape.point_fields, shape.cell_fields) for n, v in f.items() if v.dtype == torch.bfloat16]
    return trimesh.Trimesh(
        vertices,
        shape.cells.of_kind("triangle").numpy().copy(),
        vertex_attributes={name: to_array(value) for name, value in shape.point_fields.items()},
        face_attributes={name: to_array(value) for name, value in shape.cell_fields.items()},
        metadata={NOTES: notes},
        process=False,
    )


def to_array(value: Tensor) -> np.ndarray:
    """Copies a tensor into an array; bfloat16, which numpy lacks, becomes float32."""
    value = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
    return value.resolve_conj().resolve_neg().numpy().copy()


def _attribute(value: Any, name: str, role: str, notes: dict) -> Tensor:
    found = as_tensor(value, f"{role} field {name!r}")
    return found.to(torch.bfloat16) if name in notes.get("bfloat16", []) else found


def _units(notes: dict, fields: dict) -> dict[str, str]:
    return {
        name: unit
        for name, unit in notes.get("units", {}).items()
        if name == "points" or name in fields or name in notes["globals"]
    }


def _scene(scene: Any) -> Mesh:
    parts, names = [], []
    for node in scene.graph.nodes_geometry:
        turn, name = scene.graph[node]
        part = scene.geometry[name].copy()
        part.apply_transform(turn)
        found = from_trimesh(part)
        parts.append(found if isinstance(found, Mesh) else Mesh(found.points, Cells.empty(), found.point_fields))
        names.append(str(node))
    if not parts:
        raise ValueError("the trimesh scene is empty: zero points")
    return join(parts, names)
