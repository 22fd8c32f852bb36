"""What goes into a file comes back."""

import dataclasses

import pytest
import torch

from geoops import io
from geoops.geometry import Cells, Mesh, PointCloud

ALL = ["triangles", "mixed", "polygons", "tets", "solids", "surface", "quadratic", "lines", "cloud", "flat_cloud"]
HOLDS = {
    ".vtu": ALL,
    ".vtk": ALL,
    ".vtm": ALL,
    ".vtp": ["triangles", "mixed", "polygons", "surface", "lines", "cloud", "flat_cloud"],
    ".ply": ["triangles", "mixed", "polygons", "surface", "cloud", "flat_cloud"],
    ".msh": ["triangles", "mixed", "tets", "solids", "surface", "quadratic", "lines", "cloud", "flat_cloud"],
    ".xdmf": ALL,
}
GEOMETRY = {
    ".obj": ["triangles", "mixed", "polygons", "surface", "lines", "cloud", "flat_cloud"],
    ".off": ["triangles", "mixed", "polygons", "surface", "cloud", "flat_cloud"],
}


@pytest.mark.parametrize(("suffix", "name"), [(s, n) for s, names in HOLDS.items() for n in names])
def test_nothing_is_lost(tmp_path, shapes, same, suffix, name):
    path = tmp_path / f"shape{suffix}"
    io.write(path, shapes[name])
    same(shapes[name], io.read(path))


@pytest.mark.parametrize("suffix", [".vtu", ".vtp", ".vtk", ".vtm", ".xdmf"])
def test_large_integers_and_odd_dtypes_survive_where_the_format_has_them(tmp_path, same, suffix):
    fields = {
        "big": torch.tensor([2**62 + 1, -(2**62) - 1, 3]),
        "unsigned": torch.tensor([0, 1, 2**63 + 11], dtype=torch.uint64),
        "bf": torch.tensor([1.5, 2.5, -3.0], dtype=torch.bfloat16),
        "wave": torch.tensor([1 + 2j, 3j, 4], dtype=torch.complex64),
        "not a number": torch.tensor([0.0, torch.inf, 1.0]),
    }
    cloud = PointCloud(torch.rand(3, 2, dtype=torch.float64), fields)
    io.write(tmp_path / f"a{suffix}", cloud)
    same(cloud, io.read(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", [".ply", ".msh"])
def test_integers_that_do_not_fit_are_refused(tmp_path, suffix):
    cloud = PointCloud(torch.rand(2, 2), {"big": torch.tensor([2**62 + 1, 3])})
    with pytest.raises(ValueError, match=r"'big'.*2\^53"):
        io.write(tmp_path / f"a{suffix}", cloud)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "name"), [(s, n) for s, names in GEOMETRY.items() for n in names])
def test_text_formats_keep_geometry_exactly_as_float64(tmp_path, shapes, same, suffix, name):
    path = tmp_path / f"shape{suffix}"
    io.write(path, shapes[name], lossy=True)
    shape, found = shapes[name], io.read(path)
    if suffix == ".off" and name == "polygons":
        # A polygon with four corners is a quadrilateral there.
        assert found.cells.counts() == {"triangle": 3, "polygon": 1, "quad": 1}
        return
    bare = PointCloud(shape.points) if isinstance(shape, PointCloud) else Mesh(shape.points, shape.cells)
    if suffix == ".obj" and name == "polygons":
        assert found.cells.counts() == {"triangle": 3, "polygon": 1, "quad": 1}
        return
    same(bare, found, points_dtype=False)
    assert found.points.dtype == torch.float64


def test_stl_keeps_triangles_in_float32(tmp_path, shapes):
    shape = shapes["surface"]
    io.write(tmp_path / "a.stl", shape, lossy=True)
    found = io.read(tmp_path / "a.stl")
    assert found.points.dtype == torch.float32
    corners = shape.points[shape.cells.of_kind("triangle")].float()
    assert torch.equal(found.points[found.cells.of_kind("triangle")], corners)
    # Points are shared again, numbered by first use.
    assert len(found.points) == 5
    assert found.cells.connectivity[:3].tolist() == [0, 1, 2]


def test_ascii_stl(tmp_path):
    vertices = "".join(f"   vertex {at}\n" for at in ("0 0 1", "1 0 1", "0 1e0 1"))
    facet = f" facet normal 0 0 1\n  outer loop\n{vertices}  endloop\n endfacet\n"
    (tmp_path / "a.stl").write_text(f"solid a\n{facet}endsolid a\n")
    mesh = io.read(tmp_path / "a.stl")
    assert mesh.points.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("suffix", [".stl", ".obj", ".off"])
