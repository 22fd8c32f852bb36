"""Other libraries' objects in, the same objects out, and nothing lost."""

import json

import meshio
import numpy as np
import pytest
import pyvista as pv
import torch
import trimesh
from torch_geometric.data import Batch, Data

from geoops.geometry import Cells, Mesh, PointCloud, as_mesh, like

FIELDS = {
    "u": torch.rand(9, 2),
    "kind": torch.arange(9, dtype=torch.uint8),
    "x": torch.rand(9, dtype=torch.float64),
    "column": torch.rand(9, 1),
    "tensor": torch.rand(9, 3, 3),
    "mask": torch.arange(9) > 4,
    "half": torch.rand(9).half(),
    "brain": torch.rand(9).bfloat16(),
    "wave": torch.rand(9, 2, dtype=torch.complex128),
    "pos": torch.rand(9),
}
GLOBALS = {
    "note": "Grüße\n",
    "load": torch.tensor(2.5),
    "table": torch.arange(4).reshape(2, 2),
    "row": torch.ones(1, 3),
}
UNITS = {"points": "mm", "u": "m", "load": "N"}
BLOCKS = [
    ("quad", torch.tensor([[4, 3, 5, 6]])),
    ("triangle", torch.tensor([[0, 1, 2], [2, 1, 3]])),
    ("polygon", torch.arange(5)[None]),
    ("triangle6", torch.arange(6)[None]),
    ("quad", torch.tensor([[6, 5, 7, 8]])),
]


def example(blocks=BLOCKS, dim=2, dtype=torch.float32) -> Mesh:
    cells = Cells.from_blocks(blocks)
    own = {"c": torch.arange(len(cells), dtype=torch.int16), "u": torch.rand(len(cells), 3)}
    return Mesh(torch.rand(9, dim, dtype=dtype), cells, FIELDS, own, GLOBALS, UNITS)


TRIANGLES = [("triangle", torch.tensor([[0, 1, 2], [2, 1, 3], [6, 7, 8]]))]
SOLIDS = [("wedge", torch.arange(6)[None]), ("hexahedron", torch.arange(8)[None]), ("tetra", torch.arange(4)[None])]


@pytest.mark.parametrize("library", ["pyvista", "meshio", "data"])
@pytest.mark.parametrize(("blocks", "dim"), [(BLOCKS, 2), (BLOCKS, 3), (TRIANGLES, 2), (SOLIDS, 3), ([], 2)])
def test_meshes_there_and_back(same, library, blocks, dim):
    if not blocks and library == "meshio":
        pytest.skip("meshio keeps fields of cells by block, and without blocks it has no place for them")
    mesh = example(blocks, dim, torch.float64 if dim == 3 else torch.float32)
    there = getattr(mesh, f"to_{library}")()
    same(mesh, getattr(Mesh, f"from_{library}")(there))
    same(mesh, as_mesh(there))
    again = like(there, mesh.with_fields(points={"new": torch.ones(9)}, units={"new": "K"}))
    assert type(again) is type(there)
    found = getattr(Mesh, f"from_{library}")(again)
    assert found.units["new"] == "K"
    assert list(found.point_fields) == [*FIELDS, "new"]


@pytest.mark.parametrize("dim", [2, 3])
def test_trimesh_there_and_back(same, dim):
    mesh = example(TRIANGLES, dim)
    there = mesh.to_trimesh()
    assert len(there.vertices) == 9
    same(mesh, Mesh.from_trimesh(there))
    same(mesh, as_mesh(there))
    found = as_mesh(like(there, mesh.with_fields(points={"new": torch.ones(9)})))
    assert list(found.point_fields) == [*FIELDS, "new"]
    with pytest.raises(ValueError, match="trimesh holds triangles only, the mesh has 1 polygon, 2 quad, 1 triangle6 cells"):
        example().to_trimesh()


