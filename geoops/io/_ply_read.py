"""PLY files to meshes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoops.geometry import Cells, Mesh, PointCloud

from ._format import shaped
from ._notes import MARK, known_units, load, restore

Shape = Mesh | PointCloud
#: The names of PLY's types, old and new.
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip


def read_ply(path: Path) -> Shape:
    """Reads text and binary files of both byte orders; vectors are joined from name_0, name_1, and so on."""
    data = path.read_bytes()
    kind, elements, notes, start = _header(data)
    tables = _ascii(data[start:], elements) if kind == "ascii" else _binary(data, start, elements, "<" if "little" in kind else ">")
    if "vertex" not in tables or not {"x", "y"} <= tables["vertex"].keys():
        raise ValueError("it has no element 'vertex' with properties x and y")
    vertex = tables["vertex"]
    points = np.stack([vertex.pop(axis) for axis in ("x", "y", "z") if axis in vertex], 1)
    cells, cell_arrays = _faces(tables)
    note = notes.get("fields", {"point": [], "cell": []})
    point_fields = restore(_vectors(vertex, note["point"]), note["point"], len(points), "point")
    cell_fields = restore(_vectors(cell_arrays, note["cell"]), note["cell"], len(cells), "cell")
    kinds = cell_fields.pop("geoops:kind", None)
    if kinds is not None:
        cells = Cells(kinds.to(torch.uint8), cells.offsets, cells.connectivity)
    found = notes.get("globals", {})
    units = known_units(notes, point_fields, cell_fields, found)
    return shaped(points, cells, point_fields, cell_fields, found, units, notes.get("type"))


def _header(data: bytes) -> tuple[str, list[tuple[str, int, list]], dict, int]:
    """Returns the encoding, the elements (name, count, properties), the notes, and where the body begins."""
    end = data.find(b"end_header")
    if not data.startswith(b"ply") or end < 0:
        raise ValueError("it is not a PLY file, or its header is cut off (no 'ply' at the start or no 'end_header')")
    start = data.index(b"\n", end) + 1 if b"\n" in data[end:] else len(data)
    kind, elements, notes = "", [], {}
    for line in data[:end].decode("utf-8", errors="replace").splitlines()[1:]:
        words = line.split()
        if not words or words[0] == "obj_info":
            continue
        if words[0] == "format" and len(words) > 1:
            kind = words[1]
        elif words[0] == "comment":
            if len(words) > 2 and words[1] == MARK:
                notes = load(line.split(MARK, 1)[1])
        elif words[0] == "element" and len(words) == 3:
            elements.append((words[1], int(words[2]), []))
        elif words[0] == "property" and elements and len(words) in (3, 5):
            if any(word not in TYPES for word in ([words[1]] if len(words) == 3 else words[2:4])):
                raise ValueError(f"unknown type in the header line {line!r}")
            elements[-1][2].append((words[-1], tuple(TYPES[word] for word in (words[1:2] if len(words) == 3 else words[2:4]))))
        else:
            raise ValueError(f"cannot understand the header line {line!r}")
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"unknown encoding {kind!r}")
    return kind, elements, notes, start


def _binary(data: bytes, start: int, elements: list, order: str) -> dict[str, dict[str, Any]]:
    tables = {}
    for name, count, properties in elements:
        lists = [i for i, (_, types) in enumerate(properties) if len(types) == 2]
        if not lists:
            tables[name], start = _rows(data, start, name, count, [(p, order + t[0]) for p, t in properties])
            continue
        # Faces of one size make a plain table; a file that mixes sizes is walked face by face.
        sizes = _first_sizes(data, start, properties, order) if count else {}
        layout = []
        for p, types in properties:
            if len(types) == 2:
                layout += [(f"{p}:count", order + types[0]), (p, order + types[1], (sizes.get(p, 0),))]
            else:
                layout.append((p, order + types[0]))
        try:
            table, after = _rows(data, start, name, count, layout)
            plain = all((table[f"{p}:count"] == sizes.get(p, 0)).all() for p, t in properties if len(t) == 2)
        except ValueError:
            plain, table, after = False, {}, start
        tables[name], start = (table, after) if plain else _walk(data, start, name, count, properties, order)
        tables[name] = {p: v for p, v in tables[name].items() if not p.endswith(":count")}
    return tables


def _rows(data: bytes, start: int, name: str, count: int, layout: list) -> tuple[dict[str, np.ndarray], int]:
    dtype = np.dtype(layout)
    end = start + count * dtype.itemsize
    if end > len(data):
        raise ValueError(f"it is truncated: element {name!r} needs {end - start} bytes, there are {max(0, len(data) - start)}")
    table = np.frombuffer(data, dtype, count, start)
    return {p: table[p].astype(table[p].dtype.newbyteorder("=")) for p in dtype.names or ()}, end


def _first_sizes(data: bytes, start: int, properties: list, order: str) -> dict[str, int]:
    sizes = {}
    for p, types in properties:
        kinds = [np.dtype(order + t) for t in types]
        if start + kinds[0].itemsize > len(data):
            break
        if len(types) == 2:
            sizes[p] = int(np.frombuffer(data, kinds[0], 1, start)[0])
            start += sizes[p] * kinds[1].itemsize
        start += kinds[0].itemsize
    return sizes


def _walk(data: bytes, start: int, name: str, count: int, properties: list, order: str) -> tuple[dict[str, Any], int]:
    columns: dict[str, list] = {p: [] for p, _ in properties}
    kinds = [(p, [np.dtype(order + t) for t in types]) for p, types in properties]
    for i in range(count):
        for p, types in kinds:
            number = 1
            if len(types) == 2:
                number = int(np.frombuffer(data[start : start + types[0].itemsize].ljust(types[0].itemsize, b"\0"), types[0])[0])
                start += types[0].itemsize
            end = start + number * types[-1].itemsize
            if end > len(data):
                raise ValueError(f"it is truncated in element {name!r}, row {i} of {count}")
            values = np.frombuffer(data, types[-1], number, start)
            columns[p].append(values if len(types) == 2 else values[0])
            start = end
    return {
        p: v if len(t) == 2 else np.array(v, dtype=t[0].newbyteorder("="))
        for (p, t), v in zip(kinds, columns.values(), strict=True)
    }, start


def _ascii(body: bytes, elements: list) -> dict[str, dict[str, Any]]:
    words = body.decode("ascii").split()
    at, tables = 0, {}
    for name, count, properties in elements:
        columns: dict[str, Any] = {p: [] for p, _ in properties}
        if all(len(types) == 1 for _, types in properties):
            width = len(properties)
            if at + count * width > len(words):
                raise ValueError(f"it is truncated: element {name!r} needs {count} rows of {width} values")
            for i, (p, types) in enumerate(properties):
                columns[p] = _numbers(words[at + i : at + count * width : width], types[0], name, p)
            at += count * width
        else:
            for row in range(count):
                for p, types in properties:
                    number = 1
                    if len(types) == 2:
                        number, at = int(words[at]) if at < len(words) else 1, at + 1
                    if at + number > len(words):
                        raise ValueError(f"it is truncated in element {name!r}, row {row} of {count}")
                    values = _numbers(words[at : at + number], types[-1], name, p)
                    columns[p].append(values if len(types) == 2 else values[0])
                    at += number
            columns = {p: c if len(t) == 2 else np.array(c) for (p, t), c in zip(properties, columns.values(), strict=True)}
        tables[name] = columns
    return tables


def _numbers(words: list[str], kind: str, element: str, name: str) -> np.ndarray:
    try:
        return np.array(words).astype(kind) if words else np.zeros(0, kind)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"property {name!r} of element {element!r} holds no {np.dtype(kind)} numbers: {error}") from None


def _faces(tables: dict[str, dict[str, Any]]) -> tuple[Cells, dict[str, np.ndarray]]:
    face = tables.get("face", {})
    key = next((k for k in ("vertex_indices", "vertex_index") if k in face), None)
    if key is None:
        return Cells.empty(), {}
    nodes = face.pop(key)
    sizes = np.array([len(row) for row in nodes], dtype=np.int64)
    if not len(sizes):
        return Cells.empty(), {}
    if sizes.min() < 3:
        raise ValueError(f"face {int(sizes.argmin())} has {sizes.min()} nodes, a face needs at least 3")
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]))
    kinds = torch.from_numpy(np.where(sizes == 3, 5, np.where(sizes == 4, 9, 7)).astype(np.uint8))
    flat = np.concatenate(list(nodes)) if isinstance(nodes, list) else np.asarray(nodes).reshape(-1)
    fields = {name: value for name, value in face.items() if not isinstance(value, list) and np.asarray(value).ndim == 1}
    return Cells(kinds, offsets, torch.from_numpy(flat.astype(np.int64))), fields


def _vectors(columns: dict[str, np.ndarray], notes: list[dict]) -> dict[str, np.ndarray]:
    """Joins name_0, name_1, ... to one array: as the notes say, and by the look of the names in files without notes."""
    columns = {name: value for name, value in columns.items() if not isinstance(value, list)}
    if notes:
        joined = {}
        for note in notes:
            parts = [columns.pop(f"{note['stored']}_{i}", None) for i in range(note["width"])] if note["width"] != 1 else None
            if parts is None and note["stored"] in columns:
                joined[note["stored"]] = columns.pop(note["stored"])
            elif parts is not None and all(part is not None for part in parts):
                count = len(next(iter(columns.values()), parts[0] if parts else []))
                joined[note["stored"]] = np.stack(parts, 1) if parts else np.zeros((count, 0), note["dtype"])
        return {**joined, **columns}
    found: dict[str, np.ndarray] = {}
    for name, value in columns.items():
        stem, _, tail = name.rpartition("_")
        if not (stem and tail == "0" and f"{stem}_1" in columns and stem not in columns):
            if not (stem and tail.isdigit() and stem in found):
                found[name] = value
            continue
        parts = [value]
        while f"{stem}_{len(parts)}" in columns and columns[f"{stem}_{len(parts)}"].dtype == value.dtype:
            parts.append(columns[f"{stem}_{len(parts)}"])
        found[stem] = np.stack(parts, 1)
    return found
