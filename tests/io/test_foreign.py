"""Files that other programs wrote: VTK, pyvista, meshio, gmsh, trimesh, and some written by hand."""

import json

import meshio
import numpy as np
import pytest
import pyvista as pv
import torch
import trimesh
import vtk

from geoops import io
from geoops.geometry import Cells, Mesh, PointCloud, as_mesh


@pytest.fixture(scope="module")
def grid():
    rng = np.random.default_rng(0)
    mesh = as_mesh(pv.ImageData(dimensions=(9, 8, 7))).to_pyvista()
    mesh.point_data.clear()
    mesh.field_data.clear()
    mesh.point_data["u"] = rng.random((mesh.n_points, 3), dtype=np.float32)
    mesh.point_data["k"] = rng.integers(0, 200, mesh.n_points).astype(np.uint16)
    mesh.cell_data["c"] = rng.random(mesh.n_cells)
    mesh.field_data["note"] = "hello"
    mesh.field_data["several"] = ["a", "b"]
    mesh.field_data["v"] = np.arange(6.0).reshape(2, 3)
    return mesh


MODES = ["Ascii", "Binary", "Appended"]
PACKERS = ["None", "ZLib", "LZMA"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("encode", [True, False])
@pytest.mark.parametrize("wide", [True, False])
def test_every_way_vtk_writes_xml(tmp_path, same, grid, mode, packer, encode, wide):
    path = str(tmp_path / "a.vtu")
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetFileName(path)
    writer.SetInputData(grid)
    getattr(writer, f"SetDataModeTo{mode}")()
    writer.SetEncodeAppendedData(encode)
    writer.SetCompressorTypeToNone() if packer == "None" else getattr(writer, f"SetCompressorTypeTo{packer}")()
    # Small blocks, so that there are several.
    writer.SetBlockSize(1024)
    (writer.SetHeaderTypeToUInt64 if wide else writer.SetHeaderTypeToUInt32)()
    assert writer.Write()
    same(as_mesh(grid), io.read(path))


def test_big_endian_and_unknown_packing(tmp_path, same, grid):
    path = str(tmp_path / "a.vtu")
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetFileName(path)
    writer.SetInputData(grid)
    writer.SetByteOrderToBigEndian()
    writer.Write()
    same(as_mesh(grid), io.read(path))
    writer.SetCompressorTypeToLZ4()
    writer.Write()
    with pytest.raises(ValueError, match="vtkLZ4DataCompressor are not supported; write the file with zlib"):
        io.read(path)


PIECE = """<Piece NumberOfPoints="3" NumberOfVerts="{v}" NumberOfLines="0" NumberOfStrips="0" NumberOfPolys="1">
<Points><DataArray type="Float64" NumberOfComponents="3">{p}</DataArray></Points>
<CellData><DataArray type="Int32" Name="id">{ids}</DataArray></CellData>
<PointData><DataArray type="Int32" Name="n">{n}</DataArray>
<Array type="String" Name="s">97 0 98 0 97 0</Array></PointData>
<Verts><DataArray type="Int32" Name="connectivity">{vn}</DataArray>
<DataArray type="Int32" Name="offsets">{vo}</DataArray></Verts>
<Polys><DataArray type="Int32" Name="connectivity">0 1 2</DataArray>
<DataArray type="Int32" Name="offsets">3</DataArray></Polys>
</Piece>"""


def test_pieces_are_joined(tmp_path):
    first = PIECE.format(v=1, p="0 0 1 1 0 1 0 1 1", ids="1 2", n="1 2 3", vn="2", vo="1")
    second = PIECE.format(v=0, p="5 0 1 6 0 1 5 1 1", ids="3", n="4 5 6", vn="", vo="")
    path = tmp_path / "a.vtp"
    path.write_text(f'<VTKFile type="PolyData" byte_order="LittleEndian"><PolyData>{first}{second}</PolyData></VTKFile>')
    found = io.read(path)
    assert found.cells.blocks()[0][1].tolist() == [[2]]
    assert found.cells.blocks()[1][1].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.cell_fields["id"].tolist() == [1, 2, 3]
    assert found.point_fields["n"].tolist() == [1, 2, 3, 4, 5, 6]
    assert found.point_fields["s"].tolist() == [0, 1, 0, 0, 1, 0]
    assert json.loads(found.global_fields["s_names"]) == ["a", "b"]


@pytest.mark.parametrize("make", ["image", "flat", "rectilinear", "structured"])
def test_lattices(tmp_path, same, make):
    if make == "image":
        data, suffix = pv.ImageData(dimensions=(3, 4, 5), spacing=(1, 2, 0.5), origin=(1, 2, 3)), ".vti"
    elif make == "flat":
        data, suffix = pv.ImageData(dimensions=(3, 4, 1)), ".vti"
    elif make == "rectilinear":
        data, suffix = pv.RectilinearGrid([0, 1, 3], [0.0, 2, 5], [1.0, 2]), ".vtr"
    else:
        x, y, z = np.meshgrid(np.arange(3.0), np.arange(4.0), np.arange(2.0), indexing="ij")
        data, suffix = pv.StructuredGrid(x + y / 4, y, z), ".vts"
    data.point_data["a"] = np.arange(data.n_points)
    data.cell_data["b"] = np.arange(data.n_cells, dtype=np.float32)
    path = tmp_path / f"a{suffix}"
    data.save(path)
    expected = as_mesh(data)
    same(expected, io.read(path))
    assert np.allclose(np.pad(expected.points.numpy(), ((0, 0), (0, 3 - expected.dim))), data.points)
    for binary in (True, False):
        data.save(tmp_path / "a.vtk", binary=binary)
        same(expected, io.read(tmp_path / "a.vtk"))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("version", [42, 51])
def test_legacy_files_of_vtk(tmp_path, same, grid, binary, version):
    path = str(tmp_path / "a.vtk")
    for data, writer in ((grid, vtk.vtkUnstructuredGridWriter()), (pv.Sphere(), vtk.vtkPolyDataWriter())):
        if version == 42 and data is grid:
            data = grid.copy()
            data.field_data.remove("several")
        writer.SetFileName(path)
        writer.SetInputData(data)
        writer.SetFileVersion(version)
        writer.SetFileTypeToBinary() if binary else writer.SetFileTypeToASCII()
        writer.Write()
        found, expected = io.read(path), as_mesh(data)
        assert list(found.point_fields) == list(expected.point_fields)
        if binary:
            same(expected, found)
        else:
            assert torch.allclose(found.points, expected.points, atol=1e-5)


def test_legacy_attributes(tmp_path):
    path = tmp_path / "a.vtk"
    path.write_text(
        "# vtk DataFile Version 3.0\ntitle\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n0 0 0 1 0 0\n0 1 0\n"
        "POLYGONS 1 4\n3 0 1 2\nPOINT_DATA 3\nSCALARS a%20b int\nLOOKUP_TABLE default\n1 2 3\n"
        "SCALARS pair float 2\n1 2 3 4 5 6\nVECTORS v double\n"
        "1 0 0 0 1 0 0 0 1\nTENSORS t float\n" + "1 2 3 4 5 6 7 8 9\n" * 3 + "NORMALS n float\n0 0 1 0 0 1 0 0 1\n"
        "TEXTURE_COORDINATES uv 2 float\n0 0 1 0 0 1\nCOLOR_SCALARS c 1\n0.5 1 0\nLOOKUP_TABLE table 1\n0 0 0 1\n"
        "METADATA\nINFORMATION 0\n\nFIELD more 2\nx 1 3 bit\n1 0 1\ns 1 3 string\na%20b\nc\na%20b\n"
        "CELL_DATA 1\nFIELD f 1\nw 2 1 unsigned_char\n7 8\n"
    )
    found = io.read(path)
    assert {n: tuple(v.shape) for n, v in found.point_fields.items()} == {
        "a b": (3,), "pair": (3, 2), "v": (3, 3), "t": (3, 9), "n": (3, 3), "uv": (3, 2), "c": (3,), "x": (3,),
        "s": (3,),
    }  # fmt: skip
    assert found.point_fields["a b"].dtype == torch.int32
    assert found.cell_fields["w"].tolist() == [[7, 8]]
    assert json.loads(found.global_fields["s_names"]) == ["a b", "c"]


GRID = "DATASET UNSTRUCTURED_GRID\nPOINTS 1 float\n0 0 0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GRID + "CELLS 1 3\n2 0 5\nCELL_TYPES 1\n3\n", "absent point 5"),
        (
            GRID + "CELLS 1 3\n1 0 0\nCELL_TYPES 1\n1\n",
            "the list of 1 cells is damaged",
        ),
        ("DATASET UNSTRUCTURED_GRID\nPOINTS 1 quaternion\n0 0 0\n", "not supported"),
        ("DATASET UNSTRUCTURED_GRID\nPOINTS 2 float\n0 0 0\n", "truncated"),
        (GRID + "NONSENSE 3\n", "'NONSENSE' is not known"),
        (GRID + "POINT_DATA 2\n", "POINT_DATA has 2 rows for 1 points"),
        (GRID + "POINT_DATA 1\nODD a 3\n", "attribute 'ODD'"),
        (GRID + "FIELD f 2\na 1 1 int\n3\n", "2 fields are announced"),
        ("DATASET UNSTRUCTURED_GRID\nPOINTS 0 float\n", "zero points"),
        ("DATASET TABLE\nPOINTS 1 float\n0 0 0\n", "kind TABLE are not supported"),
        ("DATASET STRUCTURED_GRID\nPOINTS 1 float\n0 0 0\n", "DIMENSIONS is missing"),
        ("DATASET STRUCTURED_GRID\nDIMENSIONS 2 1 1\nPOINTS 1 float\n0 0 0\n", "does not fit the number of points"),
    ],
)
def test_impossible_legacy_files(tmp_path, text, message):
    path = tmp_path / "a.vtk"
    path.write_text("# vtk DataFile Version 3.0\nt\nASCII\n" + text)
    with pytest.raises(ValueError, match=message):
        io.read(path)


