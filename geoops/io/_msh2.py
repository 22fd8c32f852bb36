"""Version 2 of gmsh's MSH format, text and binary.

meshio reads version 4; its reader for version 2 mixes up element data (meshio 5.3), so this one is geoops' own.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Content:
    """What a file holds: blocks of cells in meshio's order of nodes, tags of cells, names of tags, data."""

    points: np.ndarray
    blocks: list[tuple[str, np.ndarray]] = field(default_factory=list)
    tags: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[str, tuple[int, int]] = field(default_factory=dict)
    point_data: dict[str, np.ndarray] = field(default_factory=dict)
    cell_data: dict[str, np.ndarray] = field(default_factory=dict)


TAGS = ("gmsh:physical", "gmsh:geometrical")
_NODE = np.dtype([("number", "<i4"), ("at", "<f8", 3)])


def read(data: bytes) -> Content:
    """Reads the bytes of a file.

    Raises:
        ValueError: a section breaks off, or numbers of nodes or elements are wrong.
    """
    lines = _Lines(data)
    found = Content(np.zeros((0, 3)))
    node_numbers = element_numbers = np.zeros(0, dtype=np.int64)
    binary = False
    while (line := lines.section()) is not None:
        name = line[1:]
        if name == "MeshFormat":
            binary = lines.words()[1] == "1"
            if binary and int(np.frombuffer(lines.take(4), "<i4")[0]) != 1:
                raise ValueError("binary files of the other byte order are not supported")
        elif name == "PhysicalNames":
            for _ in range(int(lines.line())):
                dim, tag, title = lines.line().split(None, 2)
                found.names[title.strip().strip('"')] = (int(tag), int(dim))
        elif name == "Nodes":
            count = int(lines.line())
            if binary:
                table = np.frombuffer(lines.take(count * _NODE.itemsize), _NODE)
                node_numbers, found.points = table["number"].astype(np.int64), table["at"].copy()
            else:
                table = lines.numbers(count, 4)
                node_numbers, found.points = table[:, 0].astype(np.int64), table[:, 1:]
        elif name == "Elements":
            rows = _binary_elements(lines) if binary else _text_elements(lines)
            element_numbers = _cells(found, rows, node_numbers)
        elif name in ("NodeData", "ElementData"):
            numbers = node_numbers if name == "NodeData" else element_numbers
            title, value = _values(lines, numbers, binary)
            (found.point_data if name == "NodeData" else found.cell_data)[title] = value
        lines.end(name)
    return found


class _Lines:
    """Bytes of a file, read from front to back."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise ValueError("it is truncated in the middle of a section")
        found, self.at = self.data[self.at : end], end + 1
        return found.decode("utf-8", errors="replace").strip()

    def words(self) -> list[str]:
        return self.line().split()

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise ValueError("it is truncated in the middle of binary numbers")
        found, self.at = self.data[self.at : self.at + count], self.at + count
        return found

    def numbers(self, rows: int, columns: int) -> np.ndarray:
        end = self.data.find(b"$End", self.at)
        words = self.data[self.at : end].split()
        if end < 0 or len(words) != rows * columns:
            raise ValueError(f"it is truncated: {rows} rows of {columns} numbers are announced, there are {len(words)} numbers")
        self.at = end
        return np.array(words, dtype=np.float64).reshape(rows, columns)

    def section(self) -> str | None:
        while self.at < len(self.data):
            line = self.data[self.at :].split(b"\n", 1)[0] if self.data.find(b"\n", self.at) < 0 else None
            found = line.decode(errors="replace").strip() if line is not None else self.line()
            self.at = len(self.data) if line is not None else self.at
            if found.startswith("$"):
                return found
            if found:
                raise ValueError(f"expected the beginning of a section, found {found[:40]!r}")
        return None

    def end(self, name: str) -> None:
        mark = f"$End{name}".encode()
        at = self.data.find(mark, self.at)
        if at < 0:
            raise ValueError(f"it is truncated: ${name} has no {mark.decode()}")
        self.at = at + len(mark)


def _binary_elements(lines: _Lines) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of (type, numbers, tags, nodes)."""
    total, rows = int(lines.line()), []
    done = 0
    while done < total:
        kind, count, tags = np.frombuffer(lines.take(12), "<i4").tolist()
        if count < 1 or tags < 0:
            raise ValueError("the elements are damaged")
        width = 1 + tags + _size(kind)
        table = np.frombuffer(lines.take(4 * count * width), "<i4").reshape(count, width).astype(np.int64)
        rows.append((kind, table[:, 0], table[:, 1 : 1 + tags], table[:, 1 + tags :]))
        done += count
    return rows


def _text_elements(lines: _Lines) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    total, rows = int(lines.line()), []
    for _ in range(total):
        words = lines.line()
        try:
            row = [int(word) for word in words.split()]
        except ValueError:
            raise ValueError(f"expected an element, found {words[:40]!r}") from None
        if len(row) < 3 or len(row) != 3 + row[2] + _size(row[1]):
            raise ValueError(f"an element is cut off: {words[:40]!r}")
        tags = row[3 : 3 + row[2]]
        key = (row[1], len(tags))
        if not rows or rows[-1][0] != key:
            rows.append((key, [], [], []))
        for column, value in zip(rows[-1][1:], (row[0], tags, row[3 + row[2] :]), strict=True):
            column.append(value)
    return [(key[0], np.array(n), np.array(t, dtype=np.int64).reshape(len(n), key[1]), np.array(v)) for key, n, t, v in rows]


