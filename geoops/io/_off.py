"""OFF: points and faces as text."""

from pathlib import Path

import numpy as np
import torch

from geoops.geometry import Mesh, PointCloud

from ._format import Format, cell_losses, field_losses, only_kinds, shaped, space_points
from ._text import cells_of, coordinate_lines, face_kind, floats, read_text

_KINDS = {"triangle", "quad", "polygon"}


def _read(path: Path) -> Mesh | PointCloud:
    """Reads OFF and COFF; colours become the fields ``color`` of points or of cells (where every face has one)."""
    rows = [(n, words) for n, line in enumerate(read_text(path).splitlines(), 1) if (words := line.split("#", 1)[0].split())]
    if not rows or rows[0][1][0] not in ("OFF", "COFF"):
        raise ValueError("it does not begin with OFF or COFF")
    head = rows[0][1][1:] or (rows[1][1] if len(rows) > 1 else [])
    body = rows[1:] if rows[0][1][1:] else rows[2:]
    if len(head) < 2 or not all(word.isdigit() for word in head[:2]):
        raise ValueError("the numbers of points and faces are missing")
    count, faces = int(head[0]), int(head[1])
    if len(body) < count + faces:
        raise ValueError(f"it is truncated: {count} points and {faces} faces need as many lines, there are {len(body)}")
    table = [floats(words, n) for n, words in body[:count]]
    if any(len(row) < 3 or len(row) != len(table[0]) for row in table):
        raise ValueError("each point needs 3 coordinates (and as many colour values as the others)")
    if not table:
        raise ValueError("it has zero points")
    points = np.array(table)
    kinds, nodes, colors = [], [], []
    for n, words in body[count : count + faces]:
        if not words[0].isdigit() or len(words) < 1 + int(words[0]) or int(words[0]) < 3:
            raise ValueError(f"line {n} is no face: {' '.join(words)!r} (is the file cut off?)")
        size = int(words[0])
        if not all(word.isdigit() for word in words[1 : 1 + size]):
            raise ValueError(f"line {n} holds no numbers of points: {' '.join(words)!r}")
        kinds.append(face_kind(size))
        nodes.append([int(word) for word in words[1 : 1 + size]])
        colors.append(floats(words[1 + size :], n))
    point_fields = {"color": torch.from_numpy(points[:, 3:].copy())} if points.shape[1] > 3 else {}
    whole = bool(colors and colors[0]) and all(len(c) == len(colors[0]) for c in colors)
    cell_fields = {"color": torch.tensor(colors, dtype=torch.float64)} if whole else {}
    return shaped(points[:, :3], cells_of(kinds, nodes), point_fields, cell_fields)


def _write(path: Path, shape: Mesh | PointCloud) -> None:
    shape = only_kinds(shape, _KINDS)
    blocks = shape.cells.blocks() if isinstance(shape, Mesh) else []
    lines = [
        "OFF",
        f"{len(shape.points)} {sum(len(nodes) for _, nodes in blocks)} 0",
        *coordinate_lines(space_points(shape)),
    ]
    for _, nodes in blocks:
        lines += [f"{nodes.shape[1]} " + " ".join(map(str, row)) for row in nodes.tolist()]
    path.write_text("\n".join(lines) + "\n")


OFF = Format(
    "OFF", (".off",), "points (read as float64), triangles, quadrilaterals and polygons, their order; no fields",
    _read, _write, lambda shape: field_losses(shape) + cell_losses(shape, _KINDS),
)  # fmt: skip
