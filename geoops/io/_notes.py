"""What a format has no place for, as one line of JSON inside the file."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geoops.geometry import Mesh, PointCloud
from geoops.geometry._arrays import as_tensor, decode, encode

Shape = Mesh | PointCloud
#: Marks the line in a file.
MARK = "geoops"


def dump(shape: Shape, point: list[dict], cell: list[dict]) -> str:
    """Returns the line: kind of shape, dtype of the points, units, global fields, and what `stored` said about the
    fields.
    """
    return json.dumps(
        {
            "type": "mesh" if isinstance(shape, Mesh) else "cloud",
            "points": str(shape.points.dtype).removeprefix("torch."),
            "units": shape.units,
            "globals": {name: v if isinstance(v, str) else _number(v) for name, v in shape.global_fields.items()},
            "fields": {"point": point, "cell": cell},
        }
    )


def load(line: str) -> dict:
    """Reads the line back, global fields as tensors or text.

    Raises:
        ValueError: the line is damaged.
    """
    try:
        notes = json.loads(line)
        notes["globals"] = {name: v if isinstance(v, str) else _tensor(v) for name, v in notes["globals"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its geoops notes are damaged: {error}") from None
    return notes


def stored(fields: Mapping[str, Tensor], names: list[str]) -> tuple[list[tuple[str, np.ndarray]], list[dict]]:
    """Prepares fields for a format with plain arrays: (name in the file, array) and the notes that undo it.

    Args:
        fields: point or cell fields.
        names: name in the file for each field.
    """
    arrays, notes = [], []
    for (name, value), there in zip(fields.items(), names, strict=True):
        array, how = encode(value, rows=True)
        arrays.append((there, array))
        # Formats differ in what they keep, so shape and dtype are always noted.
        how = how or {"shape": list(value.shape[1:]), "dtype": str(value.dtype).removeprefix("torch.")}
        notes.append({"name": name, "stored": there, **how})
    return arrays, notes


def restore(arrays: Mapping[str, np.ndarray], notes: list[dict], count: int, role: str) -> dict[str, Tensor]:
    """Undoes `stored`; arrays without a note follow under their own names.

    Raises:
        ValueError: an array that the notes promise is missing, so the file is cut or edited.
    """
    fields, rest = {}, dict(arrays)
    for note in notes:
        if note["stored"] not in rest:
            raise ValueError(f"the {role} field {note['name']!r} is missing, the file is truncated or was edited")
        value = as_tensor(rest.pop(note["stored"]), f"{role} field {note['name']!r}")
        fields[note["name"]] = decode(value, note, rows=count)
    fields |= {name: as_tensor(value, f"{role} field {name!r}") for name, value in rest.items() if name not in fields}
    return fields


def plain_names(names: list[str], taken: set[str], forbidden: str = "") -> list[str]:
    """Returns names without blanks and forbidden characters, each unlike the others and those taken."""
    found: list[str] = []
    for name in names:
        plain = "".join("_" if c.isspace() or c in forbidden or not c.isprintable() or ord(c) > 126 else c for c in name)
        while plain in taken or plain in found:
            plain += "_"
        found.append(plain)
    return found


def known_units(notes: dict, *fields: Mapping[str, Any]) -> dict[str, str]:
    """Returns the units whose fields are there."""
    known = {"points"}.union(*fields)
    return {name: unit for name, unit in notes.get("units", {}).items() if name in known}


def _number(value: Tensor) -> dict:
    array, how = encode(value, rows=False)
    how = how or {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    return {**how, "stored": str(array.dtype), "values": array.reshape(-1).tolist()}


def _tensor(note: dict) -> Tensor:
    array = np.array(note["values"], dtype=note["stored"])
    value = as_tensor(array, "global field")
    return (
        decode(value, note, rows=None)
        if note["shape"] != list(value.shape) or value.dtype != getattr(torch, note["dtype"])
        else value
    )
