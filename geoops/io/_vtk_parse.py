"""The XML files of VTK, read without VTK: its own reader ends the process on damaged files, and takes a second to load."""

import base64
import binascii
import lzma
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from geoops.geometry import Cells, Mesh
from geoops.geometry._arrays import as_tensor
from geoops.geometry._vtk_read import Arrays, assemble, image_points, lattice, rectilinear_points, surface_cells

Element = ElementTree.Element
_TYPES = {
    "Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2", "Int32": "i4", "UInt32": "u4", "Int64": "i8", "UInt64": "u8",
    "Float32": "f4", "Float64": "f8", "vtkIdType": "i8", "String": "u1",
}  # fmt: skip
_LISTS = ("Verts", "Lines", "Polys", "Strips")
_START = b"<AppendedData"


@dataclass
class File:
    """A parsed file: the XML tree, and how to read the numbers that it mentions.

    Args:
        root: the element <VTKFile>.
        appended: the bytes after the underscore, or empty.
        encoded: whether they are base64.
    """

    root: Element
    appended: bytes = b""
    encoded: bool = False
    order: str = field(init=False)
    header: np.dtype = field(init=False)
    compressor: str = field(init=False)

    def __post_init__(self) -> None:
        self.order = ">" if self.root.get("byte_order") == "BigEndian" else "<"
        self.header = np.dtype(self.order + ("u8" if self.root.get("header_type") == "UInt64" else "u4"))
        self.compressor = self.root.get("compressor", "")

    @classmethod
    def open(cls, path: Path, kind: str | None = None) -> "File":
        """Parses a file.

        Raises:
            ValueError: it is no complete XML file of VTK, or not of this kind.
        """
        data = path.read_bytes()
        if b"<VTKFile" not in data[:4096]:
            raise ValueError("it is not a VTK XML file (there is no <VTKFile> at the start)")
        if not data[-256:].rstrip().endswith(b"</VTKFile>"):
            raise ValueError("it is truncated (there is no </VTKFile> at the end)")
        start, appended, encoded = data.find(_START), b"", False
        if start >= 0:
            # What follows is binary, so the XML is closed here.
            head, _, rest = data[start:].partition(b">")
            encoded = b"base64" in head
            appended = rest[rest.find(b"_") + 1 : rest.rfind(b"</AppendedData>")]
            data = data[:start] + b"</VTKFile>"
        try:
            root = ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise ValueError(f"it is no complete XML file ({error})") from None
        found = root.get("type")
        if kind is not None and found != kind:
            raise ValueError(f"it holds {found}, expected {kind}")
        return cls(root, appended, encoded)

    def array(self, element: Element) -> np.ndarray | list[str]:
        """Returns the numbers or texts of a <DataArray> or <Array>, flat."""
        name, kind, form = element.get("Name"), element.get("type", ""), element.get("format", "ascii")
        if kind not in _TYPES:
            raise ValueError(f"array {name!r} has the unsupported type {kind!r}")
        dtype = np.dtype(_TYPES[kind])
        text = (element.text or "").strip()
        try:
            if form == "ascii":
                value = np.array(text.split()).astype(dtype) if text else np.zeros(0, dtype)
            elif form == "binary":
                value = self._block(text.encode(), 0, dtype, encoded=True)
            else:
                value = self._block(self.appended, int(element.get("offset", "-1")), dtype, encoded=self.encoded)
        except (ValueError, OverflowError, binascii.Error, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"array {name!r} is damaged or truncated: {error}") from None
        return _texts(value) if kind == "String" else value

    def _block(self, data: bytes, offset: int, dtype: np.dtype, *, encoded: bool) -> np.ndarray:
        if not 0 <= offset <= len(data):
            raise ValueError(f"its numbers should begin at byte {offset} of {len(data)}")
        source = _Source(data, offset, encoded)
        word = self.header.itemsize
        if not self.compressor:
            size = int(np.frombuffer(source.take(word), self.header)[0])
            # In base64 head and numbers are one text.
            raw = source.again().take(word + size)[word:] if encoded else source.take(size)
        else:
            count = int(np.frombuffer(source.take(word), self.header)[0])
            head = np.frombuffer(source.again().take((3 + count) * word), self.header).astype(np.int64) if count else np.zeros(3, np.int64)
            source = source.after((3 + count) * word)
            whole, last, sizes = int(head[1]), int(head[2]), head[3:].tolist()
            packed = source.take(sum(sizes))
            parts, at = [], 0
            for i, size in enumerate(sizes):
                expected = last if last and i == count - 1 else whole
                parts.append(self._unpack(packed[at : at + size], expected))
                at += size
            raw = b"".join(parts)
        if len(raw) % dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes are no whole number of {dtype} values")
        return np.frombuffer(raw, dtype.newbyteorder(self.order)).astype(dtype)

    def _unpack(self, data: bytes, size: int) -> bytes:
        if self.compressor == "vtkZLibDataCompressor":
            found = zlib.decompressobj().decompress(data, size + 1)
        elif self.compressor == "vtkLZMADataCompressor":
            found = lzma.LZMADecompressor().decompress(data, size + 1)
        else:
            raise ValueError(f"numbers packed by {self.compressor} are not supported; write the file with zlib compression")
        if len(found) != size:
            raise ValueError(f"a block unpacks to {len(found)} bytes, {size} are announced")
        return found