def test_pyvista_surface(tmp_path, same):
    sphere = pv.Sphere()
    for suffix in (".vtp", ".vtk"):
        sphere.save(tmp_path / f"a{suffix}")
        same(as_mesh(sphere), io.read(tmp_path / f"a{suffix}"))
    for suffix in (".ply", ".stl"):
        for binary in (True, False):
            sphere.save(tmp_path / f"a{suffix}", binary=binary)
            found = io.read(tmp_path / f"a{suffix}")
            assert found.cells.counts() == {"triangle": sphere.n_cells}
            corners = found.points[found.cells.of_kind("triangle")].numpy()
            assert np.allclose(corners, sphere.points[sphere.regular_faces], atol=1e-5)


def test_multi_block(tmp_path, same):
    blocks = pv.MultiBlock(
        {"body": pv.Sphere(), "nested": pv.MultiBlock({"box": pv.ImageData(dimensions=(2, 2, 2))}), "none": None}
    )
    blocks["body"].cell_data["f"] = np.arange(blocks["body"].n_cells, dtype=float)
    blocks.save(tmp_path / "a.vtm")
    found = io.read(tmp_path / "a.vtm")
    assert json.loads(found.global_fields["block_names"]) == ["body", "nested/box"]
    assert found.cell_fields["block"].bincount().tolist() == [blocks["body"].n_cells, 1]
    assert found.cell_fields["f"][-1].isnan()
    same(as_mesh(blocks), found)
    # The joined mesh goes back into its blocks.
    io.write(tmp_path / "b.vtm", found)
    assert len(list((tmp_path / "b").iterdir())) == 2
    same(found, io.read(tmp_path / "b.vtm"))


