"""XDMF files to meshes."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch

from geoops.geometry import Cells, Mesh, PointCloud
from geoops.geometry._kinds import KINDS
from geoops.geometry._vtk_blocks import join

from ._format import shaped
from ._notes import MARK, known_units, load, restore

Shape = Mesh | PointCloud
Element = ElementTree.Element

#: Kind: number in mixed topologies, name, and names used elsewhere.
TOPOLOGY = {
    "vertex": (0x1, "Polyvertex"), "line": (0x2, "Polyline"), "poly_line": (0x2, "Polyline"),
    "polygon": (0x3, "Polygon"), "triangle": (0x4, "Triangle"), "quad": (0x5, "Quadrilateral"),
    "tetra": (0x6, "Tetrahedron"), "pyramid": (0x7, "Pyramid"), "wedge": (0x8, "Wedge"),
    "hexahedron": (0x9, "Hexahedron"), "line3": (0x22, "Edge_3"), "quad9": (0x23, "Quadrilateral_9", "Quad_9"),
    "triangle6": (0x24, "Triangle_6", "Tri_6"), "quad8": (0x25, "Quadrilateral_8", "Quad_8"),
    "tetra10": (0x26, "Tetrahedron_10", "Tet_10"), "pyramid13": (0x27, "Pyramid_13"), "wedge15": (0x28, "Wedge_15"),
    "wedge18": (0x29, "Wedge_18"), "hexahedron20": (0x30, "Hexahedron_20", "Hex_20"),
    "hexahedron24": (0x31, "Hexahedron_24", "Hex_24"), "hexahedron27": (0x32, "Hexahedron_27", "Hex_27"),
}  # fmt: skip
_BY_NAME = {name.lower(): kind for kind, (_, *names) in reversed(TOPOLOGY.items()) for name in names}
_BY_NUMBER = {number: kind for kind, (number, *_) in reversed(TOPOLOGY.items())}
#: Kinds whose number of nodes is written before the nodes.
COUNTED = {0x1, 0x2, 0x3}


def read_xdmf(path: Path) -> Shape:
    """Reads the grid of a file; of a time series the last step, of several grids side by side all, joined (see
    `join`).
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no complete XML file ({error})") from None
    if root.tag != "Xdmf":
        raise ValueError(f"its root is <{root.tag}>, expected <Xdmf>")
    grids = root.findall("./Domain/Grid")
    if not grids:
        raise ValueError("it has no <Grid> in a <Domain>")
    # Beside a series may stand the grid that its steps refer to.
    series = [grid for grid in grids if grid.get("CollectionType") == "Temporal"]
    shapes = _shapes(series or grids, root, path.parent)
    if len(shapes) == 1:
        return shapes[0][1]
    meshes = [s if isinstance(s, Mesh) else Mesh(s.points, Cells.empty(), s.point_fields, {}, s.global_fields) for _, s in shapes]
    return join(meshes, [name for name, _ in shapes])


def _shapes(grid: Element | list[Element], root: Element, folder: Path) -> list[tuple[str, Shape]]:
    if isinstance(grid, list):
        return [found for one in grid for found in _shapes(one, root, folder)]
    if grid.get("GridType", "Uniform") in ("Collection", "Tree"):
        parts = grid.findall("Grid")
        if not parts:
            raise ValueError(f"the collection {grid.get('Name')!r} is empty")
        if grid.get("CollectionType", "Spatial") == "Temporal":
            return _shapes(max(parts, key=_time), root, folder)
        return _shapes(parts, root, folder)
    return [(grid.get("Name", ""), _shape(grid, root, folder))]


def _time(grid: Element) -> float:
    time = grid.find("Time")
    return float(time.get("Value", "0")) if time is not None else 0.0


def _shape(grid: Element, root: Element, folder: Path) -> Shape:
    notes = {}
    for information in grid.iter("Information"):
        if information.get("Name") == MARK:
            notes = load(information.get("Value") or information.text or "")
    # Series keep points and cells in the first grid and refer to them.
    topology, geometry = (
        grid.find(tag) if grid.find(tag) is not None else root.find(f".//{tag}") for tag in ("Topology", "Geometry")
    )
    if geometry is None:
        raise ValueError(f"the grid {grid.get('Name')!r} has no <Geometry>")
    items = [_item(item, root, folder) for item in geometry.findall("DataItem")]
    kind = (geometry.get("GeometryType") or geometry.get("Type") or "XYZ").upper()
    if kind in ("X_Y_Z", "X_Y"):
        points = np.stack([item.reshape(-1) for item in items], 1)
    elif kind in ("XYZ", "XY") and len(items) == 1:
        points = items[0].reshape(-1, len(kind))
    else:
        raise ValueError(f"geometry of type {kind} is not supported, expected XYZ, XY, X_Y_Z or X_Y")
    cells = Cells.empty() if topology is None else _cells(topology, root, folder)
    if notes.get("type") == "cloud":
        cells = Cells.empty()
    arrays: dict[str, dict[str, np.ndarray]] = {"Node": {}, "Cell": {}, "Grid": {}}
    for number, attribute in enumerate(grid.findall("Attribute")):
        data = attribute.find("DataItem")
        if data is None:
            raise ValueError(f"the attribute {attribute.get('Name')!r} has no data")
        center = attribute.get("Center", "Node")
        if center not in arrays:
            raise ValueError(f"attribute {attribute.get('Name')!r} is centred on {center}; geoops reads Node, Cell and Grid")
        value = _item(data, root, folder)
        if center != "Grid":
            rows = len(points) if center == "Node" else len(cells)
            if not notes and value.size % max(rows, 1) == 0 and rows:
                value = value.reshape(rows) if value.size == rows else value.reshape(rows, -1)
        arrays[center][attribute.get("Name") or f"unnamed_{number}"] = value
    fields = notes.get("fields", {"point": [], "cell": []})
    point_fields = restore(arrays["Node"], fields["point"], len(points), "point")
    cell_fields = restore(arrays["Cell"], fields["cell"], len(cells), "cell")
    global_fields = {**restore(arrays["Grid"], [], 0, "global"), **notes.get("globals", {})}
    units = known_units(notes, point_fields, cell_fields, global_fields)
    return shaped(points, cells, point_fields, cell_fields, global_fields, units, notes.get("type"))


