"""Damaged, foreign and impossible files give one clear error, and leave nothing behind."""

import contextlib
import os
import stat

import pytest
import torch

from geoops import io
from geoops.geometry import Cells, Mesh, check_finite

READABLE = [".vtu", ".vtp", ".vtk", ".vtm", ".ply", ".stl", ".obj", ".off", ".msh", ".xdmf"]


def surface() -> Mesh:
    draw = torch.Generator().manual_seed(0)
    points = torch.rand(30, 3, generator=draw)
    index = torch.stack([torch.randperm(30, generator=draw)[:3] for _ in range(40)])
    return Mesh(
        points,
        Cells.from_blocks({"triangle": index}),
        {"u": torch.rand(30, 2, generator=draw)},
        {"id": torch.arange(40)},
    )


@pytest.mark.parametrize("suffix", READABLE)
def test_empty_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    with pytest.raises(ValueError, match=rf"a\{suffix} is empty"):
        io.read(path)


@pytest.mark.parametrize("suffix", READABLE)
def test_truncated_file(tmp_path, suffix, capfd):
    """Cut anywhere, a file is refused, or (text without an end mark) gives fewer cells that are still right."""
    path, cut = tmp_path / f"a{suffix}", tmp_path / f"cut{suffix}"
    io.write(path, surface(), lossy=True)
    whole = path.read_bytes()
    for size in sorted({1, 2, 10, 50, 84, *(int(len(whole) * f / 23) for f in range(1, 23)), len(whole) - 12}):
        cut.write_bytes(whole[:size])
        # OBJ has neither counts nor an end: a cut at the end of a line, or of a number, cannot be seen.
        seen = suffix != ".obj" or whole[:size].endswith(b" ")
        if seen:
            with pytest.raises(ValueError, match=rf"cut\{suffix}"):
                io.read(cut)
            continue
        with contextlib.suppress(ValueError):
            assert len(getattr(io.read(cut), "cells", [])) < 40
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".vtu", ".vtp"])
def test_damaged_numbers_are_found(tmp_path, suffix, capfd):
    path = tmp_path / f"a{suffix}"
    io.write(path, surface())
    data = bytearray(path.read_bytes())
    start = data.index(b'encoding="raw"')
    for at in range(start + 40, len(data) - 60, 97):
        broken = bytearray(data)
        broken[at : at + 24] = b"\xff" * 24
        path.write_bytes(broken)
        # The checksums of the packed numbers find nearly all of this; what counts is an exception or a valid shape,
        # and never a crash, which is what VTK's own reader does here.
        with contextlib.suppress(ValueError):
            assert isinstance(io.read(path), Mesh)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", READABLE)
