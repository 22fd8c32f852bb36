"""What the XML files of VTK hold, as meshes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoops.geometry import Cells, Mesh
from geoops.geometry._arrays import as_tensor
from geoops.geometry._vtk_read import Arrays, assemble, image_points, lattice, rectilinear_points, surface_cells

from ._vtk_file import Element, File

_LISTS = ("Verts", "Lines", "Polys", "Strips")


def mesh(file: File) -> tuple[Mesh, str | None]:
    """Returns the data set of a file of any kind but composites as a mesh, and its role (see `assemble`)."""
    kind = file.root.get("type", "")
    dataset = file.root.find(kind)
    if dataset is None:
        raise ValueError(f"the element <{kind}> is missing")
    pieces = dataset.findall("Piece")
    if not pieces:
        raise ValueError("it has no <Piece> and so zero points")
    if len(pieces) > 1 and kind not in ("UnstructuredGrid", "PolyData"):
        raise ValueError(f"{kind} files of several pieces are not supported; write one piece, or .vtu")
    points, lists, kinds, fields = [], [], [], []
    for piece in pieces:
        points.append(_points(file, kind, dataset, piece))
        if kind == "UnstructuredGrid":
            types = _named(file, piece.find("Cells"), "types") if int(piece.get("NumberOfCells", 0)) else np.zeros(0)
            if ((types < 0) | (types > 255)).any():
                raise ValueError("type codes of cells must be between 0 and 255")
            kinds.append(torch.from_numpy(types.astype(np.uint8)))
            lists.append([_cell_list(file, piece.find("Cells"), int(piece.get("NumberOfCells", 0)))])
        elif kind == "PolyData":
            lists.append([_cell_list(file, piece.find(name), int(piece.get(f"NumberOf{name}", 0))) for name in _LISTS])
        fields.append([arrays(file, piece.find(name)) for name in ("PointData", "CellData")])
    if not sum(len(p) for p in points):
        raise ValueError("it has zero points")
    joined = [_end_to_end(part, [len(p) for p in points]) for part in zip(*lists, strict=True)]
    if kind == "UnstructuredGrid":
        cells = Cells(torch.cat(kinds), *joined[0])
    else:
        cells = surface_cells(joined) if kind == "PolyData" else lattice(_shape(pieces[0], dataset))
    cell_arrays = _merged([f[1] for f in fields])
    if len(pieces) > 1 and kind == "PolyData":
        # Cells of each piece are vertices, lines, polygons, strips; joined, all vertices come first, then all lines,
        # and so on.
        order = _by_list([[len(o) - 1 for o, _ in part] for part in lists])
        cell_arrays = {name: v[order] if isinstance(v, np.ndarray) else [v[i] for i in order] for name, v in cell_arrays.items()}
    return assemble(torch.cat(points), cells, _merged([f[0] for f in fields]), cell_arrays, arrays(file, dataset.find("FieldData")))


def _points(file: File, kind: str, dataset: Element, piece: Element) -> Tensor:
    if kind == "ImageData":
        steps = [np.arange(a, b + 1) for a, b in _extent(piece, dataset)]
        numbers = {n: [float(x) for x in dataset.get(n, default).split()] for n, default in _IMAGE.items()}
        return image_points(steps, numbers["Spacing"], numbers["Origin"], np.array(numbers["Direction"]).reshape(3, 3))
    if kind == "RectilinearGrid":
        axes = [file.array(a) for a in piece.findall("Coordinates/DataArray")]
        if len(axes) != 3 or [len(a) for a in axes] != _shape(piece, dataset):
            raise ValueError("the coordinates do not fit the extent")
        return rectilinear_points(*(np.asarray(a) for a in axes))
    element = piece.find("Points/DataArray")
    wanted = int(np.prod(_shape(piece, dataset))) if kind == "StructuredGrid" else int(piece.get("NumberOfPoints", 0))
    if element is None or not wanted:
        return torch.zeros(0, 3)
    value = np.asarray(file.array(element))
    if value.size != 3 * wanted:
        raise ValueError(f"{wanted} points are announced, there are {value.size} coordinates")
    points = as_tensor(value.reshape(-1, 3), "points")
    return points if points.dtype in (torch.float32, torch.float64) else points.to(torch.float64)


_IMAGE = {"Spacing": "1 1 1", "Origin": "0 0 0", "Direction": "1 0 0 0 1 0 0 0 1"}


def _extent(piece: Element, dataset: Element) -> list[tuple[int, int]]:
    numbers = [int(n) for n in (piece.get("Extent") or dataset.get("WholeExtent") or "").split()]
    if len(numbers) != 6 or any(numbers[2 * i] > numbers[2 * i + 1] for i in range(3)):
        raise ValueError(f"the extent {numbers} is empty or damaged: zero points")
    return [(numbers[2 * i], numbers[2 * i + 1]) for i in range(3)]


def _shape(piece: Element, dataset: Element) -> list[int]:
    return [b - a + 1 for a, b in _extent(piece, dataset)]


def _named(file: File, parent: Element | None, name: str) -> np.ndarray:
    for element in parent if parent is not None else ():
        if element.get("Name") == name:
            return np.asarray(file.array(element))
    raise ValueError(f"the array {name!r} of the cells is missing")


def _cell_list(file: File, parent: Element | None, count: int) -> tuple[Tensor, Tensor]:
    """Offsets from 0 and node numbers."""
    if not count:
        return torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    ends, nodes = (_named(file, parent, name).astype(np.int64) for name in ("offsets", "connectivity"))
    # Newer files may begin the offsets with 0.
    ends = ends[1:] if len(ends) == count + 1 else ends
    if len(ends) != count or ends[-1] > len(nodes):
        raise ValueError(
            f"{count} cells are announced, their offsets are {len(ends)} and end at {ends[-1] if len(ends) else 0} of {len(nodes)}"
        )
    return torch.from_numpy(np.concatenate([[0], ends])), torch.from_numpy(nodes[: ends[-1]])


def _end_to_end(lists: tuple[tuple[Tensor, Tensor], ...], points: list[int]) -> tuple[Tensor, Tensor]:
    offsets, nodes = [torch.zeros(1, dtype=torch.int64)], []
    start, first = 0, 0
    for (ends, numbers), count in zip(lists, points, strict=True):
        if len(points) > 1 and len(numbers) and int(numbers.max()) >= count:
            # Must not be mistaken for a point of the next piece.
            raise ValueError(
                f"a cell refers to the absent point {int(numbers.max())}; there are {count} points, numbered from 0 to {count - 1}"
            )
        offsets.append(ends[1:] + start)
        nodes.append(numbers + first)
        start, first = start + int(ends[-1]), first + count
    return torch.cat(offsets), torch.cat(nodes)


def _by_list(counts: list[list[int]]) -> np.ndarray:
    """Where the cells stand, piece after piece, that belong to the first list, the second, and so on."""
    starts = np.cumsum([0, *(n for piece in counts for n in piece)])
    lists = len(counts[0])
    return np.concatenate(
        [np.arange(starts[p * lists + i], starts[p * lists + i + 1]) for i in range(lists) for p in range(len(counts))]
    )


def arrays(file: File, parent: Element | None) -> Arrays:
    """Returns the arrays below an element by name."""
    found: Arrays = {}
    for i, element in enumerate(parent if parent is not None else ()):
        if element.tag not in ("DataArray", "Array"):
            continue
        name, value = element.get("Name") or f"unnamed_{i}", file.array(element)
        width = int(element.get("NumberOfComponents", 1))
        if isinstance(value, np.ndarray) and width != 1:
            if width < 1 or value.size % width:
                raise ValueError(f"array {name!r} has {value.size} values, no whole number of rows of {width}")
            value = value.reshape(-1, width)
        found[name] = value
    return found


def _merged(pieces: list[Arrays]) -> Arrays:
    if len(pieces) == 1:
        return pieces[0]
    # A piece without points or cells need not name its arrays.
    names = next((p for p in pieces if p), {})
    merged: Arrays = {}
    for name, first in names.items():
        parts: list[Any] = [p[name] for p in pieces if name in p]
        merged[name] = np.concatenate(parts) if isinstance(first, np.ndarray) else [text for part in parts for text in part]
    return merged