@pytest.mark.parametrize("library", ["pyvista", "meshio", "data", "trimesh"])
@pytest.mark.parametrize("dim", [2, 3])
def test_clouds_there_and_back(same, library, dim):
    cloud = PointCloud(torch.rand(9, dim), FIELDS, GLOBALS, UNITS)
    there = getattr(cloud, f"to_{library}")()
    same(cloud, getattr(PointCloud, f"from_{library}")(there))
    same(cloud, as_mesh(there))
    found = as_mesh(like(there, cloud.with_fields(points={"new": torch.ones(9)})))
    assert isinstance(found, PointCloud)
    assert list(found.point_fields) == [*FIELDS, "new"]


def test_meshes_are_no_clouds():
    mesh = example(TRIANGLES)
    for library in ("pyvista", "meshio", "data", "trimesh"):
        with pytest.raises(ValueError, match=f"has 3 cells; use Mesh.from_{'data' if library == 'data' else library}|has 3 cells"):
            getattr(PointCloud, f"from_{library}")(getattr(mesh, f"to_{library}")())


def test_geoops_objects_pass_through():
    mesh = example()
    assert as_mesh(mesh) is mesh
    assert like(mesh.to_cloud(), mesh) is mesh


def test_unknown_objects():
    with pytest.raises(TypeError, match=r"cannot make a mesh of a builtins.str.*pyvista.*geoops.io.read"):
        as_mesh("file.vtu")
    with pytest.raises(TypeError, match="cannot make a mesh"):
        like(np.zeros(3), example())
    table = pv.Table({"a": np.arange(3)})
    with pytest.raises(TypeError, match="expected a VTK data set with points, got vtkTable"):
        as_mesh(table)
    with pytest.raises(ValueError, match="zero points"):
        as_mesh(pv.PolyData())


def predicted(mesh):
    return mesh.with_fields(points={"p": torch.arange(len(mesh), dtype=torch.float64)}, units={"p": "Pa"})


@pytest.mark.parametrize("make", ["image", "structured", "rectilinear", "surface", "strips", "points", "grid"])
def test_pyvista_keeps_its_kind(make):
    x, y = np.meshgrid(np.arange(3.0), np.arange(4.0))
    data = {
        "image": lambda: pv.ImageData(dimensions=(3, 4, 2), spacing=(1, 2, 3)),
        "structured": lambda: pv.StructuredGrid(x, y, x * y),
        "rectilinear": lambda: pv.RectilinearGrid([0, 1, 3], [0.0, 1], [0.0, 1]),
        "surface": lambda: pv.Sphere(),
        "strips": lambda: pv.Sphere().strip(),
        "points": lambda: pv.PolyData(np.random.default_rng(0).random((5, 3))),
        "grid": lambda: pv.ImageData(dimensions=(3, 3, 3)).cast_to_unstructured_grid(),
    }[make]()
    data.point_data["a"] = np.arange(data.n_points, dtype=np.int16)
    data.cell_data["b"] = np.arange(data.n_cells) * 0.5
    data.field_data["text"] = ["one", "two"]
    data.point_data["label"] = np.array(["x", "y"] * data.n_points)[: data.n_points]
    mesh = as_mesh(data)
    assert len(mesh.points) == data.n_points
    if isinstance(mesh, Mesh):
        assert len(mesh.cells) == data.n_cells
    assert json.loads(mesh.global_fields["text"]) == ["one", "two"]
    assert json.loads(mesh.global_fields["label_names"]) == ["x", "y"]
    found = like(data, predicted(mesh))
    assert type(found) is type(data)
    assert found.n_cells == data.n_cells
    assert np.array_equal(found.points, data.points)
    assert found.bounds == data.bounds
    assert found.point_data["p"].tolist() == list(range(data.n_points))
    assert found.point_data["a"].dtype == np.int16
    assert np.array_equal(found.point_data["label"], data.point_data["label"])
    assert np.array_equal(found.cell_data["b"], data.cell_data["b"])
    assert list(found.field_data["text"]) == ["one", "two"]
    assert "label_names" not in found.field_data
    assert as_mesh(found).units == {"p": "Pa"}
    if hasattr(data, "dimensions"):
        assert found.dimensions == data.dimensions
    assert "p" not in data.point_data


