"""`geoops predict`: files in, files out."""

import os

import pytest
import torch

from geoops import io
from geoops.geometry import Mesh
from geoops.inference import _files as module
from geoops.inference import predict


@pytest.fixture
def bare(mesh):
    n, m = len(mesh.points), len(mesh.cells)
    return Mesh(
        mesh.points,
        mesh.cells,
        {"kind": mesh.point_fields["kind"], "rank": torch.arange(n, dtype=torch.float32).flip(0)},
        {"part": torch.arange(m, dtype=torch.float32)},
    )


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".xdmf", ".msh", ".vtp", ".ply"])
def test_every_array_and_the_order_survive_the_files(formula, bare, tmp_path, suffix):
    source, target = tmp_path / f"in{suffix}", tmp_path / "out" / f"result{suffix}"
    io.write(source, bare)
    before = io.read(source)
    assert predict(formula, source, target) == [target]
    after = io.read(target)
    assert torch.equal(before.points, after.points)
    assert torch.equal(before.cells.connectivity, after.cells.connectivity)
    assert list(after.point_fields) == [*before.point_fields, "u"]
    assert list(after.cell_fields) == list(before.cell_fields)
    for name, values in before.point_fields.items():
        assert torch.equal(values, after.point_fields[name])
        assert values.dtype == after.point_fields[name].dtype
    wanted = formula.predict(bare).point_fields["u"]
    torch.testing.assert_close(after.point_fields["u"].flatten().float(), wanted)


def test_a_folder_takes_many_and_shows_progress(formula, bare, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a.vtu", "b.vtk"):
        io.write(tmp_path / "in" / name, bare)
    (tmp_path / "in" / "notes.txt").write_text("not a mesh")
    written = predict(formula, [str(tmp_path / "in")], tmp_path / "out")
    assert written == [tmp_path / "out" / "a.vtu", tmp_path / "out" / "b.vtk"]
    assert all("u" in io.read(p).point_fields for p in written)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.vtu", "b.vtk"]


def test_a_folder_warns_once(formula, plate, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.vtu", "b.vtu"):
        io.write(tmp_path / "in" / name, plate(33))
    with pytest.warns(UserWarning, match="finer than trained") as caught:
        predict(formula, tmp_path / "in", tmp_path / "out", progress=False)
    assert len(caught) == 1


def test_points_of_another_file_give_that_file(formula, bare, plate, tmp_path):
    io.write(tmp_path / "m.vtu", bare)
    io.write(tmp_path / "at.vtu", plate(8))
    predict(formula, tmp_path / "m.vtu", tmp_path / "o.vtu", at=tmp_path / "at.vtu")
    result = io.read(tmp_path / "o.vtu")
    assert len(result.points) == len(plate(8).points)
    assert list(result.point_fields) == ["kind", "u", "u_predicted"]
    with pytest.raises(FileNotFoundError, match=r"predict at.*gone"):
        predict(formula, tmp_path / "m.vtu", tmp_path / "o.vtu", at=tmp_path / "gone.vtu")


@pytest.mark.parametrize("where", ["one", "two"])
def test_outputs_must_make_sense(formula, bare, tmp_path, where):
    for name in ("a.vtu", "b.vtu"):
        io.write(tmp_path / name, bare)
    files = [tmp_path / "a.vtu", tmp_path / "b.vtu"]
    cases = {
        "one": [(files[:1], "o.xyz", "cannot write"), (files[:1], "a.vtu", "is the input itself")],
        "two": [(files, "o.vtu", "2 meshes need a folder"), ([files[0], files[0]], "out", "same file name")],
    }
    for meshes, output, words in cases[where]:
        with pytest.raises(ValueError, match=words):
            predict(formula, meshes, tmp_path / output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vtu", "b.vtu"]


def test_inputs_must_exist(formula, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such mesh file.*gone"):
        predict(formula, tmp_path / "gone.vtu", tmp_path / "o.vtu")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no mesh files"):
        predict(formula, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ValueError, match="at least one"):
        predict(formula, [], tmp_path / "out")


def test_an_output_that_cannot_be_written_is_found_before_anything_is_computed(formula, bare, tmp_path, monkeypatch):
    io.write(tmp_path / "a.vtu", bare)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(module, "load", lambda *a, **k: pytest.fail("computed something"))
    with pytest.raises(NotADirectoryError, match="cannot write into"):
        predict("x.safetensors", tmp_path / "a.vtu", tmp_path / "file" / "o.vtu")

    def refuse(**kwargs):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(module.tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match="cannot write into"):
        predict("x.safetensors", tmp_path / "a.vtu", tmp_path / "o.vtu")


def test_a_failure_leaves_no_file(formula, bare, tmp_path):
    broken = Mesh(bare.points, bare.cells, {"rank": bare.point_fields["rank"]})
    io.write(tmp_path / "a.vtu", broken)
    with pytest.raises(KeyError, match=r"a\.vtu: no point field 'kind'.*rank"):
        predict(formula, tmp_path / "a.vtu", tmp_path / "out" / "o.vtu")
    assert not (tmp_path / "out").exists()
