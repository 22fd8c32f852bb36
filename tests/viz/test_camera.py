"""Framing of meshes in their panels."""

import numpy as np
import pytest

from geoops.viz._camera import BAR, SIDE, TITLE, aspect, frame


@pytest.mark.parametrize("title", [True, False])
@pytest.mark.parametrize("shape", [(1.0, 1.0), (4.0, 1.0), (1.0, 3.0)])
def test_a_planar_mesh_fills_its_panel_and_leaves_room_for_the_bar(shape, title):
    points = np.array([[0, 0, 0], [*shape, 0]]) + 5
    ratio = aspect(points, "xy", title)
    camera = frame(points, "xy", ratio, title)
    height, width = 2 * camera.scale, 2 * camera.scale / ratio
    left, bottom = camera.focus[0] - width / 2, camera.focus[1] - height / 2
    low, high = (points - [left, bottom, 0])[:, 0] / width, (points - [left, bottom, 0])[:, 1] / height
    top = TITLE if title else SIDE
    assert low.min() >= SIDE - 1e-6
    assert low.max() <= 1 - SIDE + 1e-6
    assert high.min() >= BAR - 1e-6
    assert high.max() <= 1 - top + 1e-6
    fills = max((low.max() - low.min()) / (1 - 2 * SIDE), (high.max() - high.min()) / (1 - top - BAR))
    assert fills == pytest.approx(1, abs=1e-6)


def test_planar_meshes_are_seen_from_above():
    camera = frame(np.array([[0.0, 0, 0], [1, 1, 0]]), "xy", 1.0)
    towards = np.subtract(camera.position, camera.focus)
    assert towards[2] > 0
    assert towards[:2] == pytest.approx([0, 0])
    assert camera.up == pytest.approx((0, 1, 0))


@pytest.mark.parametrize("view", ["xz", "yz", "iso"])
def test_the_camera_looks_along_the_view_and_keeps_z_up(view):
    camera = frame(np.array([[0.0, 0, 0], [1, 2, 3]]), view, 1.0)
    towards = np.subtract(camera.position, camera.focus)
    assert abs(np.dot(towards, camera.up)) < 1e-9
    assert camera.up[2] > 0


def test_y_may_be_up_in_space():
    camera = frame(np.array([[0.0, 0, 0], [1, 2, 3]]), "iso_y", 1.0)
    assert camera.up[1] > 0.8
    assert camera.up[0] < 0


def test_an_unknown_view_lists_the_views():
    with pytest.raises(ValueError, match="xy, xz, yz, iso, iso_y; got 'top'"):
        frame(np.zeros((2, 3)), "top", 1.0)
