"""meshio's meshes to geoops' and back."""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arrays import as_tensor
from ._cells import Cells
from ._kinds import KINDS
from ._mesh import Mesh
from ._pointcloud import PointCloud

# meshio turns the first triangle of a wedge inwards (gmsh's order), VTK outwards. The order is its own inverse.
_WEDGE = [0, 2, 1, 3, 5, 4]
#: The key of `info` that holds what meshio has no place for.
NOTES = "geoops"


def from_meshio(obj: Any) -> Mesh | PointCloud:
    """Returns a cloud where there are no cells, or one bare vertex for each point in order; a mesh otherwise."""
    points = as_tensor(obj.points, "points")
    if points.dtype not in (torch.float32, torch.float64):
        points = points.to(torch.float64)
    blocks = [_block(block) for block in obj.cells]
    cells = Cells.from_blocks([block for block in blocks if len(block[1])])
    notes = obj.info.get(NOTES, {}) if isinstance(obj.info, dict) else {}
    dtypes = notes.get("dtypes", {})
    point_fields = {name: _field(value, name, "point", dtypes) for name, value in obj.point_data.items()}
    cell_fields = {}
    for name, parts in obj.cell_data.items():
        whole = np.concatenate([np.asarray(p) for p in parts]) if len(parts) else np.zeros(0)
        cell_fields[name] = _field(whole, name, "cell", dtypes)
    for name, members in (obj.point_sets or {}).items():
        point_fields[_free(name, point_fields)] = _mask(members, len(points))
    for name, parts in (obj.cell_sets or {}).items():
        masks = [_mask(part, len(block)) for part, (_, block) in zip(parts, blocks, strict=True)]
        cell_fields[_free(name, cell_fields)] = torch.cat(masks) if masks else torch.zeros(0, dtype=torch.bool)
    global_fields = {name: _global(value, name) for name, value in (obj.field_data or {}).items()}
    if points.shape[1] == 3 and cells.dim < 3 and len(points) and not bool(points[:, 2].any()):
        points = points[:, :2].contiguous()
    known = {"points", *point_fields, *cell_fields, *global_fields}
    units = {name: unit for name, unit in notes.get("units", {}).items() if name in known}
    mesh = Mesh(points, cells, point_fields, cell_fields, global_fields, units)
    bare = cells.counts() == {"vertex": len(points)} and torch.equal(cells.connectivity, torch.arange(len(points)))
    return mesh.to_cloud() if not len(cells) or (bare and not cell_fields and notes.get("type") != "mesh") else mesh


def to_meshio(shape: Mesh | PointCloud, lengths: list[int] | None = None) -> Any:
    """Returns a `meshio.Mesh`; the blocks are runs of one kind, cut further so that their lengths are `lengths` where
    given.

    Raises:
        ValueError: there are kinds of cells that meshio does not know.
    """
    import meshio
    from meshio._mesh import topological_dimension

    cells = shape.cells if isinstance(shape, Mesh) else Cells.empty()
    unknown = [name for name in cells.counts() if name not in topological_dimension]
    if unknown:
        raise ValueError(f"meshio has no cells of kind {', '.join(unknown)}")
    blocks = cells.blocks()
    if lengths is not None:
        bounds = np.cumsum([0, *lengths]).tolist()
        parts = [cells.select(torch.arange(a, b)).blocks() for a, b in pairwise(bounds) if b > a]
        blocks = [block for part in parts for block in part]
    ends = np.cumsum([len(nodes) for _, nodes in blocks])[:-1].tolist()
    cell_fields = shape.cell_fields if isinstance(shape, Mesh) else {}
    dtypes = {
        name: "bfloat16" for fields in (shape.point_fields, cell_fields) for name, v in fields.items() if v.dtype == torch.bfloat16
    }
    notes = {"type": "mesh" if isinstance(shape, Mesh) else "cloud", "units": dict(shape.units), "dtypes": dtypes}
    return meshio.Mesh(
        shape.points.detach().numpy().copy(),
        [(name, (nodes[:, _WEDGE] if name == "wedge" else nodes).numpy().copy()) for name, nodes in blocks],
        point_data={name: _array(value) for name, value in shape.point_fields.items()},
        cell_data={name: np.split(_array(value), ends) if blocks else [] for name, value in cell_fields.items()},
        field_data={name: v if isinstance(v, str) else _array(v) for name, v in shape.global_fields.items()},
        info={NOTES: notes},
    )


def _block(block: Any) -> tuple[str, Tensor]:
    name = "polygon" if block.type.startswith("polygon") else block.type
    if name not in KINDS:
        raise ValueError(f"cells of kind {block.type!r} are not supported; geoops knows {', '.join(KINDS)}")
    nodes = torch.from_numpy(np.asarray(block.data).astype(np.int64))
    return name, nodes[:, _WEDGE] if name == "wedge" else nodes


def _array(value: Tensor) -> np.ndarray:
    value = value.detach().to(torch.float32) if value.dtype == torch.bfloat16 else value.detach()
    return value.resolve_conj().resolve_neg().numpy().copy()


def _field(value: Any, name: str, role: str, dtypes: dict[str, str]) -> Tensor:
    found = as_tensor(value, f"{role} field {name!r}")
    return found.to(torch.bfloat16) if dtypes.get(name) == "bfloat16" else found


def _global(value: Any, name: str) -> Tensor | str:
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    return json.dumps(array.tolist()) if array.dtype.kind in "US" else as_tensor(array, f"global field {name!r}")


def _mask(members: Any, count: int) -> Tensor:
    mask = torch.zeros(count, dtype=torch.bool)
    if members is not None and len(members):
        mask[torch.from_numpy(np.asarray(members).astype(np.int64))] = True
    return mask


def _free(name: str, taken: dict) -> str:
    while name in taken:
        name += "_set"
    return name
