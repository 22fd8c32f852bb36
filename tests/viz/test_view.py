"""`geoops view`."""

import pytest

from geoops import io
from geoops.viz import view


@pytest.fixture
def file(mesh, tmp_path):
    path = tmp_path / "plate.vtu"
    io.write(path, mesh)
    return path


def test_a_file_becomes_a_picture_and_a_page(file, tmp_path):
    written = view(file, "heat", png=tmp_path / "a.png", html=tmp_path / "a.html", size=(160, 140))
    assert written == [tmp_path / "a.png", tmp_path / "a.html"]
    assert all(path.stat().st_size > 1000 for path in written)


def test_two_files_are_compared(file, mesh, tmp_path):
    other = tmp_path / "other.vtu"
    io.write(other, mesh.with_fields(points={"warmth": mesh.point_fields["heat"]}))
    written = view(file, "heat", compare=other, compare_field="warmth", png=tmp_path / "b.png", size=(300, 120))
    assert written[0].stat().st_size > 1000


def test_two_fields_of_one_file_are_compared(file, tmp_path):
    assert view(file, "heat", compare_field="kind", png=tmp_path / "c.png", size=(300, 120))


def test_a_missing_field_names_file_and_fields(file, tmp_path):
    with pytest.raises(KeyError, match=r"plate\.vtu.*no field 'stress'.*heat"):
        view(file, "stress", png=tmp_path / "d.png")
    assert not (tmp_path / "d.png").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        view(tmp_path / "absent.vtu", "heat", png=tmp_path / "e.png")


def test_trajectories_have_a_command_of_their_own():
    with pytest.raises(ValueError, match=r"jelly\.vtkhdf is the trajectory.*geoops animate jelly\.vtkhdf"):
        view("jelly.vtkhdf", png="jelly.png")


def test_bad_names_of_outputs_are_refused_before_reading(tmp_path):
    with pytest.raises(ValueError, match=r"--png needs.*\.png; got picture\.gif"):
        view(tmp_path / "absent.vtu", "heat", png="picture.gif")


def test_comparing_needs_a_field(file):
    with pytest.raises(ValueError, match="--field"):
        view(file, compare=file)


def test_without_outputs_a_window_opens(file, monkeypatch):
    shown = []
    monkeypatch.setattr("geoops.viz._scene.Scene.show", lambda self: shown.append(self))
    assert view(file) == []
    assert shown[0].edges
