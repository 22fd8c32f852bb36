"""OpenFOAM cases, the last time step (only read)."""

from pathlib import Path
from typing import Any

from geoops.geometry import Mesh, PointCloud
from geoops.geometry._vtk_blocks import leaves
from geoops.geometry._vtk_read import from_vtk

from ._errors import vtk_errors
from ._format import Format

_POLYHEDRON = 42


def _read(path: Path) -> Mesh | PointCloud:
    """Reads the inner mesh and all fields of the last time; if some cells are polyhedra, all are split into tetrahedra.

    Fields of cells are cell fields as stored, and point fields of the same name, averaged over the cells around each
    point.
    """
    from vtkmodules.vtkIOGeometry import vtkOpenFOAMReader

    case = path if path.is_dir() else path.parent
    if path.is_dir() or path.suffix == "":
        case = case if (case / "constant").is_dir() else case.parent
    if not (case / "constant" / "polyMesh").is_dir():
        raise FileNotFoundError(f"{case} is no OpenFOAM case: there is no folder constant/polyMesh")
    if not (case / "system" / "controlDict").is_file():
        raise FileNotFoundError(f"{case} is no OpenFOAM case: there is no system/controlDict")
    reader = vtkOpenFOAMReader()
    with vtk_errors():
        reader.SetFileName(str(case / "system" / "controlDict"))
        reader.SkipZeroTimeOff()
        reader.CreateCellToPointOn()
        reader.UpdateInformation()
        times = reader.GetTimeValues()
        if times is not None and times.GetNumberOfTuples():
            reader.SetTimeValue(max(times.GetValue(i) for i in range(times.GetNumberOfTuples())))
        reader.DisableAllPatchArrays()
        reader.SetPatchArrayStatus("internalMesh", 1)
        reader.EnableAllCellArrays()
        reader.EnableAllPointArrays()
        reader.Update()
    parts = [part for name, part in leaves(reader.GetOutputDataObject(0)) if name.endswith("internalMesh")]
    if not parts:
        raise ValueError("it has no inner mesh")
    return from_vtk(_without_polyhedra(parts[0]))


def _without_polyhedra(grid: Any) -> Any:
    """Splits all cells into tetrahedra if some are polyhedra; fields of cells go to their parts."""
    if not any(grid.GetCellType(i) == _POLYHEDRON for i in range(grid.GetNumberOfCells())):
        return grid
    from vtkmodules.vtkFiltersGeneral import vtkDataSetTriangleFilter

    split = vtkDataSetTriangleFilter()
    with vtk_errors():
        split.SetInputData(grid)
        split.Update()
    return split.GetOutput()


OPENFOAM = Format(
    "OpenFOAM", (".foam", ".openfoam"),
    "read only: the inner mesh and its fields at the last time; a case folder works too",
    _read, empty=True, folders=True,
)  # fmt: skip