def test_a_field_of_integers_missing_in_a_block_is_refused(tmp_path):
    blocks = pv.MultiBlock({"a": pv.Sphere(), "b": pv.Sphere()})
    blocks["a"].point_data["id"] = np.arange(blocks["a"].n_points)
    blocks.save(tmp_path / "a.vtm")
    with pytest.raises(ValueError, match=r"'id' of torch.int64 is missing in block 'b'"):
        io.read(tmp_path / "a.vtm")


PLY = """ply
format ascii 1.0
comment made by hand
obj_info nothing
element vertex 4
property float x
property float y
property float z
property uchar red
property float n_0
property float n_1
element face 2
property list uchar int vertex_index
property int region
element edge 1
property int vertex1
property int vertex2
end_header
0 0 1 255 1 2
1 0 1 0 3 4
1 1 1 1 5 6
0 1 1 2 7 8
3 0 1 2 5
4 0 1 2 3 6
0 1
"""


def test_ply_by_hand(tmp_path):
    (tmp_path / "a.ply").write_text(PLY)
    found = io.read(tmp_path / "a.ply")
    assert found.cells.counts() == {"triangle": 1, "quad": 1}
    assert found.point_fields["red"].dtype == torch.uint8
    assert found.point_fields["n"].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert found.cell_fields["region"].tolist() == [5, 6]


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_of_trimesh(tmp_path, encoding):
    box = trimesh.creation.box()
    box.vertex_attributes["heat"] = np.arange(8, dtype=np.float32)
    (tmp_path / "a.ply").write_bytes(trimesh.exchange.ply.export_ply(box, encoding=encoding))
    found = io.read(tmp_path / "a.ply")
    assert found.cells.of_kind("triangle").tolist() == box.faces.tolist()
    assert torch.equal(found.point_fields["heat"], torch.arange(8.0))


