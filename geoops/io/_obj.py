"""OBJ (Wavefront): points, faces, lines; groups become a cell field."""

import json
from pathlib import Path

import numpy as np
import torch

from geoops.geometry import Mesh, PointCloud

from ._format import Format, cell_losses, field_losses, only_kinds, shaped, space_points
from ._text import cells_of, coordinate_lines, face_kind, floats, read_text

_KINDS = {"triangle", "quad", "polygon", "line", "poly_line", "vertex", "poly_vertex"}
# Statements that say nothing about points and cells.
_SKIPPED = {
    "s",
    "mtllib",
    "vn",
    "vt",
    "vp",
    "usemap",
    "lod",
    "shadow_obj",
    "trace_obj",
    "bevel",
    "c_interp",
    "d_interp",
    "mg",
}


def _read(path: Path) -> Mesh | PointCloud:
    """Reads points, faces, lines and vertices in the order of the file.

    Groups (``g``, ``o``) and materials (``usemtl``) become the cell fields ``group`` and ``material`` with the global
    fields
    ``group_names`` and ``material_names`` (JSON); four or more numbers of a point the point fields ``weight`` or
    ``color``. Normals and texture coordinates belong to corners of faces, not to points, and are not read.
    """
    points, extras, kinds, nodes = [], [], [], []
    labels: dict[str, list[str]] = {"group": [], "material": []}
    current = {"group": "", "material": ""}
    for number, line in enumerate(read_text(path).replace("\\\n", " ").splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        word, rest = words[0], words[1:]
        if word == "v":
            values = floats(rest, number)
            if len(values) < 3:
                raise ValueError(f"line {number}: a point needs 3 coordinates, got {len(values)} (is the file cut off?)")
            points.append(values[:3])
            extras.append(values[3:])
        elif word in ("f", "l", "p"):
            row = [_node(entry, len(points), number) for entry in rest]
            if len(row) < {"f": 3, "l": 2, "p": 1}[word]:
                raise ValueError(f"line {number}: {word!r} has too few points: {line.strip()!r} (is the file cut off?)")
            kind = face_kind(len(row)) if word == "f" else ("line" if len(row) == 2 else "poly_line")
            kinds.append(("vertex" if len(row) == 1 else "poly_vertex") if word == "p" else kind)
            nodes.append(row)
            for name, seen in labels.items():
                seen.append(current[name])
        elif word in ("g", "o"):
            current["group"] = " ".join(rest)
        elif word == "usemtl":
            current["material"] = " ".join(rest)
        elif word not in _SKIPPED:
            raise ValueError(f"line {number} is no OBJ statement: {line.strip()[:60]!r}")
    if not points:
        raise ValueError("it has zero points (no line begins with 'v')")
    cell_fields, global_fields = {}, {}
    for name, seen in labels.items():
        if any(seen):
            names = list(dict.fromkeys(seen))
            cell_fields[name] = torch.tensor([names.index(s) for s in seen])
            global_fields[f"{name}_names"] = json.dumps(names)
    point_fields = {}
    if extras[0] and all(len(e) == len(extras[0]) for e in extras):
        found = torch.tensor(extras, dtype=torch.float64)
        point_fields = {"weight": found[:, 0]} if found.shape[1] == 1 else {"color": found}
    return shaped(np.array(points), cells_of(kinds, nodes), point_fields, cell_fields, global_fields)


def _node(entry: str, count: int, number: int) -> int:
    try:
        value = int(entry.split("/", 1)[0])
    except ValueError:
        raise ValueError(f"line {number}: {entry!r} is no number of a point") from None
    if value == 0 or value < -count:
        raise ValueError(f"line {number} refers to the absent point {value}; there are {count} so far, numbered from 1")
    return value - 1 if value > 0 else count + value


def _write(path: Path, shape: Mesh | PointCloud) -> None:
    shape = only_kinds(shape, _KINDS)
    lines = coordinate_lines(space_points(shape), "v ")
    for name, nodes in shape.cells.blocks() if isinstance(shape, Mesh) else []:
        letter = {"line": "l", "poly_line": "l", "vertex": "p", "poly_vertex": "p"}.get(name, "f")
        lines += [f"{letter} " + " ".join(map(str, row)) for row in (nodes + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")


OBJ = Format(
    "OBJ", (".obj",), "points (read as float64), faces, lines, vertices, their order; no fields", _read, _write,
    lambda shape: field_losses(shape) + cell_losses(shape, _KINDS),
)  # fmt: skip
