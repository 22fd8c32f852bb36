"""Pictures and pages."""

import sys

import numpy as np
import pytest
import torch

from geoops.viz import Scene, compare, plot_field
from geoops.viz._colour_bar import colour_map, ticks
from geoops.viz._panel import field_panel


def _size(path):
    from PIL import Image

    with Image.open(path) as image:
        return image.size, np.asarray(image.convert("RGB"))


def test_a_field_becomes_a_png_of_the_size_asked_for(mesh, tmp_path):
    path = plot_field(mesh, "heat", size=(320, 280)).png(tmp_path / "deep" / "heat.png")
    size, image = _size(path)
    assert size == (320, 280)
    assert image.std() > 20
    assert [p.name for p in path.parent.iterdir()] == ["heat.png"]


def test_colours_follow_the_field_from_left_to_right(mesh):
    image = plot_field(mesh, "heat", size=(320, 280), cmap="gray").image().astype(int)
    row = image[130, 52:268].mean(1)
    assert np.all(np.diff(row) >= -1)
    assert row[0] < 20
    assert row[-1] > 235


def test_truth_prediction_and_error_share_what_they_should(mesh, tmp_path):
    prediction = mesh.with_fields(points={"heat_predicted": mesh.point_fields["heat"] * 2})
    scene = compare(mesh, prediction, "heat", size=(600, 260), cmap="gray")
    left, middle, right = scene.panels
    assert left.range == middle.range == (0, 100)
    assert left.label == middle.label == "heat [K]"
    assert right.range == (-100, 100)
    assert right.label == "error of heat [K]"
    assert "100.00 %" in right.title
    size, image = _size(scene.png(tmp_path / "three.png"))
    assert size == (600, 260)
    # The same grey on the left means the same value: the prediction reaches white half way.
    row = image[120].mean(1)
    truth, predicted = row[10:190], row[210:390]
    assert np.argmax(predicted > 200) < 0.7 * np.argmax(truth > 200)


def test_the_field_of_the_prediction_may_have_its_own_or_the_same_name(mesh):
    other = mesh.with_fields(points={"heat": mesh.point_fields["heat"] + 1})
    assert compare(mesh, other, "heat").panels[2].values == pytest.approx(np.ones(len(mesh.points)))
    assert compare(mesh, mesh, "heat", "kind").panels[1].label == "heat [K]"


def test_errors_of_vectors_are_lengths(mesh):
    other = mesh.with_fields(points={"pull": mesh.point_fields["pull"] + torch.tensor([0.3, 0.4])})
    panel = compare(mesh, other, "pull").panels[2]
    assert panel.values == pytest.approx(np.full(len(mesh.points), 0.5), rel=1e-5)
    assert panel.range[0] == 0
    component = compare(mesh, other, "pull", component="y").panels[2]
    assert component.values == pytest.approx(np.full(len(mesh.points), 0.4), rel=1e-5)


def test_on_other_points_no_error_is_drawn(mesh):
    cloud = mesh.to_cloud()
    moved = type(cloud)(cloud.points[1:], {"heat": cloud.point_fields["heat"][1:]})
    with pytest.warns(UserWarning, match=r"64 points.*63 points.*not on the same points"):
        scene = compare(mesh, moved, "heat")
    assert len(scene.panels) == 2


def test_fields_of_different_kinds_are_refused(mesh):
    with pytest.raises(ValueError, match=r"'heat'.*\(64, 1\).*'pull'.*\(64, 2\)"):
        compare(mesh, mesh, "heat", "pull")


def test_a_page_stands_alone_and_has_titles(mesh, tmp_path, monkeypatch):
    def refuse(*args):
        raise AssertionError("a page needs neither server nor network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.socket.bind", refuse)
    path = compare(mesh, mesh, "heat", titles=("A & B", "b", "c")).html(tmp_path / "page.html")
    page = path.read_text()
    assert "A &amp; B" in page
    assert "OfflineLocalView.load" in page
    assert 'src="http' not in page
    assert len(page) > 100_000


def test_without_the_page_writer_the_extra_is_named(mesh, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trame_vtk", None)
    monkeypatch.setitem(sys.modules, "trame_vtk.modules", None)
    monkeypatch.setitem(sys.modules, "trame_vtk.modules.vtk", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install geoops\[viz-html\]"):
        plot_field(mesh, "heat", size=(100, 100)).html(tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_other_endings_are_refused(mesh, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.png; got 'a\.jpg'"):
        plot_field(mesh, "heat", size=(100, 100)).png(tmp_path / "a.jpg")


def test_solids_clouds_edges_and_categories_are_drawn(mesh, cube):
    pictures = {
        "solid": plot_field(cube, "height", size=(200, 200), title="t"),
        "bare": plot_field(cube, size=(200, 200)),
        "cloud": plot_field(mesh.to_cloud(), "heat", size=(200, 200)),
        "kinds": plot_field(mesh, "kind", size=(200, 200), edges=True),
        "cells": plot_field(mesh, "load", size=(200, 200)),
    }
    images = {name: scene.image() for name, scene in pictures.items()}
    assert all(image.shape == (200, 200, 3) and image.std() > 10 for image in images.values())
    # Four categories: the four strong colours of the map and nothing in between but where they meet.
    colours, counts = np.unique(images["kinds"].reshape(-1, 3), axis=0, return_counts=True)
    blue = np.array([31, 119, 180])
    assert (np.abs(colours.astype(int) - blue).max(1) < 4)[counts > 50].any()


def test_a_scene_shows_itself_in_notebooks(mesh):
    assert plot_field(mesh, "heat", size=(120, 100))._repr_png_().startswith(b"\x89PNG")


def test_without_a_display_no_window_opens(mesh, monkeypatch):
    monkeypatch.setattr("geoops.viz._scene.has_display", lambda: False)
    with pytest.raises(RuntimeError, match="--png"):
        plot_field(mesh, "heat").show()


def test_panels_fit_the_mesh_unless_a_size_is_given(mesh):
    width, height = plot_field(mesh, "heat").pixels
    assert width == 620
    assert 620 < height < 800
    assert compare(mesh, mesh, "heat").pixels[0] == 3 * 620
    assert Scene((field_panel(mesh, "heat"),), size=(10, 20)).pixels == (10, 20)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 100.0, ["0", "20", "40", "60", "80", "100"]),
        (-1.0, 1.0, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        (0.0, 4e-7, ["0", "1e-07", "2e-07", "3e-07", "4e-07"]),
        (1e6, 1.001e6, ["1e+06", "1.0002e+06", "1.0004e+06", "1.0006e+06", "1.0008e+06", "1.001e+06"]),
    ],
)
def test_ticks_are_round_and_distinct(low, high, texts):
    assert list(ticks(low, high).values()) == texts


def test_ticks_of_categories_are_the_categories(mesh):
    assert ticks(-0.5, 2.5, 3) == {0: "0", 1: "1", 2: "2"}
    assert len(colour_map(field_panel(mesh, "kind"))) == 4
    assert len(colour_map(field_panel(mesh, "kind", cmap="viridis"))) == 4