def test_moved_points_come_back_moved():
    sphere = pv.Sphere()
    mesh = as_mesh(sphere)
    moved = Mesh(mesh.points + 1, mesh.cells, mesh.point_fields, mesh.cell_fields, mesh.global_fields, mesh.units)
    assert np.allclose(like(sphere, moved).points, sphere.points + 1)
    box = trimesh.creation.box()
    there = as_mesh(box)
    moved = Mesh(there.points + 1, there.cells)
    assert np.allclose(like(box, moved).vertices, box.vertices + 1)


def test_other_sizes_give_the_nearest_type(same):
    other = example(TRIANGLES, 3)
    assert isinstance(like(pv.Sphere(), other), pv.PolyData)
    assert isinstance(like(pv.ImageData(dimensions=(2, 2, 2)), other), pv.UnstructuredGrid)
    assert isinstance(like(pv.Sphere(), example(SOLIDS, 3)), pv.UnstructuredGrid)
    assert isinstance(like(trimesh.creation.box(), other), trimesh.Trimesh)
    assert isinstance(like(example(SOLIDS, 3).to_meshio(), other), meshio.Mesh)
    for made in (like(pv.Sphere(), other), like(trimesh.creation.box(), other)):
        same(other, as_mesh(made))


def test_plain_vtk_objects_work_too(same):
    import vtk

    source = vtk.vtkSphereSource()
    source.Update()
    data = source.GetOutput()
    mesh = as_mesh(data)
    found = like(data, predicted(mesh))
    assert type(found) is type(data)
    assert found.GetPointData().HasArray("p")
    assert like(data, example(TRIANGLES)).GetNumberOfPoints() == 9


def test_surfaces_with_cells_in_any_order(same):
    blocks = [
        ("polygon", torch.arange(4)[None]),
        ("vertex", torch.tensor([[8]])),
        ("triangle", torch.tensor([[0, 1, 2]])),
        ("line", torch.tensor([[1, 5]])),
        ("triangle_strip", torch.arange(4)[None]),
        ("poly_line", torch.tensor([[1, 2]])),
    ]
    mesh = example(blocks)
    poly = like(pv.Sphere(), mesh)
    assert isinstance(poly, pv.PolyData)
    assert (poly.n_verts, poly.n_lines, poly.n_strips) == (1, 2, 1)
    same(mesh, as_mesh(poly))


def test_blocks_are_joined_and_parted():
    blocks = pv.MultiBlock({"a": pv.Sphere(), "b": pv.ImageData(dimensions=(2, 2, 2)), "gap": None})
    blocks["a"].point_data["t"] = np.arange(blocks["a"].n_points, dtype=float)
    blocks["b"].point_data["t"] = np.arange(8.0)
    mesh = as_mesh(blocks)
    assert isinstance(mesh, Mesh)
    assert len(mesh.points) == blocks["a"].n_points + 8
    assert json.loads(mesh.global_fields["block_names"]) == ["a", "b"]
    found = like(blocks, predicted(mesh))
    assert isinstance(found, pv.MultiBlock)
    assert found.keys() == ["a", "b", "gap"]
    assert isinstance(found["b"], pv.ImageData)
    assert found["b"].point_data["p"].tolist() == list(range(len(mesh) - 8, len(mesh)))
    assert "block" not in found["a"].cell_data
    with pytest.raises(ValueError, match="zero points in its blocks"):
        as_mesh(pv.MultiBlock())
    different = pv.MultiBlock({"a": pv.Sphere(), "b": pv.Sphere()})
    different["a"].point_data["t"] = np.zeros((different["a"].n_points, 2))
    different["b"].point_data["t"] = np.zeros(different["b"].n_points)
    with pytest.raises(ValueError, match=r"'t' has shape .* in block 'b', unlike other blocks"):
        as_mesh(different)


