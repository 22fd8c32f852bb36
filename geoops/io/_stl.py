"""STL: triangles without shared points."""

from pathlib import Path

import numpy as np
import torch

from geoops.geometry import Cells, Mesh, PointCloud

from ._format import Format, cell_losses, field_losses, only_kinds, shaped, space_points

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_HEADER = 84


def _read(path: Path) -> Mesh | PointCloud:
    """Joins corners at the same place to points, in the order of their first use."""
    data = path.read_bytes()
    if len(data) >= _HEADER and len(data) == _HEADER + 50 * int(np.frombuffer(data, "<u4", 1, 80)[0]):
        corners = np.frombuffer(data, _RECORD, offset=_HEADER)["corners"].reshape(-1, 3)
    elif data[:512].lstrip().startswith(b"solid") and b"\0" not in data[:512]:
        corners = _ascii(data)
    elif len(data) >= _HEADER:
        count = int(np.frombuffer(data, "<u4", 1, 80)[0])
        raise ValueError(
            f"it is truncated or no STL file: its header speaks of {count} triangles, "
            f"{_HEADER + 50 * count} bytes, it has {len(data)}"
        )
    else:
        raise ValueError(f"it is truncated or no STL file: {len(data)} bytes, shorter than the header")
    if not len(corners):
        raise ValueError("it has no triangles and so zero points")
    _, first, inverse = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    nodes = rank[inverse.reshape(-1)].reshape(-1, 3)
    return shaped(corners[np.sort(first)].astype(np.float32), Cells.from_blocks({"triangle": torch.from_numpy(nodes)}))


def _ascii(data: bytes) -> np.ndarray:
    text = data.decode("utf-8", errors="replace")
    if "endsolid" not in text.rsplit("\n", 3)[-1] + text[-200:]:
        raise ValueError("it is truncated (there is no 'endsolid' at the end)")
    corners = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] != "vertex":
            continue
        try:
            corners.append([float(word) for word in words[1:4]])
        except ValueError:
            raise ValueError(f"line {number} holds no coordinates: {line.strip()!r}") from None
        if len(corners[-1]) != 3:
            raise ValueError(f"line {number} holds {len(corners[-1])} of 3 coordinates: {line.strip()!r}")
    if len(corners) % 3 or len(corners) != 3 * text.count("endfacet"):
        raise ValueError(f"it has {len(corners)} vertices for {text.count('endfacet')} facets")
    return np.array(corners, dtype=np.float32).reshape(-1, 3)


def _write(path: Path, shape: Mesh | PointCloud) -> None:
    shape = only_kinds(shape, {"triangle"})
    if not isinstance(shape, Mesh) or not len(shape.cells):
        raise ValueError("it holds triangles, and the shape has none")
    corners = space_points(shape)[shape.cells.of_kind("triangle").numpy()].astype(np.float32)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    table = np.zeros(len(corners), _RECORD)
    table["normal"], table["corners"] = normal / np.where(length > 0, length, 1), corners
    path.write_bytes(b"geoops".ljust(80) + np.uint32(len(table)).tobytes() + table.tobytes())


def _losses(shape: Mesh | PointCloud) -> list[str]:
    lost = field_losses(shape) + cell_losses(shape, {"triangle"})
    nodes = shape.cells.connectivity if isinstance(shape, Mesh) else torch.zeros(0, dtype=torch.int64)
    unused = len(shape.points) - len(nodes.unique())
    return [*lost, f"{unused} points without a cell"] if unused else lost


STL = Format(
    "STL",
    (".stl",),
    "triangles in float32; points are numbered anew, in the order of their first use; no fields",
    _read,
    _write,
    _losses,
)