def test_big_endian_ply_with_mixed_faces(tmp_path):
    head = "ply\nformat binary_big_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\nelement face 2\n"
    head += "property list uchar int vertex_indices\nproperty float q\nend_header\n"
    points = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], ">f8").tobytes()
    faces = b"\x03" + np.array([0, 1, 2], ">i4").tobytes() + np.array([1.5], ">f4").tobytes()
    faces += b"\x04" + np.array([0, 1, 2, 3], ">i4").tobytes() + np.array([2.5], ">f4").tobytes()
    (tmp_path / "a.ply").write_bytes(head.encode() + points + faces)
    found = io.read(tmp_path / "a.ply")
    assert found.dim == 2
    assert found.cells.counts() == {"triangle": 1, "quad": 1}
    assert found.cell_fields["q"].tolist() == [1.5, 2.5]
    (tmp_path / "a.ply").write_bytes(head.encode() + points + faces[:-3])
    with pytest.raises(ValueError, match="truncated in element 'face', row 1 of 2"):
        io.read(tmp_path / "a.ply")


OBJ = """# comment
mtllib x.mtl
o thing
v 0 0 0 1 0 0
v 1 0 0 0 1 0
v 1 1 0 0 0 1
v 0 1 0 1 1 1
vt 0 0
vn 0 0 1
usemtl steel
f 1/1/1 2/1/1 3//1
g other
usemtl tin
f -4 -3 \\
-2 -1
l 1 2 3
l 1 2
p 4
p 1 2
f 1 2 3 4 1
"""


def test_obj_groups_negative_numbers_and_continuation(tmp_path):
    (tmp_path / "a.obj").write_text(OBJ)
    found = io.read(tmp_path / "a.obj")
    names = [name for name, _ in found.cells.blocks()]
    assert names == ["triangle", "quad", "poly_line", "line", "vertex", "poly_vertex", "polygon"]
    assert found.cells.blocks()[1][1].tolist() == [[0, 1, 2, 3]]
    assert found.cell_fields["group"].tolist() == [0, 1, 1, 1, 1, 1, 1]
    assert json.loads(found.global_fields["group_names"]) == ["thing", "other"]
    assert json.loads(found.global_fields["material_names"]) == ["steel", "tin"]
    assert found.point_fields["color"].tolist()[3] == [1, 1, 1]


def test_off_with_colours(tmp_path):
    (tmp_path / "a.off").write_text("COFF 3 1 0\n# c\n0 0 1 255 0 0\n1 0 1 0 255 0\n0 1 1 0 0 255\n3 0 1 2 1.0 0.5 0\n")
    found = io.read(tmp_path / "a.off")
    assert found.point_fields["color"].shape == (3, 3)
    assert found.cell_fields["color"].tolist() == [[1.0, 0.5, 0.0]]