def test_partitioned_data():
    import vtk

    parts = vtk.vtkPartitionedDataSetCollection()
    parts.SetPartition(0, 0, pv.Sphere())
    cube = pv.Cube()
    cube.cell_data.clear()
    cube.point_data.clear()
    parts.SetPartition(1, 0, cube)
    assert len(as_mesh(parts).points) == pv.Sphere().n_points + cube.n_points


def test_meshio_keeps_blocks_and_sets():
    points = np.random.default_rng(0).random((5, 3))
    cells = [
        ("triangle", np.array([[0, 1, 2]])),
        ("triangle", np.array([[1, 2, 3], [2, 3, 4]])),
        ("wedge", np.array([[0, 1, 2, 3, 4, 0]])),
    ]
    data = meshio.Mesh(
        points,
        cells,
        point_data={"a": np.arange(5)},
        cell_data={"c": [np.array([1.0]), np.array([2.0, 3]), np.array([4.0])]},
        field_data={"part": np.array([1, 2])},
        point_sets={"left": np.array([0, 3])},
        cell_sets={"some": [np.array([0]), None, np.array([], dtype=int)], "a": [None, [1], None]},
        info={"mine": 1},
    )
    mesh = as_mesh(data)
    assert mesh.point_fields["left"].tolist() == [True, False, False, True, False]
    assert mesh.cell_fields["some"].tolist() == [True, False, False, False]
    assert mesh.global_fields["part"].tolist() == [1, 2]
    # VTK and gmsh turn the first triangle of a wedge differently.
    assert mesh.cells.of_kind("wedge").tolist() == [[0, 2, 1, 3, 0, 4]]
    found = like(data, predicted(mesh))
    assert [(b.type, len(b.data)) for b in found.cells] == [("triangle", 1), ("triangle", 2), ("wedge", 1)]
    assert all(np.array_equal(a.data, b.data) for a, b in zip(data.cells, found.cells, strict=True))
    assert list(found.point_data) == ["a", "p"]
    assert list(found.cell_data) == ["c"]
    assert found.point_sets.keys() == {"left"}
    assert found.info["mine"] == 1
    assert np.array_equal(found.points, points)


def test_meshio_texts_integers_and_odd_kinds():
    data = meshio.Mesh(
        np.array([[0, 0], [1, 0]]), [("line", np.array([[0, 1]]))], field_data={"s": "text", "t": np.array(["a", "b"])}
    )
    mesh = as_mesh(data)
    assert mesh.points.dtype == torch.float64
    assert mesh.global_fields == {"s": "text", "t": '["a", "b"]'}
    with pytest.raises(ValueError, match="'triangle10' are not supported"):
        as_mesh(meshio.Mesh(np.zeros((10, 3)), [("triangle10", np.arange(10)[None])]))
    with pytest.raises(ValueError, match="meshio has no cells of kind triangle_strip"):
        example([("triangle_strip", torch.arange(4)[None])]).to_meshio()
    with pytest.raises(TypeError, match="point field 'o' holds object values"):
        as_mesh(meshio.Mesh(np.zeros((1, 2)), [], {"o": np.array([object()])}))


