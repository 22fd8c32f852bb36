"""VTK's XML files: VTU and VTP, and images and lattices (only read)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from geoops.geometry import Mesh, PointCloud
from geoops.geometry._kinds import CODES
from geoops.geometry._vtk_names import SURFACE_LIST
from geoops.geometry._vtk_read import as_cloud
from geoops.geometry._vtk_write import to_vtk, to_vtk_polydata

from ._errors import vtk_errors
from ._format import Format, cell_losses, only_kinds
from ._vtk_file import File
from ._vtk_parse import mesh

Shape = Mesh | PointCloud


def run_writer(path: Path, writer: Any, dataset: Any) -> None:
    """Writes a data set, compressed; raises OSError if VTK cannot."""
    with vtk_errors():
        writer.SetFileName(str(path))
        writer.SetInputData(dataset)
        writer.SetDataModeToAppended()
        writer.EncodeAppendedDataOff()
        writer.SetCompressorTypeToZLib()
        done = writer.Write()
    if not done:
        raise OSError(f"cannot write {path}: VTK gave no reason")


def _reader(kind: str) -> Callable[[Path], Shape]:
    def read(path: Path) -> Shape:
        return as_cloud(*mesh(File.open(path, kind)))

    return read


def write_vtu(path: Path, shape: Shape) -> None:
    """Writes an unstructured grid."""
    from vtkmodules.vtkIOXML import vtkXMLUnstructuredGridWriter

    run_writer(path, vtkXMLUnstructuredGridWriter(), to_vtk(shape))


def _write_vtp(path: Path, shape: Shape) -> None:
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    run_writer(path, vtkXMLPolyDataWriter(), to_vtk_polydata(only_kinds(shape, _SURFACE_KINDS)))


_SURFACE_KINDS = {CODES[code].name for code in SURFACE_LIST}
_ALL = "everything: fields, names, dtypes, order, text, units; all kinds of cells"
VTU = Format("VTU", (".vtu",), _ALL, _reader("UnstructuredGrid"), write_vtu)
VTP = Format(
    "VTP", (".vtp",), "like VTU, but only points, lines, polygons and strips",
    _reader("PolyData"), _write_vtp, lambda shape: cell_losses(shape, _SURFACE_KINDS),
)  # fmt: skip
VTI = Format("VTI", (".vti",), "read only: an image becomes quadrilaterals or hexahedra", _reader("ImageData"))
VTS = Format("VTS", (".vts",), "read only: a curved lattice becomes quadrilaterals or hexahedra", _reader("StructuredGrid"))
VTR = Format("VTR", (".vtr",), "read only: a straight lattice becomes quadrilaterals or hexahedra", _reader("RectilinearGrid"))
