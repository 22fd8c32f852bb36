"""VTM: several data sets, in files in a folder beside."""

import json
import os
import shutil
from pathlib import Path
from xml.etree.ElementTree import Element

import torch

from geoops.geometry import Mesh, PointCloud
from geoops.geometry._vtk_blocks import join
from geoops.geometry._vtk_read import as_cloud, globals_of
from geoops.geometry._vtk_write import to_vtk

from ._atomic import check_writable, scratch_folder
from ._errors import vtk_errors
from ._format import Format
from ._vtk_file import File
from ._vtk_parse import arrays, mesh

Shape = Mesh | PointCloud


def _read(path: Path) -> Shape:
    """Joins the blocks in order, without merging points; the cell field ``block`` and the global ``block_names`` tell
    them apart.
    """
    file = File.open(path, "vtkMultiBlockDataSet")
    parts = []
    for name, part in _leaves(file.root, path, ""):
        if not part.is_file():
            raise FileNotFoundError(f"{path} refers to {part}, which is absent")
        opened = File.open(part)
        try:
            parts.append((name, *mesh(opened)))
        except ValueError as error:
            # Blocks may be empty as long as not all are.
            if "zero points" not in str(error):
                raise ValueError(f"block {name!r} ({part.name}): {error}") from error
    if not parts:
        raise ValueError("its blocks have zero points")
    if len(parts) == 1 and parts[0][2] is not None:
        return as_cloud(parts[0][1], parts[0][2])
    own = globals_of(arrays(file, file.root.find(".//FieldData")))
    return join([part for _, part, _ in parts], [name for name, _, _ in parts], own)


def _leaves(node: Element, path: Path, prefix: str) -> list[tuple[str, Path]]:
    """Names and files of the blocks, in order; names of nested blocks are joined by '/'."""
    found = []
    for child in node:
        if child.tag in ("Block", "DataSet", "Piece"):
            title = child.get("name") or child.get("index") or child.get("dataset") or ""
            name = f"{prefix}/{title}" if prefix else title
            if child.get("file"):
                found.append((name, path.parent / child.get("file", "")))
            found += _leaves(child, path, name)
        else:
            found += _leaves(child, path, prefix)
    return found


def _write(path: Path, shape: Shape) -> None:
    """Writes one block, or the blocks that the cell field ``block`` describes if they are runs of points and cells."""
    from vtkmodules.vtkCommonDataModel import vtkMultiBlockDataSet
    from vtkmodules.vtkIOXML import vtkXMLMultiBlockDataWriter

    check_writable(path)
    parts = _split(shape)
    composite = vtkMultiBlockDataSet()
    for i, (name, part) in enumerate(parts):
        composite.SetBlock(i, to_vtk(part))
        composite.GetMetaData(i).Set(composite.NAME(), name)
    with scratch_folder(path) as scratch:
        writer = vtkXMLMultiBlockDataWriter()
        with vtk_errors():
            writer.SetFileName(str(scratch / path.name))
            writer.SetInputData(composite)
            writer.SetDataModeToAppended()
            writer.EncodeAppendedDataOff()
            done = writer.Write()
        if not done:
            raise OSError(f"cannot write {path}: VTK gave no reason")
        _move_into_place(scratch, path)


def _move_into_place(scratch: Path, path: Path) -> None:
    """Replaces the old blocks only now that the new ones are complete; puts them back if that fails."""
    beside, old = path.with_suffix(""), scratch / "old"
    if beside.is_dir():
        os.replace(beside, old)
    try:
        os.replace(scratch / path.stem, beside)
        os.replace(scratch / path.name, path)
    except OSError:
        if old.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
            old.rename(beside)
        raise


def _split(shape: Shape) -> list[tuple[str, Shape]]:
    names = shape.global_fields.get("block_names")
    if isinstance(shape, PointCloud) or "block" not in shape.cell_fields or not isinstance(names, str):
        return [("mesh", shape)]
    block, titles = shape.cell_fields["block"], json.loads(names)
    if (
        block.is_floating_point()
        or block.ndim != 1
        or len(titles) < 2
        or len(block.unique()) != len(titles)
        or bool((block.diff() < 0).any())
    ):
        return [("mesh", shape)]
    of_use = block[shape.cells.owner()]
    nodes = shape.cells.connectivity
    low = torch.stack([nodes[of_use == b].min() for b in range(len(titles))])
    high = torch.stack([nodes[of_use == b].max() for b in range(len(titles))])
    if int(low[0]) != 0 or int(high[-1]) != len(shape.points) - 1 or bool((low[1:] != high[:-1] + 1).any()):
        return [("mesh", shape)]
    parts: list[tuple[str, Shape]] = []
    rest = {name: value for name, value in shape.global_fields.items() if name != "block_names"}
    for b, title in enumerate(titles):
        cells, points = block == b, slice(int(low[b]), int(high[b]) + 1)
        chosen = shape.cells.select(cells)
        part = Mesh(
            shape.points[points],
            type(chosen)(chosen.kinds, chosen.offsets, chosen.connectivity - low[b]),
            {name: value[points] for name, value in shape.point_fields.items()},
            {name: value[cells] for name, value in shape.cell_fields.items() if name != "block"},
            rest,
            {name: unit for name, unit in shape.units.items() if name not in ("block", "block_names")},
        )
        parts.append((title, part))
    return parts


VTM = Format(
    "VTM",
    (".vtm", ".vtmb"),
    "everything, like VTU; the parts of a joined mesh go back into blocks",
    _read,
    _write,
    sidecar=True,
)
