"""VTK data sets (and so pyvista's) to meshes."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arrays import as_tensor, decode, text_codes
from ._cells import Cells
from ._mesh import Mesh
from ._pointcloud import PointCloud
from ._vtk_blocks import join, leaves
from ._vtk_names import KIND, NOTES, ORDER, surface_kinds

#: Arrays by name; a list of text is an array of text.
Arrays = dict[str, np.ndarray | list[str]]


def from_vtk(dataset: Any) -> Mesh | PointCloud:
    """Returns a cloud where there are no cells, or one bare vertex for each point in order; a mesh otherwise."""
    return as_cloud(*mesh_from_vtk(dataset))


def as_cloud(mesh: Mesh, role: str | None) -> Mesh | PointCloud:
    """Returns a cloud instead of a mesh that was written as one, or that only has bare vertices."""
    if role == "mesh" or mesh.cell_fields:
        return mesh
    counts = mesh.cells.counts()
    bare = counts == {"vertex": len(mesh)} and torch.equal(mesh.cells.connectivity, torch.arange(len(mesh)))
    return mesh.to_cloud() if bare or not counts else mesh


def mesh_from_vtk(dataset: Any) -> tuple[Mesh, str | None]:
    """Returns the data set as a mesh, and whether it was written as ``"mesh"`` or ``"cloud"`` (None: not by geoops)."""
    if dataset.IsA("vtkCompositeDataSet"):
        return _joined(dataset), None
    if not dataset.IsA("vtkPointSet") and not dataset.IsA("vtkImageData") and not dataset.IsA("vtkRectilinearGrid"):
        raise TypeError(f"expected a VTK data set with points, got {dataset.GetClassName()}")
    points = _points(dataset)
    if len(points) == 0:
        raise ValueError(f"{dataset.GetClassName()} has zero points")
    attributes = (dataset.GetPointData(), dataset.GetCellData(), dataset.GetFieldData())
    return assemble(points, _cells(dataset), *(_arrays(a) for a in attributes))


def assemble(points: Tensor, cells: Cells, point: Arrays, cell: Arrays, whole: Arrays) -> tuple[Mesh, str | None]:
    """Makes a mesh of what a VTK data set holds, undoing what `to_vtk` did where the notes in the field data say so.

    Arrays of text on points or cells become numbers, with the texts as JSON in the global field ``<name>_names``.
    """
    notes = _notes(whole)
    how, extra = notes.get("encoded", {}), {}
    point_fields = _fields(point, len(points), how.get("point", {}), "point", extra)
    cell_fields = _fields(cell, len(cells), how.get("cell", {}), "cell", extra)
    if KIND in cell_fields:
        cells = Cells(cell_fields.pop(KIND).to(torch.uint8), cells.offsets, cells.connectivity)
    if ORDER in cell_fields:
        back = cell_fields.pop(ORDER).argsort()
        cells = cells.select(back)
        cell_fields = {name: value[back] for name, value in cell_fields.items()}
    global_fields = {**_globals(whole, how.get("global", {})), **extra}
    if points.shape[1] == 3 and cells.dim < 3 and not bool(points[:, 2].any()):
        points = points[:, :2].contiguous()
    known = {"points", *point_fields, *cell_fields, *global_fields}
    units = {name: unit for name, unit in notes.get("units", {}).items() if name in known}
    return Mesh(points, cells, point_fields, cell_fields, global_fields, units), notes.get("type")


def _arrays(attributes: Any) -> Arrays:
    found: Arrays = {}
    for i in range(attributes.GetNumberOfArrays() if attributes is not None else 0):
        array = attributes.GetAbstractArray(i)
        name = array.GetName() or f"unnamed_{i}"
        if array.IsA("vtkStringArray"):
            found[name] = [array.GetValue(j) for j in range(array.GetNumberOfValues())]
        else:
            found[name] = _numpy(array)
    return found


def _notes(arrays: Arrays) -> dict:
    if NOTES not in arrays:
        return {}
    try:
        notes = json.loads(arrays[NOTES][0])
        if isinstance(notes, dict):
            return notes
    except (ValueError, TypeError, IndexError):
        pass
    raise ValueError(f"the field data array {NOTES!r} is damaged")


def _fields(arrays: Arrays, count: int, how: dict, role: str, extra: dict) -> dict[str, Tensor]:
    fields: dict[str, Tensor] = {}
    for name, array in arrays.items():
        if len(array) != count:
            raise ValueError(f"{role} field {name!r} has {len(array)} rows for {count} {role}s")
        if isinstance(array, list):
            fields[name], names = text_codes(array)
            extra[f"{name}_names"] = json.dumps(names)
        else:
            fields[name] = decode(as_tensor(array, f"{role} field {name!r}"), how.get(name), rows=count)
    return fields


def globals_of(arrays: Arrays) -> dict[str, Tensor | str]:
    """Returns the arrays of field data as global fields."""
    return _globals(arrays, _notes(arrays).get("encoded", {}).get("global", {}))


def _globals(arrays: Arrays, how: dict) -> dict[str, Tensor | str]:
    fields: dict[str, Tensor | str] = {}
    for name, array in arrays.items():
        if name == NOTES:
            continue
        if isinstance(array, list):
            fields[name] = array[0] if len(array) == 1 else json.dumps(array)
        else:
            fields[name] = decode(as_tensor(array, f"global field {name!r}"), how.get(name), rows=None)
    return fields


def _numpy(array: Any) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return np.asarray(vtk_to_numpy(array))


def _points(dataset: Any) -> Tensor:
    if dataset.IsA("vtkPointSet"):
        points = dataset.GetPoints()
        if points is None or points.GetNumberOfPoints() == 0:
            return torch.zeros(0, 3)
        found = as_tensor(_numpy(points.GetData()).reshape(-1, 3), "points")
        return found if found.dtype in (torch.float32, torch.float64) else found.to(torch.float64)
    if dataset.GetNumberOfPoints() == 0:
        return torch.zeros(0, 3)
    if dataset.IsA("vtkRectilinearGrid"):
        return rectilinear_points(
            *(_numpy(a) for a in (dataset.GetXCoordinates(), dataset.GetYCoordinates(), dataset.GetZCoordinates()))
        )
    extent = dataset.GetExtent()
    steps = [np.arange(extent[2 * i], extent[2 * i + 1] + 1) for i in range(3)]
    turn = np.array([dataset.GetDirectionMatrix().GetElement(i, j) for i in range(3) for j in range(3)]).reshape(3, 3)
    return image_points(steps, dataset.GetSpacing(), dataset.GetOrigin(), turn)


def rectilinear_points(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Tensor:
    """Returns all combinations of coordinates, x fastest."""
    z, y, x = np.meshgrid(z, y, x, indexing="ij")
    points = as_tensor(np.stack([x, y, z], -1).reshape(-1, 3), "points")
    return points if points.dtype in (torch.float32, torch.float64) else points.to(torch.float64)


def image_points(steps: Sequence[np.ndarray], spacing: Sequence[float], origin: Sequence[float], turn: np.ndarray) -> Tensor:
    """Returns the points of an image: steps along each axis times the spacing, turned, moved to the origin."""
    local = rectilinear_points(*(s.astype(np.float64) for s in steps)).numpy() * np.asarray(spacing, dtype=np.float64)
    return as_tensor(local @ turn.T + np.asarray(origin, dtype=np.float64), "points")


def _cells(dataset: Any) -> Cells:
    if dataset.IsA("vtkUnstructuredGrid"):
        types = dataset.GetCellTypes() if not hasattr(dataset, "GetCellTypesArray") else _cell_types(dataset)
        if types is None or dataset.GetNumberOfCells() == 0:
            return Cells.empty()
        kinds = as_tensor(_numpy(types), "cell types").to(torch.uint8)
        return Cells(kinds, *_offsets_and_nodes(dataset.GetCells()))
    if dataset.IsA("vtkPolyData"):
        lists = [dataset.GetVerts(), dataset.GetLines(), dataset.GetPolys(), dataset.GetStrips()]
        return surface_cells([_offsets_and_nodes(part) for part in lists])
    if dataset.IsA("vtkStructuredGrid") or dataset.IsA("vtkImageData") or dataset.IsA("vtkRectilinearGrid"):
        extent = dataset.GetExtent()
        return lattice([extent[2 * i + 1] - extent[2 * i] + 1 for i in range(3)])
    return Cells.empty()


def surface_cells(lists: list[tuple[Tensor, Tensor]]) -> Cells:
    """Joins the four lists (offsets, nodes) of a surface: vertices, lines, polygons, strips."""
    sizes = torch.cat([offsets[1:] - offsets[:-1] for offsets, _ in lists])
    group = torch.repeat_interleave(torch.arange(4), torch.tensor([len(offsets) - 1 for offsets, _ in lists]))
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    return Cells(surface_kinds(group, sizes), offsets, torch.cat([nodes for _, nodes in lists]))


def _cell_types(dataset: Any) -> Any:
    # VTK 9.6 renamed the call and warns about the old one.
    from vtkmodules.vtkCommonCore import vtkVersion

    new = (vtkVersion.GetVTKMajorVersion(), vtkVersion.GetVTKMinorVersion()) >= (9, 6)
    return dataset.GetCellTypes() if new else dataset.GetCellTypesArray()


def _offsets_and_nodes(cells: Any) -> tuple[Tensor, Tensor]:
    if cells is None or cells.GetNumberOfCells() == 0:
        return torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    offsets, nodes = (_numpy(a) for a in (cells.GetOffsetsArray(), cells.GetConnectivityArray()))
    return torch.from_numpy(offsets.astype(np.int64)), torch.from_numpy(nodes.astype(np.int64))


def lattice(shape: list[int]) -> Cells:
    """Quadrilaterals, hexahedra or lines between the points of a lattice, x fastest."""
    numbers = torch.arange(shape[0] * shape[1] * shape[2]).reshape(shape[2], shape[1], shape[0])
    axes = [axis for axis in range(3) if shape[2 - axis] > 1]
    if not axes:
        return Cells.from_blocks({"vertex": numbers.reshape(-1, 1)})
    corners = {1: [(0,), (1,)], 2: [(0, 0), (0, 1), (1, 1), (1, 0)]}
    corners[3] = [(z, *yx) for z in (0, 1) for yx in corners[2]]
    nodes = []
    for corner in corners[len(axes)]:
        view = numbers
        for axis, side in zip(axes, corner, strict=True):
            view = view.narrow(axis, side, view.shape[axis] - 1)
        nodes.append(view.reshape(-1))
    return Cells.from_blocks({{1: "line", 2: "quad", 3: "hexahedron"}[len(axes)]: torch.stack(nodes, 1)})


def _joined(composite: Any) -> Mesh:
    parts = leaves(composite)
    if not parts:
        raise ValueError(f"{composite.GetClassName()} has zero points in its blocks")
    if len(parts) == 1 and parts[0][1].GetFieldData().GetAbstractArray(NOTES) is not None:
        return mesh_from_vtk(parts[0][1])[0]
    meshes = [mesh_from_vtk(part)[0] for _, part in parts]
    return join(meshes, [name for name, _ in parts], globals_of(_arrays(composite.GetFieldData())))
