"""Meshes to VTK data sets (and so pyvista's)."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._arrays import encode
from ._cells import Cells
from ._kinds import CODES
from ._mesh import Mesh
from ._pointcloud import PointCloud
from ._vtk_blocks import leaves
from ._vtk_names import KIND, NOTES, ORDER, SURFACE_LIST, surface_kinds


def to_vtk(shape: Mesh | PointCloud) -> Any:
    """Returns a `vtkUnstructuredGrid`; a cloud gets one vertex for each point."""
    from vtkmodules.vtkCommonDataModel import vtkUnstructuredGrid

    cells = shape.cells if isinstance(shape, Mesh) else vertices(len(shape))
    grid = vtkUnstructuredGrid()
    grid.SetPoints(_vtk_points(shape.points))
    grid.SetCells(_vtk_array(cells.kinds.numpy(), None), _cell_array(cells))
    _attach(grid, shape)
    return grid


def to_vtk_polydata(shape: Mesh | PointCloud) -> Any:
    """Returns a `vtkPolyData`.

    Raises:
        ValueError: there are solid or quadratic cells.
    """
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    cells = shape.cells if isinstance(shape, Mesh) else vertices(len(shape))
    place = torch.tensor([SURFACE_LIST.get(code, -1) for code in range(256)])[cells.kinds.long()]
    if bool((place < 0).any()):
        wrong = sorted(CODES[c].name for c in cells.kinds[place < 0].unique().tolist())
        raise ValueError(f"a surface file or PolyData holds vertices, lines, polygons and strips, not {', '.join(wrong)} cells")
    poly = vtkPolyData()
    poly.SetPoints(_vtk_points(shape.points))
    for group, setter in enumerate((poly.SetVerts, poly.SetLines, poly.SetPolys, poly.SetStrips)):
        setter(_cell_array(cells.select(place == group)))
    extra: dict[str, Tensor] = {}
    order = torch.argsort(place, stable=True)
    if not torch.equal(order, torch.arange(len(cells))):
        extra[ORDER] = order
    ordered = cells.select(order)
    if not torch.equal(ordered.kinds, surface_kinds(place[order], ordered.sizes())):
        extra[KIND] = ordered.kinds
    _attach(poly, shape, order if ORDER in extra else None, extra)
    return poly


def vertices(count: int) -> Cells:
    """Returns one vertex for each of `count` points."""
    return Cells.from_blocks({"vertex": torch.arange(count)[:, None]})


def _vtk_array(array: np.ndarray, name: str | None) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk

    made = numpy_to_vtk(array, deep=1)
    if name is not None:
        made.SetName(name)
    return made


def vtk_text(value: str, name: str) -> Any:
    """Returns a text array with one value."""
    from vtkmodules.vtkCommonCore import vtkStringArray

    made = vtkStringArray()
    made.SetName(name)
    made.InsertNextValue(value)
    return made


def _vtk_points(points: Tensor) -> Any:
    from vtkmodules.vtkCommonCore import vtkPoints

    made = vtkPoints()
    made.SetData(_vtk_array(torch.nn.functional.pad(points.detach(), (0, 3 - points.shape[1])).contiguous().numpy(), "Points"))
    return made


def _cell_array(cells: Cells) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonDataModel import vtkCellArray

    made = vtkCellArray()
    made.SetData(*(numpy_to_vtkIdTypeArray(a.contiguous().numpy(), deep=1) for a in (cells.offsets, cells.connectivity)))
    return made


def _attach(dataset: Any, shape: Mesh | PointCloud, order: Tensor | None = None, extra: dict[str, Tensor] | None = None) -> None:
    how: dict[str, dict] = {"point": {}, "cell": {}, "global": {}}
    cell_fields = shape.cell_fields if isinstance(shape, Mesh) else {}
    if order is not None:
        cell_fields = {name: value[order] for name, value in cell_fields.items()}
    targets = (
        ("point", shape.point_fields, dataset.GetPointData()),
        ("cell", {**cell_fields, **(extra or {})}, dataset.GetCellData()),
        ("global", shape.global_fields, dataset.GetFieldData()),
    )
    for role, fields, attributes in targets:
        for name, value in fields.items():
            if isinstance(value, str):
                attributes.AddArray(vtk_text(value, name))
                continue
            array, undo = encode(value, rows=role != "global")
            attributes.AddArray(_vtk_array(array, name))
            if undo is not None:
                how[role][name] = undo
    notes = {
        "type": "mesh" if isinstance(shape, Mesh) else "cloud",
        "units": shape.units,
        "encoded": {role: entries for role, entries in how.items() if entries},
    }
    dataset.GetFieldData().AddArray(vtk_text(json.dumps({k: v for k, v in notes.items() if v}), NOTES))


# -- back into a given data set --


def restored(like: Any, shape: Mesh | PointCloud) -> Any:
    """Returns a copy of the data set (or tree of them) `like` with the points and fields of `shape`, where the sizes
    agree.

    Otherwise a surface becomes a surface and all else an unstructured grid.
    """
    composite = bool(like.IsA("vtkCompositeDataSet"))
    parts = [part for _, part in leaves(like)] if composite else [like]
    cells = len(shape.cells) if isinstance(shape, Mesh) else None
    same = sum(part.GetNumberOfPoints() for part in parts) == len(shape.points)
    if not same or (cells is not None and sum(part.GetNumberOfCells() for part in parts) != cells):
        return _new(like, shape)
    copy = like.copy(deep=True) if hasattr(like, "copy") else like.NewInstance()
    if not hasattr(like, "copy"):
        copy.DeepCopy(like)
    point, cell = 0, 0
    for part in [part for _, part in leaves(copy)] if composite else [copy]:
        points, count = part.GetNumberOfPoints(), part.GetNumberOfCells()
        _refill(part, shape, slice(point, point + points), slice(cell, cell + count), joined=composite)
        point, cell = point + points, cell + count
    return copy


def _new(like: Any, shape: Mesh | PointCloud) -> Any:
    surface = like.IsA("vtkPolyData") and (
        isinstance(shape, PointCloud) or all(c in SURFACE_LIST for c in shape.cells.kinds.tolist())
    )
    made = to_vtk_polydata(shape) if surface else to_vtk(shape)
    if not hasattr(like, "copy"):
        return made
    import pyvista

    return pyvista.wrap(made)


def _refill(dataset: Any, shape: Mesh | PointCloud, points: slice, cells: slice, *, joined: bool) -> None:
    if dataset.IsA("vtkPointSet"):
        at = _vtk_points(shape.points[points])
        old = dataset.GetPoints().GetData()
        if old.GetDataType() in (10, 11):
            dataset.SetPoints(at)
    fields = {
        "point": {k: v[points] for k, v in shape.point_fields.items()},
        "cell": {},
        "global": dict(shape.global_fields),
    }
    if isinstance(shape, Mesh):
        fields["cell"] = {k: v[cells] for k, v in shape.cell_fields.items()}
    if joined:
        fields["cell"].pop("block", None)
        fields["global"].pop("block_names", None)
    how: dict[str, dict] = {"point": {}, "cell": {}, "global": {}}
    targets = {"point": dataset.GetPointData(), "cell": dataset.GetCellData(), "global": dataset.GetFieldData()}
    for role, attributes in targets.items():
        texts = {}
        for i in reversed(range(attributes.GetNumberOfArrays())):
            array = attributes.GetAbstractArray(i)
            if array.IsA("vtkStringArray"):
                texts[array.GetName()] = array
            if not (array.IsA("vtkStringArray") and role != "global"):
                attributes.RemoveArray(i)
        for name, value in fields[role].items():
            if isinstance(value, str):
                # Lists of several texts, and the names behind coded text, stay as they were.
                if name in texts:
                    attributes.AddArray(texts[name])
                elif not (role == "global" and name.endswith("_names") and _coded(targets, name.removesuffix("_names"))):
                    attributes.AddArray(vtk_text(value, name))
            elif name not in texts:
                array, undo = encode(value, rows=role != "global")
                attributes.AddArray(_vtk_array(array, name))
                if undo is not None:
                    how[role][name] = undo
    notes = {"units": shape.units, "encoded": {role: entries for role, entries in how.items() if entries}}
    notes = {k: v for k, v in notes.items() if v}
    if notes:
        dataset.GetFieldData().AddArray(vtk_text(json.dumps(notes), NOTES))


def _coded(targets: dict[str, Any], name: str) -> bool:
    arrays = [targets[role].GetAbstractArray(name) for role in ("point", "cell")]
    return any(array is not None and array.IsA("vtkStringArray") for array in arrays)