def test_trimesh_colours_textures_and_scenes():
    box = trimesh.creation.box()
    box.visual.vertex_colors = np.tile([10, 20, 30, 255], (8, 1)).astype(np.uint8)
    assert as_mesh(box).point_fields["vertex_colors"].dtype == torch.uint8
    box = trimesh.creation.box()
    box.visual.face_colors = np.tile([10, 20, 30, 255], (12, 1)).astype(np.uint8)
    assert as_mesh(box).cell_fields["face_colors"].shape == (12, 4)
    box.visual = trimesh.visual.TextureVisuals(uv=np.zeros((8, 2)))
    assert as_mesh(box).point_fields["uv"].shape == (8, 2)
    cloud = trimesh.PointCloud(np.random.default_rng(0).random((4, 3)), colors=np.full((4, 4), 7, dtype=np.uint8))
    assert as_mesh(cloud).point_fields["vertex_colors"].shape == (4, 4)
    scene = trimesh.Scene({"one": trimesh.creation.box(), "two": trimesh.creation.box()})
    scene.graph.update("two", matrix=trimesh.transformations.translation_matrix([5, 0, 0]))
    mesh = as_mesh(scene)
    assert len(mesh.points) == 16
    assert mesh.points[8:, 0].mean().item() == pytest.approx(5)
    assert json.loads(mesh.global_fields["block_names"]) == ["one", "two"]
    with pytest.raises(ValueError, match="scene is empty"):
        as_mesh(trimesh.Scene())


def test_trimesh_copies_keep_what_is_not_geometry():
    box = trimesh.creation.box()
    box.metadata["mine"] = 3
    box.visual.face_colors = [255, 0, 0, 255]
    found = like(box, predicted(as_mesh(box)))
    assert found.metadata["mine"] == 3
    assert found.visual.kind == "face"
    assert found.vertex_attributes["p"].tolist() == list(range(8))
    assert "p" not in box.vertex_attributes


def test_data_from_elsewhere():
    data = Data(pos=torch.rand(4, 3), face=torch.tensor([[0, 1], [1, 2], [2, 3]]), x=torch.rand(4, 2), y=torch.rand(1, 5))
    data.edge_index, data.edge_attr = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), torch.rand(4, 1)
    data.name, data.step, data.days = "thing", 3, [1.0, 2.0]
    mesh = as_mesh(data)
    assert mesh.cells.of_kind("triangle").tolist() == [[0, 1, 2], [1, 2, 3]]
    assert list(mesh.point_fields) == ["x"]
    assert set(mesh.global_fields) == {"y", "name", "step", "edge_index", "edge_attr", "days"}
    found = like(data, predicted(mesh))
    assert isinstance(found, Data)
    assert torch.equal(found.p, torch.arange(4, dtype=torch.float64))
    assert torch.equal(found.face, data.face)
    assert "p" not in data
    assert isinstance(as_mesh(Data(pos=torch.rand(4, 3))), PointCloud)
    tets = as_mesh(Data(pos=torch.rand(4, 3), face=torch.tensor([[0], [1], [2], [3]])))
    assert tets.cells.counts() == {"tetra": 1}


def test_data_of_geoops_batches():
    meshes = [example(TRIANGLES) for _ in range(3)]
    batch = Batch.from_data_list([m.to_data() for m in meshes])
    assert batch.num_graphs == 3
    assert batch.u.shape == (27, 2)
    assert batch.face.max() == 26


def test_data_added_to_later(same):
    mesh = example()
    data = mesh.to_data()
    data.extra = torch.rand(9)
    found = as_mesh(data)
    assert list(found.point_fields) == [*FIELDS, "extra"]
    del data["extra"]
    del data["u"]
    assert "u" not in as_mesh(data).point_fields


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (Data(x=torch.rand(3, 1)), ValueError, r"no pos \(coordinates\); it has \['x'\]"),
        (Data(pos=torch.zeros(3, 2, dtype=torch.int64)), TypeError, "pos must be float32 or float64"),
        (
            Data(pos=torch.rand(5, 3), face=torch.zeros(5, 1, dtype=torch.int64)),
            ValueError,
            r"face must have shape \(3, m\) or \(4, m\)",
        ),
        (Data(pos=torch.rand(5, 3), thing={"a": 1}), TypeError, "attribute 'thing' of the Data object is a dict"),
    ],
)
def test_impossible_data(data, error, message):
    with pytest.raises(error, match=message):
        as_mesh(data)


def test_damaged_notes():
    data = example().to_pyvista()
    data.field_data["geoops:notes"] = "no json"
    with pytest.raises(ValueError, match="'geoops:notes' is damaged"):
        as_mesh(data)
