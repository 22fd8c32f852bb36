"""What is known about a file format."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from geoops.geometry import Cells, Mesh, PointCloud
from geoops.geometry._arrays import as_tensor
from geoops.geometry._kinds import KINDS

Shape = Mesh | PointCloud


def _nothing(shape: Shape) -> list[str]:
    return []


@dataclass(frozen=True)
class Format:
    """A file format.

    Args:
        name: what people call it.
        suffixes: endings of file names, lower case, with the dot.
        keeps: what survives a round trip, for people to read.
        read: reads a file.
        write: writes a file at a temporary path, or None for formats that are only read.
        losses: lists what writing a shape would lose.
        empty: whether an empty file is fine.
        folders: whether a folder can be read.
        sidecar: writes a folder beside the file too, and so moves its own files into place.
    """

    name: str
    suffixes: tuple[str, ...]
    keeps: str
    read: Callable[[Path], Shape] = field(repr=False)
    write: Callable[[Path, Shape], None] | None = field(default=None, repr=False)
    losses: Callable[[Shape], list[str]] = field(default=_nothing, repr=False)
    empty: bool = False
    folders: bool = False
    sidecar: bool = False


def field_losses(shape: Shape) -> list[str]:
    """Lists fields and units, for formats that hold only geometry."""
    lost = [f"point field {name!r}" for name in shape.point_fields]
    if isinstance(shape, Mesh):
        lost += [f"cell field {name!r}" for name in shape.cell_fields]
    lost += [f"global field {name!r}" for name in shape.global_fields]
    return lost + [f"unit of {name!r}" for name in shape.units]


def cell_losses(shape: Shape, kinds: set[str]) -> list[str]:
    """Lists the cells of kinds that a format does not hold."""
    counts = shape.cells.counts() if isinstance(shape, Mesh) else {}
    return [f"{count} {name} cells" for name, count in counts.items() if name not in kinds]


def only_kinds(shape: Shape, kinds: set[str]) -> Shape:
    """Returns the shape without the cells of other kinds, and without their rows of cell fields.

    Raises:
        ValueError: there are cells, but none of these kinds.
    """
    if not isinstance(shape, Mesh) or not cell_losses(shape, kinds):
        return shape
    kept = torch.isin(shape.cells.kinds, torch.tensor([KINDS[name].code for name in kinds], dtype=torch.uint8))
    if not bool(kept.any()):
        raise ValueError(f"it holds {', '.join(sorted(kinds))} cells, and the mesh has none of these but {shape.cells!r}")
    fields = {name: value[kept] for name, value in shape.cell_fields.items()}
    return replace(shape, cells=shape.cells.select(kept), cell_fields=fields)


def space_points(shape: Shape) -> np.ndarray:
    """Returns the coordinates as an array (n, 3), with z = 0 for shapes in the plane."""
    return torch.nn.functional.pad(shape.points.detach(), (0, 3 - shape.dim)).numpy()


def shaped(
    points: np.ndarray,
    cells: Cells,
    point_fields: dict[str, Tensor] | None = None,
    cell_fields: dict[str, Tensor] | None = None,
    global_fields: dict[str, Tensor | str] | None = None,
    units: dict[str, str] | None = None,
    role: str | None = None,
) -> Shape:
    """Returns a mesh, or a cloud where there are no cells (unless `role` is "mesh"); in the plane where all z are 0
    and none is solid.
    """
    at = as_tensor(points, "points")
    if at.dtype not in (torch.float32, torch.float64):
        at = at.to(torch.float64)
    if at.shape[1] == 3 and len(at) and cells.dim < 3 and not bool(at[:, 2].any()):
        at = at[:, :2].contiguous()
    if not len(cells) and role != "mesh":
        return PointCloud(at, point_fields or {}, global_fields or {}, units or {})
    return Mesh(at, cells, point_fields or {}, cell_fields or {}, global_fields or {}, units or {})
