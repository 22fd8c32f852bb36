"""VTK's legacy files, read without VTK, whose own reader crashes on truncated files."""

from typing import Any
from urllib.parse import unquote

import numpy as np
import torch
from torch import Tensor

from geoops.geometry import Cells, Mesh
from geoops.geometry._arrays import as_tensor
from geoops.geometry._vtk_read import Arrays, assemble, image_points, lattice, rectilinear_points, surface_cells

_TYPES = {
    "bit": "u1", "char": "i1", "signed_char": "i1", "unsigned_char": "u1", "short": "i2", "unsigned_short": "u2",
    "int": "i4", "unsigned_int": "u4", "long": "i8", "unsigned_long": "u8", "long_long": "i8",
    "unsigned_long_long": "u8", "float": "f4", "double": "f8", "vtkidtype": "i4", "vtktypeint64": "i8",
    "vtktypeuint64": "u8",
}  # fmt: skip
_LISTS = ("VERTICES", "LINES", "POLYGONS", "TRIANGLE_STRIPS")


class Parser:
    """Walks through a file, checking each length before it is used."""

    def __init__(self, data: bytes):
        if not data.startswith(b"# vtk DataFile Version"):
            raise ValueError("it does not begin with '# vtk DataFile Version'")
        self.data, self.at = data, 0
        self.major = int(self.line().split()[-1].split(".")[0])
        self.line()
        sort = self.line().strip().upper()
        if sort not in ("ASCII", "BINARY"):
            raise ValueError(f"the third line must be ASCII or BINARY, it is {sort[:40]!r}")
        self.binary = sort == "BINARY"
        self.kind = ""
        self.points: Tensor | None = None
        self.grid: dict[str, Any] = {"SPACING": (1, 1, 1), "ORIGIN": (0, 0, 0), "DIRECTION": np.eye(3)}
        self.lists: dict[str, tuple[Tensor, Tensor]] = {}
        self.types: np.ndarray | None = None
        self.arrays: dict[str, Arrays] = {"POINT_DATA": {}, "CELL_DATA": {}, "FIELD": {}}
        self.count: dict[str, int] = {}

    def run(self) -> tuple[Mesh, str | None]:
        """Reads all sections."""
        section = "FIELD"
        while (words := self.words()) is not None:
            key, rest = words[0].upper(), words[1:]
            if key == "DATASET":
                self.kind = rest[0].upper()
            elif key in ("POINT_DATA", "CELL_DATA"):
                section, self.count[key] = key, int(rest[0])
            elif key == "FIELD":
                self.fields(section, int(rest[1]))
            elif section != "FIELD":
                self.attribute(section, key, rest)
            else:
                self.geometry(key, rest)
        cells = self.cells()
        if self.points is None or not len(self.points):
            raise ValueError("it has zero points")
        for section, rows in (("POINT_DATA", len(self.points)), ("CELL_DATA", len(cells))):
            if self.count.get(section, rows) != rows:
                raise ValueError(f"{section} has {self.count[section]} rows for {rows} {section[:5].lower().rstrip('_')}s")
        return assemble(self.points, cells, self.arrays["POINT_DATA"], self.arrays["CELL_DATA"], self.arrays["FIELD"])

    # -- sections --

    def geometry(self, key: str, rest: list[str]) -> None:
        if key == "POINTS":
            points = as_tensor(self.numbers(3 * int(rest[0]), rest[1]).reshape(-1, 3), "points")
            self.points = points if points.dtype in (torch.float32, torch.float64) else points.to(torch.float64)
        elif key in ("X_COORDINATES", "Y_COORDINATES", "Z_COORDINATES"):
            self.grid[key[0]] = self.numbers(int(rest[0]), rest[1])
        elif key in ("DIMENSIONS", "SPACING", "ASPECT_RATIO", "ORIGIN"):
            self.grid[key.replace("ASPECT_RATIO", "SPACING")] = tuple(float(word) for word in rest[:3])
        elif key == "DIRECTION":
            self.grid[key] = np.array([float(word) for word in rest[:9]]).reshape(3, 3)
        elif key in (*_LISTS, "CELLS"):
            self.lists[key] = self.cell_list(int(rest[0]), int(rest[1]))
        elif key == "CELL_TYPES":
            self.types = self.numbers(int(rest[0]), "int")
        elif key != "METADATA":
            raise ValueError(f"the section {key[:40]!r} is not known")
        else:
            self.skip_metadata()

    def cell_list(self, first: int, second: int) -> tuple[Tensor, Tensor]:
        if self.major >= 5:
            # Version 5: lengths of two arrays, offsets and connectivity.
            found = []
            for title, size in (("OFFSETS", first), ("CONNECTIVITY", second)):
                words = self.words() or [""]
                if words[0].upper() != title:
                    raise ValueError(f"expected {title}, found {words[0][:40]!r}")
                found.append(torch.from_numpy(self.numbers(size, words[1]).astype(np.int64)))
            return (found[0] if first else torch.zeros(1, dtype=torch.int64)), found[1]
        flat, sizes, at = self.numbers(second, "int"), [], 0
        while at < len(flat):
            sizes.append(int(flat[at]))
            at += 1 + max(0, sizes[-1])
        if at != len(flat) or len(sizes) != first:
            raise ValueError(f"the list of {first} cells is damaged")
        offsets = np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))])
        keep = np.ones(len(flat), dtype=bool)
        keep[offsets[:-1] + np.arange(len(sizes))] = False
        return torch.from_numpy(offsets), torch.from_numpy(flat[keep].astype(np.int64))

    def cells(self) -> Cells:
        none = (torch.zeros(1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
        if self.kind == "UNSTRUCTURED_GRID":
            if self.types is None or not len(self.types):
                return Cells.empty()
            if self.types.min() < 0 or self.types.max() > 255:
                raise ValueError("type codes of cells must be between 0 and 255")
            return Cells(torch.from_numpy(self.types.astype(np.uint8)), *self.lists.get("CELLS", none))
        if self.kind == "POLYDATA":
            return surface_cells([self.lists.get(name, none) for name in _LISTS])
        if self.kind not in ("STRUCTURED_GRID", "STRUCTURED_POINTS", "RECTILINEAR_GRID"):
            raise ValueError(f"data sets of kind {self.kind or '(none)'} are not supported")
        if "DIMENSIONS" not in self.grid:
            raise ValueError("the section DIMENSIONS is missing")
        shape = [int(n) for n in self.grid["DIMENSIONS"]]
        if self.kind == "STRUCTURED_POINTS":
            self.points = image_points(
                [np.arange(n) for n in shape], self.grid["SPACING"], self.grid["ORIGIN"], self.grid["DIRECTION"]
            )
        elif self.kind == "RECTILINEAR_GRID":
            self.points = rectilinear_points(*(self.grid[axis] for axis in "XYZ"))
        if min(shape) < 1 or self.points is None or len(self.points) != np.prod(shape):
            raise ValueError(f"a lattice of {shape} does not fit the number of points")
        return lattice(shape)

    def attribute(self, section: str, key: str, rest: list[str]) -> None:
        count = self.count[section]
        if key == "METADATA":
            self.skip_metadata()
            return
        name = unquote(rest[0]) if rest else ""
        widths = {
            "VECTORS": 3,
            "NORMALS": 3,
            "TENSORS": 9,
            "TENSORS6": 6,
            "GLOBAL_IDS": 1,
            "PEDIGREE_IDS": 1,
            "EDGE_FLAGS": 1,
        }
        if key in widths:
            value, width = self.numbers(widths[key] * count, rest[1]), widths[key]
        elif key == "SCALARS":
            width = int(rest[2]) if len(rest) > 2 else 1
            before = self.at
            # The table of colours is optional in practice.
            if (self.words() or [""])[0].upper() != "LOOKUP_TABLE":
                self.at = before
            value = self.numbers(width * count, rest[1])
        elif key == "TEXTURE_COORDINATES":
            width = int(rest[1])
            value = self.numbers(width * count, rest[2])
        elif key in ("COLOR_SCALARS", "LOOKUP_TABLE"):
            width, rows = (int(rest[1]), count) if key == "COLOR_SCALARS" else (4, int(rest[1]))
            value = self.numbers(width * rows, "unsigned_char" if self.binary else "float")
            if key == "LOOKUP_TABLE":
                return
        else:
            raise ValueError(f"the attribute {key[:40]!r} of {section} is not known")
        self.arrays[section][name] = value if width == 1 else value.reshape(count, width)

    def fields(self, section: str, count: int) -> None:
        done = 0
        while done < count:
            words = self.words()
            if words is None:
                raise ValueError(f"it is truncated: {count} fields are announced in {section}, there are {done}")
            if words[0].upper() == "METADATA":
                self.skip_metadata()
                continue
            if words[0] == "NULL_ARRAY":
                done += 1
                continue
            if len(words) != 4:
                raise ValueError(f"expected the head of a field, found {' '.join(words)[:60]!r}")
            width, rows = int(words[1]), int(words[2])
            value = (
                self.texts(width * rows) if words[3].lower() in ("string", "utf8_string") else self.numbers(width * rows, words[3])
            )
            name = unquote(words[0])
            self.arrays[section][name] = value if width == 1 or isinstance(value, list) else value.reshape(rows, width)
            done += 1

    # -- bytes --

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            end = len(self.data)
        if self.at >= len(self.data):
            raise ValueError("it is truncated")
        found, self.at = self.data[self.at : end], end + 1
        return found.decode("utf-8", errors="replace")

    def words(self) -> list[str] | None:
        """The words of the next line that has any, None at the end."""
        while self.at < len(self.data):
            if words := self.line().split():
                return words
        return None

    def skip_metadata(self) -> None:
        while self.at < len(self.data) and self.line().strip():
            pass

    def numbers(self, count: int, kind: str) -> np.ndarray:
        kind = kind.lower()
        if kind not in _TYPES or count < 0:
            raise ValueError(f"{count} numbers of type {kind[:40]!r} are not supported")
        if not self.binary:
            return self.text_numbers(count, np.dtype(_TYPES[kind]))
        size = (count + 7) // 8 if kind == "bit" else count * np.dtype(_TYPES[kind]).itemsize
        if self.at + size > len(self.data):
            raise ValueError(
                f"it is truncated: {size} bytes are announced at byte {self.at}, there are {max(0, len(self.data) - self.at)}"
            )
        raw = np.frombuffer(self.data, np.dtype(_TYPES[kind]).newbyteorder(">"), size if kind == "bit" else count, self.at)
        self.at += size
        return np.unpackbits(raw, count=count).astype(bool) if kind == "bit" else raw.astype(_TYPES[kind])

    def text_numbers(self, count: int, dtype: np.dtype) -> np.ndarray:
        words: list[bytes] = []
        while len(words) < count:
            end = self.data.find(b"\n", self.at)
            end = len(self.data) if end < 0 else end
            if self.at >= len(self.data):
                raise ValueError(f"it is truncated: {count} numbers are announced, there are {len(words)}")
            words += self.data[self.at : end].split()
            self.at = end + 1
        try:
            if len(words) > count:
                raise ValueError(f"{len(words)} where {count} are announced")
            return np.array(words).astype(dtype) if words else np.zeros(0, dtype)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"expected {count} numbers: {error}") from None

    def texts(self, count: int) -> list[str]:
        if not self.binary:
            return [unquote(self.line()) for _ in range(count)]
        found = []
        for _ in range(count):
            if self.at >= len(self.data):
                raise ValueError("it is truncated in a text")
            # The two highest bits say in how many bytes the length is written.
            width = {3: 1, 2: 2, 1: 4, 0: 8}[self.data[self.at] >> 6]
            size = int.from_bytes(self.data[self.at : self.at + width], "big") & ((1 << (8 * width - 2)) - 1)
            start, self.at = self.at + width, self.at + width + size
            if self.at > len(self.data):
                raise ValueError("it is truncated in a text")
            found.append(self.data[start : self.at].decode("utf-8", errors="replace"))
        return found
