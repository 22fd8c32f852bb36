"""torch_geometric's Data to meshes and back."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arrays import as_tensor
from ._cells import Cells
from ._kinds import CODES
from ._mesh import Mesh
from ._pointcloud import PointCloud

#: The attribute that says which attribute is which field.
NOTES = "geoops"
_CELLS = ("cell_kinds", "cell_offsets", "cell_connectivity")


def to_data(shape: Mesh | PointCloud) -> Any:
    """Returns a `Data` with `pos`, the cells, and each field under its name (or ``role.name`` where that is taken).

    The cells are `face` (3, m) where all are triangles, otherwise `cell_kinds`, `cell_offsets` and
    `cell_connectivity`. The attribute `geoops`, a dict, records roles, names and units, so that `from_data` restores
    the same shape.
    """
    from torch_geometric.data import Data

    data = Data(pos=shape.points)
    roles: dict[str, dict[str, str]] = {"point": {}, "cell": {}, "global": {}}
    cells = shape.cells if isinstance(shape, Mesh) else Cells.empty()
    if len(cells) and bool((cells.kinds == 5).all()):
        data.face = cells.of_kind("triangle").T.contiguous()
    elif isinstance(shape, Mesh):
        for key, value in zip(_CELLS, (cells.kinds, cells.offsets, cells.connectivity), strict=True):
            data[key] = value
    fields = {"point": shape.point_fields, "global": shape.global_fields}
    fields["cell"] = shape.cell_fields if isinstance(shape, Mesh) else {}
    for role in roles:
        for name, value in fields[role].items():
            key = name if name not in data and not hasattr(data, name) and name != NOTES else f"{role}.{name}"
            data[key] = value
            roles[role][key] = name
    data[NOTES] = {"type": "mesh" if isinstance(shape, Mesh) else "cloud", "fields": roles, "units": dict(shape.units)}
    return data


def from_data(data: Any) -> Mesh | PointCloud:
    """Returns a mesh where there are cells, a cloud otherwise.

    In a `Data` from elsewhere, `face` (3, m) holds triangles, or (4, m) tetrahedra; tensors with one row for each node
    are point fields; everything else (edges and their attributes too) is global.
    """
    if getattr(data, "pos", None) is None:
        raise ValueError(f"the Data object has no pos (coordinates); it has {sorted(data.keys())}")
    if data.pos.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"the Data object's pos must be float32 or float64, got {data.pos.dtype}")
    notes = getattr(data, NOTES, None)
    cells = _cells(data)
    skip = {"pos", "face", NOTES, *_CELLS}
    if notes is not None:
        # Attributes added since are sorted in like those of a Data from elsewhere.
        fields = {role: {name: data[key] for key, name in keys.items() if key in data} for role, keys in notes["fields"].items()}
        skip |= {key for keys in notes["fields"].values() for key in keys}
    else:
        fields = {"point": {}, "cell": {}, "global": {}}
    for key, value in data.to_dict().items():
        if key in skip or value is None:
            continue
        found = _value(key, value)
        per_node = isinstance(found, Tensor) and found.ndim and len(found) == len(data.pos) and not data.is_edge_attr(key)
        fields["point" if per_node and key != "edge_index" else "global"][key] = found
    known = {"points", *(name for named in fields.values() for name in named)}
    units = {name: unit for name, unit in notes["units"].items() if name in known} if notes else {}
    pos = data.pos.detach().cpu()
    if cells is None:
        return PointCloud(pos, fields["point"], fields["global"], units)
    return Mesh(pos, cells, fields["point"], fields["cell"], fields["global"], units)


def _cells(data: Any) -> Cells | None:
    if all(key in data for key in _CELLS):
        return Cells(*(data[key].cpu() for key in _CELLS))
    if getattr(data, "face", None) is None:
        return None
    kind = {3: CODES[5].name, 4: CODES[10].name}.get(data.face.shape[0])
    if kind is None:
        raise ValueError(f"the Data object's face must have shape (3, m) or (4, m), got {tuple(data.face.shape)}")
    return Cells.from_blocks({kind: data.face.T.cpu().contiguous()})


def _value(key: str, value: Any) -> Tensor | str:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | np.ndarray | np.generic):
        return as_tensor(value, f"attribute {key!r}")
    if isinstance(value, list | tuple) and all(isinstance(v, bool | int | float) for v in value):
        return as_tensor(value, f"attribute {key!r}")
    raise TypeError(f"attribute {key!r} of the Data object is a {type(value).__name__}; geoops fields are tensors, numbers or text")
