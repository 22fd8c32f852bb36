"""Warnings about questions outside of the training set."""

import math

import pytest
import torch

from geoops.inference._range import box_note, range_notes, spacing_note, typical_spacing


def test_the_spacing_of_a_grid_is_its_step(mesh):
    assert typical_spacing(mesh.points) == pytest.approx(1 / 8)
    assert math.isnan(typical_spacing(mesh.points[:1]))


def test_large_sets_are_sampled():
    x = torch.arange(20000.0)
    assert typical_spacing(torch.stack([x, 0 * x], 1)) == 1


@pytest.mark.parametrize(
    ("spacing", "coarser", "words"),
    [
        (0.01, True, "10.0 times finer"),
        (0.01, False, "10.0 times finer"),
        (0.85, True, None),
        (2.0, True, "2.0 times coarser"),
        (2.0, False, None),
        (float("nan"), True, None),
        (0.0, True, None),
    ],
)
def test_spacing_is_compared_with_the_trained_range(spacing, coarser, words):
    note = spacing_note(spacing, (0.1, 1.0), coarser=coarser, what="points")
    assert (note is None) == (words is None)
    if words:
        assert words in note
        assert "0.1 to 1" in note


def test_points_outside_of_the_box_are_found(normalizer, mesh):
    assert box_note(mesh.points, normalizer, "nodes") is None
    note = box_note(mesh.points + torch.tensor([0.2, 0.0]), normalizer, "nodes")
    assert "[0.2, 1.2] x [0, 1]" in note
    assert "[0, 1] x [0, 1]" in note


def test_a_training_mesh_gives_nothing_to_say(normalizer, mesh):
    assert range_notes(mesh, None, normalizer, "mesh") == []


def test_coarser_queries_are_nothing_to_warn_about(normalizer, mesh):
    assert range_notes(mesh, torch.tensor([[0.1, 0.1], [0.9, 0.9]]), normalizer, "mesh") == []
    fine = torch.rand(5000, 2)
    (note,) = range_notes(mesh, fine, normalizer, "mesh")
    assert "query points" in note
