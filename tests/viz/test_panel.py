"""What is drawn: numbers, labels and colour scales."""

import dataclasses

import numpy as np
import pytest
import torch

from geoops.viz._panel import field_panel, get_field, scalar, value_range


def test_a_missing_field_lists_the_ones_there_are(mesh):
    with pytest.raises(KeyError, match=r"'stress'.*heat, kind, load, pull"):
        get_field(mesh, "stress")


def test_the_label_carries_name_and_unit(mesh):
    assert field_panel(mesh, "heat").label == "heat [K]"
    assert field_panel(mesh, "pull").label == "magnitude of pull"
    assert field_panel(mesh, "pull", component="y").label == "pull_y"


def test_vectors_are_drawn_by_magnitude_or_component(mesh):
    x = mesh.points[:, 0].double().numpy()
    np.testing.assert_allclose(field_panel(mesh, "pull").values, 5 * x, rtol=1e-6)
    np.testing.assert_allclose(field_panel(mesh, "pull", component=1).values, 4 * x, rtol=1e-6)
    np.testing.assert_allclose(field_panel(mesh, "pull", component="x").values, 3 * x, rtol=1e-6)


def test_more_components_than_axes_are_numbered():
    values, name = scalar(np.arange(12.0).reshape(2, 6), "stress", 4)
    assert name == "stress_4"
    assert values.tolist() == [4, 10]


def test_an_absent_component_is_refused(mesh):
    with pytest.raises(ValueError, match=r"'pull' has 2 component.*'z' is not"):
        field_panel(mesh, "pull", component="z")


def test_cell_fields_are_found(mesh):
    panel = field_panel(mesh, "load")
    assert panel.on == "cell"
    assert len(panel.values) == len(mesh.cells)


def test_few_integers_are_categories(mesh):
    panel = field_panel(mesh, "kind")
    assert panel.categories == 4
    assert panel.range == (-0.5, 3.5)


def test_many_integers_are_numbers(mesh):
    numbered = mesh.with_fields(points={"id": torch.arange(len(mesh.points))})
    assert field_panel(numbered, "id").categories == 0


def test_clipping_leaves_out_the_ends():
    values = np.arange(101.0)
    assert value_range(values) == (0, 100)
    assert value_range(values, 0.1) == pytest.approx((10, 90))


def test_a_constant_field_gets_a_scale_of_some_width():
    low, high = value_range(np.full(4, 7.0))
    assert low < 7 < high
    low, high = value_range(np.zeros(4))
    assert low < 0 < high


def test_nan_does_not_reach_the_scale():
    assert value_range(np.array([np.nan, 1.0, 2.0])) == (1, 2)
    with pytest.raises(ValueError, match="no finite value"):
        value_range(np.full(3, np.nan))


def test_a_cloud_is_drawn_like_a_mesh(mesh):
    assert field_panel(mesh.to_cloud(), "heat").label == "heat [K]"


def test_with_range_changes_only_the_scale(mesh):
    panel = field_panel(mesh, "heat")
    assert dataclasses.replace(panel, range=(0.0, 1.0)) == panel.with_range(0.0, 1.0)