def _cells(topology: Element, root: Element, folder: Path) -> Cells:
    name = (topology.get("TopologyType") or topology.get("Type") or "").lower()
    item = topology.find("DataItem")
    if item is None:
        raise ValueError(f"the topology {name!r} has no data; structured grids are not supported, convert them to .vtu")
    data = _item(item, root, folder).astype(np.int64)
    if name == "mixed":
        return _mixed(data.reshape(-1))
    if name not in _BY_NAME:
        raise ValueError(f"topology of type {name!r} is not supported; geoops reads Mixed, {', '.join(_BY_NAME)}")
    kind = _BY_NAME[name]
    width = KINDS[kind].nodes or 0
    given = topology.get("NodesPerElement")
    if kind in ("line", "polygon"):
        width = int(given) if given else (data.shape[1] if data.ndim == 2 else 2)
        kind = "poly_line" if kind == "line" and width != 2 else kind
    nodes = data.reshape(-1, int(width))
    return Cells.from_blocks({kind: torch.from_numpy(nodes)}) if len(nodes) else Cells.empty()


def _mixed(data: np.ndarray) -> Cells:
    kinds, sizes, starts, at = [], [], [], 0
    numbers = data.tolist()
    while at < len(numbers):
        number = numbers[at]
        if number not in _BY_NUMBER:
            raise ValueError(f"cell {len(kinds)} of the mixed topology has the unknown type {number}")
        kind, at = _BY_NUMBER[number], at + 1
        size = KINDS[kind].nodes
        if number in COUNTED:
            size, at = numbers[at] if at < len(numbers) else 0, at + 1
            kind = {
                "line": "line" if size == 2 else "poly_line",
                "vertex": "vertex" if size == 1 else "poly_vertex",
            }.get(kind, kind)
        if not size or at + size > len(numbers):
            raise ValueError(f"the mixed topology is cut off in cell {len(kinds)}")
        kinds.append(KINDS[kind].code)
        sizes.append(size)
        starts.append(at)
        at += size
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64))]))
    place = np.repeat(np.array(starts, dtype=np.int64) - offsets[:-1].numpy(), sizes) + np.arange(int(offsets[-1]))
    return Cells(torch.tensor(kinds, dtype=torch.uint8), offsets, torch.from_numpy(data[place]))


def _item(item: Element, root: Element, folder: Path) -> np.ndarray:
    reference = item.get("Reference")
    if reference is not None:
        target = root.find("." + ((item.text or "").strip() if reference == "XML" else reference).removeprefix("/Xdmf"))
        if target is None:
            raise ValueError(f"a data item refers to {reference!r}, which is absent")
        return _item(target, root, folder)
    sort, size = item.get("DataType") or item.get("NumberType") or "Float", item.get("Precision", "4")
    codes = {"float": "f", "int": "i", "uint": "u", "char": "i", "uchar": "u", "short": "i"}
    size = {"char": "1", "uchar": "1", "short": "2"}.get(sort.lower(), size)
    if sort.lower() not in codes:
        raise ValueError(f"data of type {sort!r} is not supported")
    dtype = np.dtype(f"{codes[sort.lower()]}{size}")
    shape = [int(n) for n in (item.get("Dimensions") or "").split()]
    text, form = (item.text or "").strip(), item.get("Format", "XML").upper()
    if form == "XML":
        try:
            data = np.array(text.split(), dtype=dtype) if text else np.zeros(0, dtype)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"a data item holds no {dtype} numbers: {error}") from None
    elif form == "BINARY":
        order = "<" if item.get("Endian", "Little").lower() in ("little", "native") else ">"
        data = np.fromfile(_beside(folder, text), dtype.newbyteorder(order), offset=int(item.get("Seek", "0"))).astype(dtype)
        data = data[: int(np.prod(shape))] if shape else data
    elif form == "HDF":
        data = _hdf(folder, text)
    else:
        raise ValueError(f"data of format {form!r} is not supported, expected XML, HDF or Binary")
    if shape and data.size != int(np.prod(shape)):
        raise ValueError(
            f"a data item holds {data.size} values where {'x'.join(map(str, shape))} are announced; the file is cut off"
        )
    return data.reshape(shape) if shape else data


def _hdf(folder: Path, text: str) -> np.ndarray:
    try:
        import h5py
    except ImportError:
        raise ImportError("this XDMF file keeps its numbers in HDF5; install h5py to read it (pip install h5py)") from None
    name, _, inside = text.rpartition(":")
    path = _beside(folder, name)
    with h5py.File(path, "r") as file:
        if inside not in file:
            raise ValueError(f"{path} has no data set {inside!r}")
        return np.asarray(file[inside][()])


def _beside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"the XDMF file refers to {name}, and there is no {path}")
    return path
