"""MSH: the files of gmsh, versions 2 and 4."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geoops.geometry import Cells, Mesh, PointCloud
from geoops.geometry._meshio import from_meshio, to_meshio

from . import _msh2
from ._format import Format, cell_losses, only_kinds, shaped, space_points
from ._notes import MARK, dump, known_units, load, plain_names, restore, stored

Shape = Mesh | PointCloud
_EXACT = 2**53


def _kinds() -> set[str]:
    from meshio.gmsh.common import _gmsh_to_meshio_type

    return set(_gmsh_to_meshio_type.values())


def _read(path: Path) -> Shape:
    """Reads versions 2 and 4, text and binary.

    Physical groups become the integer cell field ``gmsh:physical``, their names global fields (tag, dimension);
    ``gmsh:geometrical`` holds the number of the geometric entity.
    """
    data = path.read_bytes()
    notes = _notes(data)
    # gmsh allows comments before the head.
    head = data[max(0, data.find(b"$MeshFormat")) :]
    words = head[:64].split()
    if not head.startswith(b"$MeshFormat") or not data.lstrip().startswith(b"$") or len(words) < 4:
        raise ValueError("it does not begin with $MeshFormat")
    if not data.rstrip().rsplit(b"\n", 1)[-1].startswith(b"$End"):
        raise ValueError("it is truncated (the last line is no $End...)")
    found = _read_version_4(path) if words[1].startswith(b"4") else _as_meshio(_msh2.read(data))
    if not notes:
        return from_meshio(found)
    found.field_data = {}
    for tag in set(_msh2.TAGS) - {note["stored"] for note in notes["fields"]["cell"]}:
        found.cell_data.pop(tag, None)
    whole = from_meshio(found)
    points = whole.points.to(getattr(torch, notes["points"])).numpy()
    cells = whole.cells if isinstance(whole, Mesh) and notes["type"] == "mesh" else Cells.empty()
    arrays = {name: np.asarray(v) for name, v in found.point_data.items()}
    point_fields = restore(_narrow(arrays, notes["fields"]["point"]), notes["fields"]["point"], len(points), "point")
    arrays = {name: np.concatenate(parts) for name, parts in found.cell_data.items()}
    cell_fields = restore(_narrow(arrays, notes["fields"]["cell"]), notes["fields"]["cell"], len(cells), "cell")
    units = known_units(notes, point_fields, cell_fields, notes["globals"])
    return shaped(points, cells, point_fields, cell_fields, notes["globals"], units, notes["type"])


def _as_meshio(content: _msh2.Content) -> Any:
    import meshio

    ends = np.cumsum([len(block) for _, block in content.blocks])[:-1].tolist()
    tags = {name: value for name, value in content.tags.items() if value.any() or content.names}
    return meshio.Mesh(
        content.points,
        content.blocks,
        point_data=content.point_data,
        cell_data={name: np.split(value, ends) for name, value in {**tags, **content.cell_data}.items()},
        field_data={name: np.array(value) for name, value in content.names.items()},
    )


def _read_version_4(path: Path) -> Any:
    import meshio

    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(said):
        # numpy only warns where numbers break off, meshio only where a section does.
        warnings.simplefilter("error", DeprecationWarning)
        found = meshio.gmsh.read(str(path))
    if "not closed" in said.getvalue():
        raise ValueError(f"it is truncated: {' '.join(said.getvalue().split())}")
    # Physical groups are in the tags already.
    found.cell_sets = {}
    return found


def _notes(data: bytes) -> dict:
    head = b"$Comments\n" + MARK.encode() + b" "
    start = data.find(head)
    return load(data[start + len(head) : data.index(b"\n", start + len(head))].decode()) if start >= 0 else {}


def _narrow(arrays: dict[str, np.ndarray], notes: list[dict]) -> dict[str, np.ndarray]:
    """Cuts off the columns that only fill vectors up to the widths gmsh knows."""
    cut = dict(arrays)
    for note in notes:
        value = cut.get(note["stored"])
        if value is not None and value.ndim == 2 and note["width"] < value.shape[1]:
            cut[note["stored"]] = value[:, : note["width"]]
    return cut


def _write(path: Path, shape: Shape) -> None:
    shape = only_kinds(shape, _kinds())
    cell_fields = shape.cell_fields if isinstance(shape, Mesh) else {}
    tags = {name: cell_fields[name].numpy() for name in _msh2.TAGS if _is_tag(cell_fields.get(name))}
    rest = {name: value for name, value in cell_fields.items() if name not in tags}
    point_data, point_notes = _columns(shape.point_fields, len(shape.points), {"gmsh:dim_tags"})
    cell_data, rest_notes = _columns(rest, len(shape.cells) if isinstance(shape, Mesh) else 0, set(_msh2.TAGS))
    tag_notes = {n: {"name": n, "stored": n, "width": 1, "shape": [], "dtype": str(v.dtype)} for n, v in tags.items()}
    by_name = {note["name"]: note for note in rest_notes} | tag_notes
    content = _msh2.Content(
        space_points(shape).astype(np.float64),
        [(block.type, block.data) for block in to_meshio(Mesh(shape.points, shape.cells)).cells] if isinstance(shape, Mesh) else [],
        tags,
        _physical_names(shape) if "gmsh:physical" in tags else {},
        point_data,
        cell_data,
    )
    _msh2.write(path, content, f"{MARK} {dump(shape, point_notes, [by_name[name] for name in cell_fields])}")


def _is_tag(value: torch.Tensor | None) -> bool:
    if value is None or value.ndim != 1 or value.dtype not in (torch.int32, torch.int64) or not len(value):
        return False
    return bool((value >= -(2**31)).all() and (value < 2**31).all())


def _columns(fields: dict, count: int, taken: set[str]) -> tuple[dict[str, np.ndarray], list[dict]]:
    arrays, notes = stored(fields, plain_names(list(fields), taken, forbidden='"'))
    columns = {}
    for (name, value), note in zip(arrays, notes, strict=True):
        if value.dtype.kind in "iu" and value.size and max(int(value.max()), -int(value.min())) > _EXACT:
            raise ValueError(
                f"field {note['name']!r} of {value.dtype} has values above 2^53, which MSH (float64) cannot hold exactly"
            )
        wide = value.astype(np.float64).reshape(count, -1)
        note["width"] = wide.shape[1]
        # gmsh shows scalars, vectors and tensors: 1, 3 or 9 numbers.
        columns[name] = np.pad(
            wide, ((0, 0), (0, next((w for w in (1, 3, 9) if w >= wide.shape[1]), wide.shape[1]) - wide.shape[1]))
        )
        columns[name] = columns[name][:, 0] if columns[name].shape[1] == 1 else columns[name]
        if note["width"] == 0:
            raise ValueError(f"field {note['name']!r} has no columns")
    return columns, notes


def _physical_names(shape: Shape) -> dict[str, tuple[int, int]]:
    pairs = {
        n: v for n, v in shape.global_fields.items() if not isinstance(v, str) and v.shape == (2,) and not v.is_floating_point()
    }
    return {name.replace('"', ""): (int(value[0]), int(value[1])) for name, value in pairs.items()}


MSH = Format(
    "MSH (gmsh)", (".msh",), "fields (stored as float64), names, dtypes, units, text, order; written as version 2.2",
    _read, _write, lambda shape: cell_losses(shape, _kinds()),
)  # fmt: skip
