"""XDMF, an XML file. geoops writes the numbers into it; it reads them from it, from HDF5, or from raw binary files."""

import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from geoops.geometry import Mesh, PointCloud

from ._format import Format, cell_losses, only_kinds
from ._notes import MARK, dump, stored
from ._xdmf_read import COUNTED, TOPOLOGY, Element, read_xdmf

Shape = Mesh | PointCloud


def _write(path: Path, shape: Shape) -> None:
    shape = only_kinds(shape, set(TOPOLOGY))
    root = Element("Xdmf", Version="3.0")
    grid = ElementTree.SubElement(ElementTree.SubElement(root, "Domain"), "Grid", Name="mesh", GridType="Uniform")
    point_arrays, point_notes = stored(shape.point_fields, list(shape.point_fields))
    cell_fields = shape.cell_fields if isinstance(shape, Mesh) else {}
    cell_arrays, cell_notes = stored(cell_fields, list(cell_fields))
    ElementTree.SubElement(grid, "Information", Name=MARK, Value=dump(shape, point_notes, cell_notes))
    geometry = ElementTree.SubElement(grid, "Geometry", GeometryType="XY" if shape.dim == 2 else "XYZ")
    _put(geometry, shape.points.detach().numpy())
    _put_cells(grid, shape)
    for center, arrays in (("Node", point_arrays), ("Cell", cell_arrays)):
        for name, array in arrays:
            sort = "Scalar" if array.ndim == 1 else {3: "Vector", 6: "Tensor6", 9: "Tensor"}.get(array.shape[1], "Matrix")
            _put(ElementTree.SubElement(grid, "Attribute", Name=name, AttributeType=sort, Center=center), array)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _put_cells(grid: Element, shape: Shape) -> None:
    if isinstance(shape, PointCloud) or not len(shape.cells):
        # Viewers want a topology: one vertex for each point.
        count = len(shape.points)
        topology = ElementTree.SubElement(
            grid, "Topology", TopologyType="Polyvertex", NumberOfElements=str(count), NodesPerElement="1"
        )
        _put(topology, np.arange(count)[:, None] if isinstance(shape, PointCloud) else np.zeros((0, 1), np.int64))
        return
    blocks = shape.cells.blocks()
    if len(blocks) == 1:
        (name, nodes) = blocks[0]
        topology = ElementTree.SubElement(
            grid,
            "Topology",
            TopologyType=TOPOLOGY[name][1],
            NumberOfElements=str(len(nodes)),
            NodesPerElement=str(nodes.shape[1]),
        )
        _put(topology, nodes.numpy())
        return
    rows = []
    for name, nodes in blocks:
        number = TOPOLOGY[name][0]
        head = [number, nodes.shape[1]] if number in COUNTED else [number]
        rows.append(np.concatenate([np.tile(head, (len(nodes), 1)), nodes.numpy()], 1).reshape(-1))
    topology = ElementTree.SubElement(grid, "Topology", TopologyType="Mixed", NumberOfElements=str(len(shape.cells)))
    _put(topology, np.concatenate(rows))


def _put(parent: Element, array: np.ndarray) -> None:
    sort = {"f": "Float", "i": "Int", "u": "UInt"}[array.dtype.kind]
    item = ElementTree.SubElement(
        parent,
        "DataItem",
        DataType=sort,
        Precision=str(array.dtype.itemsize),
        Dimensions=" ".join(map(str, array.shape)),
        Format="XML",
    )
    # str of a numpy float is the shortest text that reads back as the same number.
    rows = array.reshape(len(array), -1) if array.size else array.reshape(0, 1)
    values = rows.astype("U") if array.dtype.kind != "f" else np.array([[str(x) for x in row] for row in rows], dtype=object)
    item.text = os.linesep.join(" ".join(row) for row in values.tolist())


XDMF = Format(
    "XDMF", (".xdmf", ".xmf"),
    "everything, like VTU, for the kinds of cells that XDMF has; the numbers are text inside the file",
    read_xdmf, _write, lambda shape: cell_losses(shape, set(TOPOLOGY)),
)  # fmt: skip