@pytest.fixture(scope="module")
def gmsh_files(tmp_path_factory):
    gmsh = pytest.importorskip("gmsh")
    folder = tmp_path_factory.mktemp("gmsh")
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.occ.addRectangle(0, 0, 0, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.model.addPhysicalGroup(1, [1], 7, "bottom edge")
    gmsh.model.addPhysicalGroup(2, [1], 3, "plate")
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.4)
    gmsh.model.mesh.generate(2)
    for version in (2.2, 4.1):
        for binary in (0, 1):
            gmsh.option.setNumber("Mesh.MshFileVersion", version)
            gmsh.option.setNumber("Mesh.Binary", binary)
            gmsh.write(str(folder / f"{version}_{binary}.msh"))
    gmsh.finalize()
    return folder


@pytest.mark.parametrize("version", ["2.2", "4.1"])
@pytest.mark.parametrize("binary", [0, 1])
def test_msh_of_gmsh(gmsh_files, tmp_path, same, version, binary):
    found = io.read(gmsh_files / f"{version}_{binary}.msh")
    assert found.dim == 2
    counts = found.cells.counts()
    assert set(counts) == {"line", "triangle"}
    assert found.points[found.cells.of_kind("line")][..., 1].abs().max() == 0
    tags = found.cell_fields["gmsh:physical"]
    assert tags[found.cells.kinds == 3].unique().tolist() == [7]
    assert tags[found.cells.kinds == 5].unique().tolist() == [3]
    assert found.global_fields["bottom edge"].tolist() == [7, 1]
    io.write(tmp_path / "again.msh", found)
    same(found, io.read(tmp_path / "again.msh"))


def test_gmsh_reads_what_geoops_writes(tmp_path, shapes):
    gmsh = pytest.importorskip("gmsh")
    io.write(tmp_path / "a.msh", shapes["tets"])
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.open(str(tmp_path / "a.msh"))
    try:
        _, at, _ = gmsh.model.mesh.getNodes()
        assert np.allclose(at.reshape(-1, 3), shapes["tets"].points)
        kinds, _, nodes = gmsh.model.mesh.getElements()
        assert kinds.tolist() == [4]
        assert (nodes[0].reshape(-1, 4) - 1).tolist() == shapes["tets"].cells.of_kind("tetra").tolist()
        assert len(gmsh.view.getTags()) == 2 * len(shapes["tets"].point_fields)
    finally:
        gmsh.finalize()


MSH = """$Comments
x
$EndComments
$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
3
10 0 0 0
20 1 0 0
5 0 1 0
$EndNodes
$Elements
2
4 15 0 10
9 2 3 1 2 0 10 20 5
$EndElements
$NodeData
1
"T"
1
0.0
3
0
1
2
20 3.5
5 4.5
$EndNodeData
$ElementData
1
"E"
1
0
3
0
1
2
9 2
4 1
$EndElementData
"""


def test_msh_text_with_sparse_numbers_and_partial_data(tmp_path):
    (tmp_path / "a.msh").write_text(MSH)
    found = io.read(tmp_path / "a.msh")
    assert found.cells.blocks()[1][1].tolist() == [[0, 1, 2]]
    assert found.point_fields["T"][0].isnan()
    assert found.point_fields["T"][1:].tolist() == [3.5, 4.5]
    assert found.cell_fields["E"].tolist() == [1, 2]
    assert found.cell_fields["gmsh:physical"].tolist() == [0, 1]


@pytest.mark.parametrize("form", ["XML", "HDF", "Binary"])
def test_xdmf_of_meshio(tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).random((5, 3))
    cells = [("triangle", np.array([[0, 1, 2], [1, 2, 3]])), ("quad", np.array([[0, 1, 2, 4]]))]
    data = meshio.Mesh(points, cells, {"u": points * 2}, {"c": [np.array([1, 2]), np.array([3])]})
    meshio.xdmf.write("a.xdmf", data, data_format=form)
    found = io.read("a.xdmf")
    assert torch.equal(found.points, torch.from_numpy(points))
    assert found.cells.counts() == {"triangle": 2, "quad": 1}
    assert torch.equal(found.point_fields["u"], torch.from_numpy(points * 2))
    assert found.cell_fields["c"].tolist() == [1, 2, 3]
    one = meshio.Mesh(points, cells[:1])
    meshio.xdmf.write("b.xdmf", one, data_format=form)
    assert io.read("b.xdmf").cells.of_kind("triangle").tolist() == cells[0][1].tolist()