@dataclass
class _Source:
    """Bytes that may be written as base64, read from an offset on."""

    data: bytes
    offset: int
    encoded: bool
    at: int = 0

    def take(self, count: int) -> bytes:
        start = self.offset + self.at
        width = 4 * ((count + 2) // 3) if self.encoded else count
        if count < 0 or start + width > len(self.data):
            raise ValueError(f"{count} bytes are announced, there are fewer")
        found = self.data[start : start + width]
        self.at += width
        return base64.b64decode(found, validate=True)[:count] if self.encoded else found

    def again(self) -> "_Source":
        return _Source(self.data, self.offset, self.encoded)

    def after(self, count: int) -> "_Source":
        """Where the text for `count` bytes ends."""
        return _Source(self.data, self.offset + (4 * ((count + 2) // 3) if self.encoded else count), self.encoded)


def _texts(value: np.ndarray) -> list[str]:
    return [part.decode("utf-8", errors="replace") for part in value.tobytes().split(b"\0")[:-1]]


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
        # Cells of each piece are vertices, lines, polygons, strips; joined, all vertices come first, then all lines, and so on.
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
        raise ValueError(f"{count} cells are announced, their offsets are {len(ends)} and end at {ends[-1] if len(ends) else 0} of {len(nodes)}")
    return torch.from_numpy(np.concatenate([[0], ends])), torch.from_numpy(nodes[: ends[-1]])


def _end_to_end(lists: tuple[tuple[Tensor, Tensor], ...], points: list[int]) -> tuple[Tensor, Tensor]:
    offsets, nodes = [torch.zeros(1, dtype=torch.int64)], []
    start, first = 0, 0
    for (ends, numbers), count in zip(lists, points, strict=True):
        if len(points) > 1 and len(numbers) and int(numbers.max()) >= count:
            # Must not be mistaken for a point of the next piece.
            raise ValueError(f"a cell refers to the absent point {int(numbers.max())}; there are {count} points, numbered from 0 to {count - 1}")
        offsets.append(ends[1:] + start)
        nodes.append(numbers + first)
        start, first = start + int(ends[-1]), first + count
    return torch.cat(offsets), torch.cat(nodes)


def _by_list(counts: list[list[int]]) -> np.ndarray:
    """Where the cells stand, piece after piece, that belong to the first list, the second, and so on."""
    starts = np.cumsum([0, *(n for piece in counts for n in piece)])
    lists = len(counts[0])
    return np.concatenate([np.arange(starts[p * lists + i], starts[p * lists + i + 1]) for i in range(lists) for p in range(len(counts))])


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
