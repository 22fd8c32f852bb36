"""Trees of data sets, joined to one mesh."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._cells import Cells
from ._mesh import Mesh


def leaves(composite: Any) -> list[tuple[str, Any]]:
    """Returns the data sets with points in a tree of blocks, in order, with their names joined by '/'."""
    from vtkmodules.vtkCommonDataModel import vtkCompositeDataSet

    found: list[tuple[str, Any]] = []

    def visit(node: Any, path: str) -> None:
        if node.IsA("vtkPartitionedDataSet"):
            children = [(node.GetPartitionAsDataObject(i), None) for i in range(node.GetNumberOfPartitions())]
        elif node.IsA("vtkPartitionedDataSetCollection"):
            count = node.GetNumberOfPartitionedDataSets()
            children = [(node.GetPartitionedDataSet(i), _name(node, i)) for i in range(count)]
        elif node.IsA("vtkMultiBlockDataSet") or node.IsA("vtkMultiPieceDataSet"):
            get = node.GetBlock if node.IsA("vtkMultiBlockDataSet") else node.GetPieceAsDataObject
            count = node.GetNumberOfBlocks() if node.IsA("vtkMultiBlockDataSet") else node.GetNumberOfPieces()
            children = [(get(i), _name(node, i)) for i in range(count)]
        else:
            raise TypeError(f"expected blocks of data sets, got {node.GetClassName()}")
        for i, (child, name) in enumerate(children):
            if child is None:
                continue
            here = "/".join(p for p in (path, name if name is not None else (str(i) if not path else "")) if p)
            if child.IsA("vtkCompositeDataSet"):
                visit(child, here)
            elif child.GetNumberOfPoints():
                found.append((here, child))

    def _name(node: Any, i: int) -> str:
        data = node.GetMetaData(i) if node.HasMetaData(i) else None
        name = data.Get(vtkCompositeDataSet.NAME()) if data is not None and data.Has(vtkCompositeDataSet.NAME()) else None
        return name or f"{i}"

    visit(composite, "")
    return found


def join(meshes: list[Mesh], names: list[str], global_fields: dict[str, Tensor | str] | None = None) -> Mesh:
    """Joins meshes in order without merging points; the cell field ``block`` tells them apart.

    A field that some blocks lack is filled with NaN there (floating) or refused (integers have no such value).
    """
    dim = max(mesh.dim for mesh in meshes)
    points = [torch.nn.functional.pad(m.points, (0, dim - m.dim)) for m in meshes]
    dtype = torch.float64 if any(p.dtype == torch.float64 for p in points) else torch.float32
    starts = np.cumsum([0, *(len(m) for m in meshes)]).tolist()
    shifted = [m.cells.connectivity + s for m, s in zip(meshes, starts, strict=False)]
    sizes = torch.cat([m.cells.sizes() for m in meshes])
    cells = Cells(
        torch.cat([m.cells.kinds for m in meshes]),
        torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)]),
        torch.cat(shifted),
    )
    counts = [len(m.cells) for m in meshes]
    cell_fields = _stacked([m.cell_fields for m in meshes], counts, names, "cell")
    cell_fields["block"] = torch.repeat_interleave(torch.arange(len(meshes)), torch.tensor(counts))
    merged: dict[str, Tensor | str] = {}
    units: dict[str, str] = {}
    for mesh in meshes:
        merged = {**mesh.global_fields, **merged}
        units = {**mesh.units, **units}
    merged = {**merged, **(global_fields or {}), "block_names": json.dumps(names)}
    point_fields = _stacked([m.point_fields for m in meshes], [len(m) for m in meshes], names, "point")
    return Mesh(torch.cat([p.to(dtype) for p in points]), cells, point_fields, cell_fields, merged, units)


def _stacked(parts: list[dict[str, Tensor]], counts: list[int], blocks: list[str], role: str) -> dict[str, Tensor]:
    fields: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        like = next(part[name] for part in parts if name in part)
        rows = []
        for part, count, block in zip(parts, counts, blocks, strict=True):
            if name in part:
                if part[name].shape[1:] != like.shape[1:]:
                    raise ValueError(
                        f"{role} field {name!r} has shape {tuple(part[name].shape)} in block {block!r}, unlike other blocks"
                    )
                rows.append(part[name])
            elif count == 0 or like.is_floating_point():
                rows.append(torch.full((count, *like.shape[1:]), float("nan") if count else 0, dtype=like.dtype))
            else:
                raise ValueError(
                    f"{role} field {name!r} of {like.dtype} is missing in block {block!r}; give it to all blocks, or remove it"
                )
        fields[name] = torch.cat(rows)
    return fields
