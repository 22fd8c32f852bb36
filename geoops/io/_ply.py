"""PLY: points, edges and faces with named scalar properties."""

from pathlib import Path

import numpy as np

from geoops.geometry import Cells, Mesh, PointCloud
from geoops.geometry._kinds import KINDS

from ._format import Format, cell_losses, only_kinds, space_points
from ._notes import MARK, dump, plain_names, stored
from ._ply_read import TYPES, read_ply

Shape = Mesh | PointCloud
_NAMES = {np.dtype(TYPES[n]): n for n in ("char", "uchar", "short", "ushort", "int", "uint", "float", "double")}
_KINDS = {"triangle", "quad", "polygon"}
_EXACT = 2**53


def _write(path: Path, shape: Shape) -> None:
    shape = only_kinds(shape, _KINDS)
    cells = shape.cells if isinstance(shape, Mesh) else Cells.empty()
    points = space_points(shape)
    float_name = _NAMES[points.dtype]
    vertex = [(axis, points[:, i]) for i, axis in enumerate("xyz")]
    point_columns, point_notes = _columns(shape.point_fields, {"x", "y", "z"})
    cell_fields = dict(shape.cell_fields) if isinstance(shape, Mesh) else {}
    sizes = cells.sizes().numpy()
    inferred = np.where(sizes == 3, KINDS["triangle"].code, np.where(sizes == 4, KINDS["quad"].code, KINDS["polygon"].code))
    if not np.array_equal(inferred, cells.kinds.numpy()):
        cell_fields["geoops:kind"] = cells.kinds
    cell_columns, cell_notes = _columns(cell_fields, {"vertex_indices"})
    lines = ["ply", "format binary_little_endian 1.0", f"comment {MARK} {dump(shape, point_notes, cell_notes)}"]
    lines += [f"element vertex {len(points)}", *(f"property {float_name} {axis}" for axis in "xyz")]
    lines += [f"property {_NAMES[v.dtype]} {name}" for name, v in point_columns]
    if isinstance(shape, Mesh):
        lines += [f"element face {len(cells)}", "property list int int vertex_indices"]
        lines += [f"property {_NAMES[v.dtype]} {name}" for name, v in cell_columns]
    with path.open("wb") as file:
        file.write(("\n".join([*lines, "end_header"]) + "\n").encode("ascii"))
        file.write(_table([*vertex, *point_columns], len(points)).tobytes())
        for nodes, chosen in _runs(cells):
            columns = [
                ("vertex_count", np.full(len(nodes), nodes.shape[1], np.int32)),
                ("vertex_indices", nodes.astype(np.int32)),
            ]
            file.write(_table([*columns, *((name, value[chosen]) for name, value in cell_columns)], len(nodes)).tobytes())


def _columns(fields: dict, taken: set[str]) -> tuple[list[tuple[str, np.ndarray]], list[dict]]:
    """Scalar columns in dtypes that PLY has, and the notes to undo them."""
    arrays, notes = stored(fields, plain_names(list(fields), taken))
    columns = []
    for (name, array), note in zip(arrays, notes, strict=True):
        if array.dtype not in _NAMES:
            if array.size and max(int(array.max()), -int(array.min())) > _EXACT:
                raise ValueError(f"field {note['name']!r} of {array.dtype} has values above 2^53, which PLY cannot hold exactly")
            array = array.astype(np.float64)
        note["width"] = 1 if array.ndim == 1 else array.shape[1]
        columns += [(name, array)] if array.ndim == 1 else [(f"{name}_{i}", array[:, i]) for i in range(array.shape[1])]
    clash = {name for name, _ in columns if [n for n, _ in columns].count(name) > 1 or name in taken}
    if clash:
        raise ValueError(f"fields give the same property names {sorted(clash)}; rename one of them")
    return columns, notes


def _table(columns: list[tuple[str, np.ndarray]], rows: int) -> np.ndarray:
    layout = [(f"c{i}", v.dtype.newbyteorder("<"), v.shape[1:]) for i, (_, v) in enumerate(columns)]
    table = np.empty(rows, dtype=layout)
    for (key, *_), (_, value) in zip(layout, columns, strict=True):
        table[key] = value
    return table


def _runs(cells: Cells) -> list[tuple[np.ndarray, slice]]:
    runs, first = [], 0
    for _, nodes in cells.blocks():
        runs.append((nodes.numpy(), slice(first, first + len(nodes))))
        first += len(nodes)
    return runs


PLY = Format(
    "PLY", (".ply",),
    "fields (vectors as name_0, name_1, ...), names, dtypes, units, text; triangles, quadrilaterals and polygons only",
    read_ply, _write, lambda shape: cell_losses(shape, _KINDS),
)  # fmt: skip
