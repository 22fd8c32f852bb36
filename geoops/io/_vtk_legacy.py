"""VTK's legacy files."""

from pathlib import Path

from geoops.geometry import Mesh, PointCloud
from geoops.geometry._vtk_read import as_cloud
from geoops.geometry._vtk_write import to_vtk

from ._errors import vtk_errors
from ._format import Format
from ._vtk_legacy_parse import Parser


def _read(path: Path) -> Mesh | PointCloud:
    return as_cloud(*Parser(path.read_bytes()).run())


def _write(path: Path, shape: Mesh | PointCloud) -> None:
    from vtkmodules.vtkIOLegacy import vtkUnstructuredGridWriter

    writer = vtkUnstructuredGridWriter()
    with vtk_errors():
        writer.SetFileName(str(path))
        writer.SetInputData(to_vtk(shape))
        writer.SetFileTypeToBinary()
        done = writer.Write()
    if not done:
        raise OSError(f"cannot write {path}: VTK gave no reason")


VTK = Format("VTK legacy", (".vtk",), "everything, like VTU", _read, _write)