def _size(kind: int) -> int:
    from meshio._common import num_nodes_per_cell
    from meshio.gmsh.common import _gmsh_to_meshio_type

    if kind not in _gmsh_to_meshio_type:
        raise ValueError(f"elements of gmsh type {kind} are not supported")
    return num_nodes_per_cell[_gmsh_to_meshio_type[kind]]


def _cells(found: Content, rows: list, node_numbers: np.ndarray) -> np.ndarray:
    from meshio.gmsh.common import _gmsh_to_meshio_order, _gmsh_to_meshio_type

    place = _places(node_numbers)
    numbers, tags = [], []
    for kind, number, tag, nodes in rows:
        known = (nodes >= 0) & (nodes < len(place))
        index = np.where(known, place[np.where(known, nodes, 0)], -1)
        if (index < 0).any():
            row, column = np.argwhere(index < 0)[0]
            raise ValueError(f"element {number[row]} refers to the absent point {nodes[row, column]}")
        name = _gmsh_to_meshio_type[kind]
        found.blocks.append((name, _gmsh_to_meshio_order(name, index)))
        numbers.append(number)
        padded = np.zeros((len(tag), 2), dtype=np.int64)
        padded[:, : min(2, tag.shape[1])] = tag[:, :2]
        tags.append(padded)
    if rows:
        found.tags = {name: np.concatenate(tags)[:, i].astype(np.int32) for i, name in enumerate(TAGS)}
    return np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)


def _places(numbers: np.ndarray) -> np.ndarray:
    """Where each number stands, -1 for numbers that do not occur."""
    place = np.full(int(numbers.max(initial=0)) + 1, -1, dtype=np.int64)
    place[numbers] = np.arange(len(numbers))
    return place


def _values(lines: _Lines, numbers: np.ndarray, binary: bool) -> tuple[str, np.ndarray]:
    titles = [lines.line().strip('"') for _ in range(int(lines.line()))]
    for _ in range(int(lines.line())):
        lines.line()
    integers = [int(lines.line()) for _ in range(int(lines.line()))]
    width, count = integers[1], integers[2]
    if binary:
        table = np.frombuffer(lines.take(count * (4 + 8 * width)), np.dtype([("number", "<i4"), ("value", "<f8", (width,))]))
        which, rows = table["number"].astype(np.int64), table["value"]
    else:
        table = lines.numbers(count, 1 + width)
        which, rows = table[:, 0].astype(np.int64), table[:, 1:]
    place = _places(numbers)
    if len(which) and (which.min() < 0 or which.max() >= len(place) or (place[which] < 0).any()):
        raise ValueError(f"the data {titles[:1]} has values for nodes or elements that are absent")
    # Data given on a part of the mesh is NaN elsewhere.
    value = np.full((len(numbers), width), np.nan)
    value[place[which]] = rows
    return titles[0] if titles else "unnamed", value[:, 0] if width == 1 else value


def write(path: Path, content: Content, comment: str) -> None:
    """Writes version 2.2, binary; the comment stands near the start, so a file cut off later still has it."""
    from meshio.gmsh.common import _meshio_to_gmsh_order, _meshio_to_gmsh_type

    with path.open("wb") as file:
        file.write(b"$MeshFormat\n2.2 1 8\n" + np.array([1], "<i4").tobytes() + b"\n$EndMeshFormat\n")
        file.write(f"$Comments\n{comment}\n$EndComments\n".encode())
        if content.names:
            names = "".join(f'{dim} {tag} "{name}"\n' for name, (tag, dim) in content.names.items())
            file.write(f"$PhysicalNames\n{len(content.names)}\n{names}$EndPhysicalNames\n".encode())
        nodes = np.zeros(len(content.points), _NODE)
        nodes["number"], nodes["at"] = np.arange(1, len(nodes) + 1), content.points
        file.write(f"$Nodes\n{len(nodes)}\n".encode() + nodes.tobytes() + b"\n$EndNodes\n")
        total = sum(len(block) for _, block in content.blocks)
        tags = np.stack([content.tags.get(name, np.zeros(total)) for name in TAGS], 1).astype("<i4")
        file.write(f"$Elements\n{total}\n".encode())
        done = 0
        for name, block in content.blocks:
            count = len(block)
            number = np.arange(done + 1, done + count + 1)[:, None]
            rows = np.concatenate([number, tags[done : done + count], _meshio_to_gmsh_order(name, block) + 1], 1)
            file.write(np.array([_meshio_to_gmsh_type[name], count, 2], "<i4").tobytes() + rows.astype("<i4").tobytes())
            done += count
        file.write(b"\n$EndElements\n")
        for section, data in (("NodeData", content.point_data), ("ElementData", content.cell_data)):
            for title, value in data.items():
                wide = value.reshape(len(value), -1)
                table = np.zeros(len(wide), np.dtype([("number", "<i4"), ("value", "<f8", (wide.shape[1],))]))
                table["number"], table["value"] = np.arange(1, len(wide) + 1), wide
                file.write(f'${section}\n1\n"{title}"\n1\n0.0\n3\n0\n{wide.shape[1]}\n{len(wide)}\n'.encode())
                file.write(table.tobytes() + f"\n$End{section}\n".encode())