@pytest.mark.parametrize("content", [b"hello world\nthis is no mesh\n", b"\x00\x01\x02\xff" * 50, b"<?xml version='1.0'?><a/>\n"])
def test_text_and_garbage_under_a_wrong_suffix(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\{suffix}: cannot read it as"):
        io.read(path)


def test_one_format_under_the_suffix_of_another(tmp_path):
    io.write(tmp_path / "a.vtp", surface())
    (tmp_path / "a.vtp").rename(tmp_path / "b.vtu")
    with pytest.raises(ValueError, match=r"b\.vtu.*holds PolyData, expected UnstructuredGrid"):
        io.read(tmp_path / "b.vtu")
    io.write(tmp_path / "a.ply", surface())
    (tmp_path / "a.ply").rename(tmp_path / "c.vtk")
    with pytest.raises(ValueError, match=r"c\.vtk.*# vtk DataFile"):
        io.read(tmp_path / "c.vtk")


def test_unknown_suffix_lists_the_known(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(ValueError, match=r"unknown format '\.docx'; geoops knows \.vtu, \.vtp"):
        io.read(tmp_path / "a.docx")
    with pytest.raises(
        ValueError, match=r"unknown format '\.vtkhdf' \(a trajectory: geoops\.data\.read_trajectory reads it, geoops anim"
    ):
        io.read(tmp_path / "a.vtkhdf")
    with pytest.raises(ValueError, match=r"unknown format '\.pvd' \(a list of files: read one of the \.vtp files"):
        io.read(tmp_path / "a.PVD")
    with pytest.raises(ValueError, match=r"unknown format '\(no suffix\)'"):
        io.write(tmp_path / "a", surface())


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.vtu"):
        io.read(tmp_path / "nothing.vtu")
    (tmp_path / "folder.vtu").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.vtu is a folder"):
        io.read(tmp_path / "folder.vtu")


VTU = """<?xml version="1.0"?>
<VTKFile type="UnstructuredGrid" version="1.0" byte_order="LittleEndian">
<UnstructuredGrid><Piece NumberOfPoints="{count}" NumberOfCells="{cells}">
<Points><DataArray type="Float32" NumberOfComponents="3" format="ascii">{points}</DataArray></Points>
<Cells><DataArray type="Int64" Name="connectivity" format="ascii">{nodes}</DataArray>
<DataArray type="Int64" Name="offsets" format="ascii">{offsets}</DataArray>
<DataArray type="UInt8" Name="types" format="ascii">{types}</DataArray></Cells>
</Piece></UnstructuredGrid></VTKFile>
"""
GOOD = {"count": 3, "cells": 1, "points": "0 0 0 1 0 0 0 1 0", "nodes": "0 1 2", "offsets": "3", "types": "5"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": "0 0 0 1 nan 0 0 1 0"}, "NaN or infinite coordinates, first point 1"),
        ({"points": "0 0 0 1 inf 0 0 1 0"}, "NaN or infinite coordinates, first point 1"),
        ({"nodes": "0 1 9"}, "cell 0 refers to the absent point 9; there are 3 points"),
        ({"nodes": "0 -4 1"}, "absent point -4"),
        ({"count": 0, "cells": 0, "points": "", "nodes": "", "offsets": "", "types": ""}, "zero points"),
        ({"types": "42"}, "polyhedra are not supported"),
        ({"types": "99"}, "type code 99 is not supported"),
        ({"offsets": "7"}, "offsets"),
        ({"types": "9"}, "a quad has 4 nodes, got one with 3"),
        ({"points": "0 0 0 1 0"}, "cannot read it as VTU"),
    ],
)
def test_vtu_with_impossible_content(tmp_path, change, message, capfd):
    path = tmp_path / "a.vtu"
    path.write_text(VTU.format(**GOOD))
    assert io.read(path).cells.counts() == {"triangle": 1}
    path.write_text(VTU.format(**{**GOOD, **change}))
    with pytest.raises(ValueError, match=message) as caught:
        io.read(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr().err == ""


PLY = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\n"
MSH = "$MeshFormat\n2.2 0 8\n$EndMeshFormat\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "absent point 3"),
        ("a.obj", "v 0 0 0\nf 1 0 1\n", "absent point 0"),
        ("a.obj", "v 0 0 0\nf 1 x 1\n", "'x' is no number"),
        ("a.obj", "v 0 0 nan\n", "NaN"),
        ("a.obj", "v 0 a 0\n", "line 1 holds no numbers"),
        ("a.obj", "# nothing\n", "zero points"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n", "absent point 7"),
        ("a.off", "OFF\n0 0 0\n", "zero points"),
        ("a.off", "OFF\n1 0 0\n0 0 inf\n", "NaN or infinite"),
        ("a.off", "OFF\n1 0 0\n0 0\n", "3 coordinates"),
        ("a.off", "OFF\nx y\n", "numbers of points and faces"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n2 0 1\n", "is no face"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 -1\n", "no numbers of points"),
        ("a.stl", "solid a\nfacet\nvertex 0 0 0\nendfacet\nendsolid\n", "1 vertices for 1 facets"),
        ("a.stl", "solid a\nfacet\nvertex 0 0 b\nendfacet\nendsolid\n", "line 3 holds no coordinates"),
        ("a.stl", "solid a\nendsolid\n", "zero points"),
        (
            "a.ply",
            PLY + "property float y\nend_header\n1 nan\n",
            "NaN",
        ),
        ("a.ply", PLY + "end_header\n1\n", "properties x and y"),
        ("a.ply", "ply\nformat odd 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "unknown encoding"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty quaternion x\nend_header\n1\n", "unknown type"),
        ("a.ply", "ply\nformat ascii 1.0\nnonsense\nend_header\n1\n", "cannot understand"),
        (
            "a.ply",
            PLY + "property float y\nend_header\n1 b\n",
            "holds no float32",
        ),
        (
            "a.ply",
            "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nelement face 1\n"
            "property list uchar int vertex_indices\nend_header\n0 0\n1 1\n2 0 1\n",
            "face 0 has 2 nodes",
        ),
        ("a.msh", MSH + "$Nodes\n1\n1 0 0 nan\n$EndNodes\n", "NaN"),
        ("a.msh", MSH + "$Nodes\n2\n1 0 0 0\n$EndNodes\n", "2 rows of 4 numbers"),
        (
            "a.msh",
            MSH + "$Nodes\n1\n1 0 0 0\n$EndNodes\n$Elements\n1\n1 2 2 0 0 1 1 5\n$EndElements\n",
            "element 1 refers to the absent point 5",
        ),
        (
            "a.msh",
            MSH + "$Nodes\n1\n1 0 0 0\n$EndNodes\n$Elements\n1\n1 2 2 0 0 1\n$EndElements\n",
            "cut off",
        ),
        ("a.msh", MSH + "$Nodes\n0\n$EndNodes\n", "zero points"),
        ("a.xdmf", "<Xdmf><Domain></Domain></Xdmf>", "no <Grid>"),
        ("a.xdmf", "<Xdmf><Domain><Grid></Grid></Domain></Xdmf>", "no <Geometry>"),
        (
            "a.xdmf",
            '<Xdmf><Domain><Grid><Geometry><DataItem Dimensions="2 3">0 0 0</DataItem></Geometry></Grid></Domain></Xdmf>',
            "holds 3 values where 2x3 are announced",
        ),
        (
            "a.xdmf",
            '<Xdmf><Domain><Grid><Topology TopologyType="3DCoRectMesh"/><Geometry>'
            '<DataItem Dimensions="1 3">0 0 0</DataItem></Geometry></Grid></Domain></Xdmf>',
            "structured grids are not supported",
        ),
    ],
)
def test_impossible_content_of_other_formats(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        io.read(tmp_path / name)
    assert name in str(caught.value)


def test_vtm_with_absent_parts(tmp_path):
    io.write(tmp_path / "a.vtm", surface())
    next((tmp_path / "a").iterdir()).unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.vtm refers to .*which is absent"):
        io.read(tmp_path / "a.vtm")


def test_nan_in_fields_is_reported_by_name(tmp_path):
    mesh = surface().with_fields(points={"p": torch.full((30,), torch.nan)}, globals={"g": torch.tensor(torch.inf), "t": "text"})
    io.write(tmp_path / "a.vtu", mesh)
    found = io.read(tmp_path / "a.vtu")
    with pytest.raises(ValueError, match=r"point field 'p' at 30 of 30 rows, first 0; global field 'g'"):
        check_finite(found)
    check_finite(found, ["u", "id"])
    with pytest.raises(KeyError, match=r"no point, cell or global field 'q'; there are \['g', 'id', 'p', 't', 'u'\]"):
        check_finite(found, ["q"])


def test_unwritable_paths(tmp_path):
    mesh = surface()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        io.write(tmp_path / "absent" / "a.vtu", mesh)
    (tmp_path / "folder.vtu").mkdir()
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        io.write(tmp_path / "folder.vtu", mesh)
    with pytest.raises(TypeError):
        io.write(tmp_path / "a.vtu", {"points": 1})
    with pytest.raises(ValueError, match="geoops only reads OpenFOAM"):
        io.write(tmp_path / "a.foam", mesh)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(PermissionError, match="no permission to write"):
        io.write(folder / "a.vtu", surface())


@pytest.mark.parametrize("suffix", [".vtu", ".vtp", ".vtk", ".vtm", ".ply", ".stl", ".obj", ".off", ".msh", ".xdmf"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    io.write(path, surface(), lossy=True)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        io.write(path, surface(), lossy=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_blocks_of_a_failed_write_are_put_back(tmp_path, monkeypatch, fails):
    path = tmp_path / "a.vtm"
    io.write(path, surface())
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    replace, calls = os.replace, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == fails:
            raise OSError("no space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        io.write(path, surface())
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_write_through_a_link_replaces_the_link(tmp_path):
    (tmp_path / "full.vtu").symlink_to("/dev/full")
    io.write(tmp_path / "full.vtu", surface())
    assert len(io.read(tmp_path / "full.vtu").cells) == 40


def test_no_format_takes_anything_but_shapes(tmp_path, unchecked):
    with pytest.raises(TypeError, match=r"write needs a geoops Mesh or PointCloud, got dict; convert it with .*as_mesh"):
        io.write(tmp_path / "a.vtu", {"points": 1})
