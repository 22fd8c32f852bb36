"""Unit-cell cases as compressed `.vtu` files."""

import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from geoops import __version__

from ._case import Case

GENERATOR = "1.0"  # raise it whenever the numbers in the files change
FIELDS = ("displacement", "cauchy", "von_mises", "boundary")
FACTS = ("radius", "coefficients", "traction", "newton", "load_steps", "seed", "counts", "versions")


@cache
def package_versions() -> dict[str, str]:
    """Returns the versions of the generator and of all packages that influence its numbers."""
    found = {"generator": GENERATOR, "python": platform.python_version(), "geoops": __version__}
    for name in ("numpy", "scipy", "scikit-fem", "gmsh", "vtk"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def write_case(case: Case, level: int, path: Path, *, fields: tuple[str, ...] = FIELDS) -> None:
    """Writes one level of a case; the file appears under its name only when it is complete.

    Point data are `displacement` (n, 2), `cauchy` (n, 3), `von_mises` (n,) in float32 and `boundary` (n,) in
    uint8, restricted to `fields`. Field data: `radius` (42,), `coefficients` (2 K + 2,), `traction` (2,),
    `newton` (all residuals in order) and `load_steps` (number of residuals of each load step), `seed`
    (seed of the set, index), `counts` (vertices, triangles, nodes of the solve), and `versions`, the bytes of
    a JSON text (not a string array, which some readers refuse): `json.loads(bytes(field_data["versions"]))`.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import VTK_TRIANGLE, vtkCellArray, vtkUnstructuredGrid
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter

    data = case.levels[level]
    grid = vtkUnstructuredGrid()
    points = vtkPoints()
    space = np.zeros((len(data.points), 3), dtype=np.float32)
    space[:, :2] = data.points
    points.SetData(numpy_to_vtk(space, deep=True))
    grid.SetPoints(points)
    cells = vtkCellArray()
    m = len(data.triangles)
    cells.SetData(
        numpy_to_vtkIdTypeArray(np.arange(0, 3 * m + 1, 3, dtype=np.int64), deep=True),
        numpy_to_vtkIdTypeArray(data.triangles.ravel().astype(np.int64), deep=True),
    )
    grid.SetCells(VTK_TRIANGLE, cells)

    def add(target, name: str, values: np.ndarray) -> None:
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        target.AddArray(array)

    for name in fields:
        values = getattr(data, name)
        add(grid.GetPointData(), name, values if values.dtype == np.uint8 else values.astype(np.float32))
    facts = grid.GetFieldData()
    numbers = (
        case.radius.astype(np.float32),
        case.void.coefficients.astype(np.float32),
        np.array([0, case.options.load], dtype=np.float32),
        np.concatenate(case.residuals).astype(np.float32),
        np.array([len(r) for r in case.residuals], dtype=np.int32),
        np.array([case.options.seed, case.index], dtype=np.int32),
        np.array([len(space), m, len(case.levels[2].points)], dtype=np.int32),
        np.frombuffer(json.dumps(package_versions()).encode(), dtype=np.uint8),
    )
    for name, value in zip(FACTS, numbers, strict=True):
        add(facts, name, value)

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.part")
    writer = vtkXMLUnstructuredGridWriter()
    writer.SetFileName(str(unfinished))
    writer.SetInputData(grid)
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()  # base64 would add a third
    writer.SetCompressorTypeToLZMA()
    writer.SetCompressionLevel(6)  # beyond it only the dictionary grows: the same bytes for three times the time
    writer.SetBlockSize(1 << 22)  # every array in one block
    writer.SetHeaderTypeToUInt32()
    writer.SetIdTypeToInt32()
    if not writer.Write():
        unfinished.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}")
    unfinished.replace(path)