def test_xdmf_series_takes_the_last_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).random((4, 3))
    with meshio.xdmf.TimeSeriesWriter("a.xdmf") as writer:
        writer.write_points_cells(points, [("tetra", np.array([[0, 1, 2, 3]]))])
        for time in (0.0, 0.5, 1.5):
            writer.write_data(time, point_data={"t": np.full(4, time)})
    found = io.read("a.xdmf")
    assert found.cells.counts() == {"tetra": 1}
    assert found.point_fields["t"].tolist() == [1.5] * 4
    (tmp_path / "a.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"refers to a\.h5"):
        io.read("a.xdmf")


XDMF = """<Grid Name="{}"><Topology TopologyType="Mixed">
<DataItem Dimensions="9" NumberType="Int" Format="XML">3 3 0 1 2 2 2 0 1</DataItem></Topology>
<Geometry GeometryType="X_Y">
<DataItem Dimensions="3">0 1 0</DataItem><DataItem Dimensions="3">0 0 1</DataItem></Geometry>
<Attribute Name="g" Center="Grid">
<DataItem Dimensions="1" NumberType="Char" Format="XML">4</DataItem></Attribute></Grid>"""


def test_xdmf_by_hand(tmp_path):
    grids = XDMF.format("a") + XDMF.format("b")
    text = f'<Xdmf Version="2.0"><Domain><Grid GridType="Collection">{grids}</Grid></Domain></Xdmf>'
    (tmp_path / "a.xdmf").write_text(text)
    found = io.read(tmp_path / "a.xdmf")
    assert found.dim == 2
    assert len(found.points) == 6
    assert found.cells.counts() == {"line": 2, "polygon": 2}
    assert json.loads(found.global_fields["block_names"]) == ["a", "b"]
    assert found.global_fields["g"].tolist() == [4]


def test_pyvista_reads_what_geoops_writes(tmp_path, shapes):
    for name in ("mixed", "tets", "cloud"):
        for suffix in (".vtu", ".vtk"):
            io.write(tmp_path / f"a{suffix}", shapes[name])
            data = pv.read(tmp_path / f"a{suffix}")
            assert np.allclose(data.point_data["displacement"], shapes[name].point_fields["displacement"])
            assert data.field_data["note"] == shapes[name].global_fields["note"]
    io.write(tmp_path / "a.ply", shapes["surface"])
    assert pv.read(tmp_path / "a.ply").n_cells == 3
    assert len(trimesh.load(tmp_path / "a.ply", process=False).faces) == 3
    io.write(tmp_path / "a.xdmf", Mesh(shapes["tets"].points, shapes["tets"].cells, {"u": shapes["tets"].point_fields["x"]}))
    vtk_reader = vtk.vtkXdmf3Reader() if hasattr(vtk, "vtkXdmf3Reader") else None
    assert vtk_reader is None or vtk_reader.CanReadFile(str(tmp_path / "a.xdmf"))


def test_a_cloud_of_vertices_without_cell_fields_is_a_cloud(tmp_path):
    data = pv.PolyData(np.random.default_rng(0).random((5, 3)))
    data.save(tmp_path / "a.vtp")
    assert isinstance(io.read(tmp_path / "a.vtp"), PointCloud)
    data.cell_data["c"] = np.arange(5)
    data.save(tmp_path / "a.vtp")
    assert isinstance(io.read(tmp_path / "a.vtp"), Mesh)
    assert Cells.empty().counts() == {}


@pytest.mark.parametrize("name", ["2.2_0", "2.2_1", "4.1_0", "4.1_1"])
def test_truncated_files_of_gmsh(gmsh_files, tmp_path, name, capfd):
    whole = (gmsh_files / f"{name}.msh").read_bytes()
    for part in range(1, 24):
        (tmp_path / "a.msh").write_bytes(whole[: len(whole) * part // 24])
        with pytest.raises(ValueError, match=r"a\.msh"):
            io.read(tmp_path / "a.msh")
    assert capfd.readouterr().err == ""
