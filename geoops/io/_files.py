"""`read` and `write` for every format."""

from collections.abc import Callable
from pathlib import Path

from geoops.geometry import Mesh, PointCloud

from ._atomic import check_writable, replacing
from ._format import Format
from ._msh import MSH
from ._obj import OBJ
from ._off import OFF
from ._openfoam import OPENFOAM
from ._ply import PLY
from ._stl import STL
from ._vtk_legacy import VTK
from ._vtk_xml import VTI, VTP, VTR, VTS, VTU
from ._vtm import VTM
from ._xdmf import XDMF

_FORMATS = (VTU, VTP, VTK, VTM, PLY, STL, OBJ, OFF, MSH, XDMF, OPENFOAM, VTI, VTS, VTR)
# Errors that already say what is wrong with the file as such, and those that are not about its content.
_PLAIN = (OSError, ImportError, MemoryError, NotImplementedError)
# What to do with files of simulations, which are no meshes.
_HINTS = {
    ".vtkhdf": "a trajectory: geoops.data.read_trajectory reads it, geoops animate shows it",
    ".pvd": "a list of files: read one of the .vtp files that it names",
}


def formats() -> tuple[Format, ...]:
    """Returns the known file formats, with what each keeps."""
    return _FORMATS


def read(path: str | Path) -> Mesh | PointCloud:
    """Reads a mesh or a point cloud; the suffix of the name decides the format.

    Shapes whose points all have z = 0 and that have no solid cells come back in the plane (`dim` 2). A file without
    cells, or with nothing but one vertex for each point, gives a `PointCloud`. NaN in fields is kept (see
    `geoops.geometry.check_finite`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown suffix; an empty, truncated or damaged file, or one of another format; no points; NaN or
            infinite coordinates; cells that refer to absent points. The message begins with the path.
    """
    path = Path(path)
    kind = _format(path)
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    if path.is_dir() and not kind.folders:
        raise IsADirectoryError(f"{path} is a folder, expected a {kind.name} file")
    if path.is_file() and path.stat().st_size == 0 and not kind.empty:
        raise ValueError(f"{path} is empty (0 bytes), expected a {kind.name} file")
    try:
        return kind.read(path)
    except _PLAIN:
        raise
    except Exception as error:
        raise ValueError(f"{path}: cannot read it as {kind.name}: {_reason(error)}") from error


def write(path: str | Path, shape: Mesh | PointCloud, *, lossy: bool = False) -> None:
    """Writes a mesh or a point cloud; the suffix of the name decides the format. The file appears whole or not at all.

    Args:
        path: where to write; the folder must exist.
        shape: what to write.
        lossy: write what the format can hold and drop the rest, instead of an error.

    Raises:
        ValueError: an unknown suffix; or the format cannot hold something, which the message lists.
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """
    path = Path(path)
    kind = _format(path)
    if kind.write is None:
        raise ValueError(
            f"cannot write {path}: geoops only reads {kind.name}; it writes {_suffixes(lambda f: f.write is not None)}"
        )
    if not isinstance(shape, Mesh | PointCloud):
        raise TypeError(
            f"write needs a geoops Mesh or PointCloud, got {type(shape).__name__}; convert it with geoops.geometry.as_mesh"
        )
    check_writable(path)
    lost = kind.losses(shape)
    if lost and not lossy:
        raise ValueError(
            f"cannot write {path}: {kind.name} would lose {', '.join(lost)}; pass lossy=True to drop them, "
            "or write .vtu, which keeps all"
        )
    try:
        if kind.sidecar:
            kind.write(path, shape)
        else:
            with replacing(path) as temporary:
                kind.write(temporary, shape)
    except (ValueError, TypeError) as error:
        raise type(error)(f"cannot write {path} as {kind.name}: {error}") from error


def _format(path: Path) -> Format:
    suffix = path.suffix.lower()
    for kind in _FORMATS:
        if suffix in kind.suffixes or (path.is_dir() and kind.folders and not suffix):
            return kind
    hint = f" ({_HINTS[suffix]})" if suffix in _HINTS else ""
    raise ValueError(f"{path}: unknown format {suffix or '(no suffix)'!r}{hint}; geoops knows {_suffixes(lambda f: True)}")


def _suffixes(wanted: Callable[[Format], bool]) -> str:
    return ", ".join(suffix for kind in _FORMATS if wanted(kind) for suffix in kind.suffixes)


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text if isinstance(error, ValueError | TypeError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