def test_losing_fields_needs_consent(tmp_path, shapes, suffix):
    with pytest.raises(ValueError, match=r"would lose point field 'von_mises'.*unit of 'points'.*lossy=True"):
        io.write(tmp_path / f"a{suffix}", shapes["triangles"])
    assert not list(tmp_path.iterdir())
    io.write(tmp_path / f"a{suffix}", shapes["triangles"], lossy=True)
    assert io.read(tmp_path / f"a{suffix}").cells.counts() == {"triangle": 3}


@pytest.mark.parametrize("suffix", [".stl", ".off", ".ply", ".vtp", ".obj"])
def test_cells_that_do_not_fit_are_listed(tmp_path, shapes, suffix):
    with pytest.raises(ValueError, match="3 tetra cells"):
        io.write(tmp_path / f"a{suffix}", shapes["tets"])
    with pytest.raises(ValueError, match="none of these"):
        io.write(tmp_path / f"a{suffix}", shapes["tets"], lossy=True)
    assert not list(tmp_path.iterdir())


def test_lossy_drops_only_what_does_not_fit(tmp_path, shapes, same):
    shape = shapes["lines"]
    kept = shape.cells.kinds == 5
    expected = dataclasses.replace(
        shape, cells=shape.cells.select(kept), cell_fields={n: v[kept] for n, v in shape.cell_fields.items()}
    )
    io.write(tmp_path / "a.ply", shape, lossy=True)
    same(expected, io.read(tmp_path / "a.ply"))


def test_stl_refuses_unused_points_and_empty_meshes(tmp_path):
    mesh = Mesh(torch.rand(4, 3), Cells.from_blocks({"triangle": torch.tensor([[0, 1, 2]])}))
    with pytest.raises(ValueError, match="1 points without a cell"):
        io.write(tmp_path / "a.stl", mesh)
    with pytest.raises(ValueError, match="holds triangles"):
        io.write(tmp_path / "a.stl", PointCloud(torch.rand(4, 3)), lossy=True)


@pytest.mark.parametrize("suffix", [".vtu", ".vtp", ".vtk", ".vtm", ".ply", ".msh", ".xdmf", ".obj", ".off", ".stl"])
def test_planar_files_come_back_in_the_plane(tmp_path, suffix):
    flat = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    io.write(tmp_path / f"a{suffix}", Mesh(flat, Cells.from_blocks({"triangle": torch.tensor([[0, 1, 2]])})))
    assert io.read(tmp_path / f"a{suffix}").dim == 2


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".ply", ".msh", ".xdmf"])
def test_a_mesh_without_cells_stays_a_mesh_or_says_so(tmp_path, suffix):
    io.write(tmp_path / f"a{suffix}", Mesh(torch.rand(3, 3), Cells.empty(), {"a": torch.arange(3)}))
    found = io.read(tmp_path / f"a{suffix}")
    assert isinstance(found, Mesh)
    assert not len(found.cells)


@pytest.mark.parametrize("suffix", [".vtu", ".vtp", ".vtk"])
def test_a_mesh_of_vertices_stays_a_mesh(tmp_path, same, suffix):
    mesh = Mesh(torch.rand(3, 3), Cells.from_blocks({"vertex": torch.arange(3)[:, None]}))
    io.write(tmp_path / f"a{suffix}", mesh)
    same(mesh, io.read(tmp_path / f"a{suffix}"))


def test_overwriting_replaces_the_file(tmp_path, shapes, same):
    for suffix in (".vtu", ".vtm", ".ply"):
        io.write(tmp_path / f"a{suffix}", shapes["tets"] if suffix != ".ply" else shapes["surface"])
        io.write(tmp_path / f"a{suffix}", shapes["mixed"])
        same(shapes["mixed"], io.read(tmp_path / f"a{suffix}"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.ply", "a.vtm", "a.vtu"]
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_formats_name_every_suffix():
    suffixes = [s for f in io.formats() for s in f.suffixes]
    assert {".vtu", ".vtp", ".vtk", ".ply", ".stl", ".obj", ".off", ".msh", ".xdmf", ".vtm", ".foam"} <= set(suffixes)
    assert len(suffixes) == len(set(suffixes))
    assert all(f.keeps for f in io.formats())


def test_upper_case_suffix(tmp_path, shapes, same):
    io.write(tmp_path / "A.VTU", shapes["mixed"])
    same(shapes["mixed"], io.read(tmp_path / "A.VTU"))
