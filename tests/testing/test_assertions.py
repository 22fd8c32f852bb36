"""Each assertion passes on a network with the property and fails on one without it."""

import math

import pytest
import torch
from torch import nn

from geoops.testing import (
    assert_batch_independent,
    assert_padding_ignored,
    assert_permutation,
    assert_query_independent,
    assert_translation_invariant,
    largest,
    observed_rate,
    random_shapes,
)


class Good(nn.Module):
    """The distance to the mean of the real nodes, whatever the frame."""

    def encode(self, shapes):
        weight = shapes.mask[..., None].to(shapes.pos)
        return (shapes.pos * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)

    def decode(self, code, pos, sdf):
        return (pos - code).norm(dim=-1, keepdim=True)


class ForgetsMask(Good):
    def encode(self, shapes):
        return shapes.pos.mean(1, keepdim=True)


class FirstNode(Good):
    def encode(self, shapes):
        return shapes.pos[:, :1]


class BatchMean(Good):
    def encode(self, shapes):
        return super().encode(shapes).mean(0, keepdim=True).expand(len(shapes), -1, -1)


class QueriesMeet(Good):
    def decode(self, code, pos, sdf):
        return super().decode(code, pos, sdf) - (pos.mean(1, keepdim=True) if pos.shape[1] else pos)[..., :1]


class QueriesInOrder(Good):
    def decode(self, code, pos, sdf):
        return super().decode(code, pos, sdf) + torch.arange(pos.shape[1])[:, None] % 1000


class NoQueries(Good):
    def decode(self, code, pos, sdf):
        return super().decode(code, pos, sdf) if pos.shape[1] else pos.new_zeros(1, 1, 1)


ALL = [
    assert_translation_invariant,
    assert_permutation,
    assert_query_independent,
    assert_batch_independent,
    assert_padding_ignored,
]


@pytest.mark.parametrize("check", ALL)
@pytest.mark.parametrize("dim", [2, 3])
def test_good_network_passes(check, dim):
    check(Good(), random_shapes(3, dim))


def test_rotations_pass_too():
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    assert_translation_invariant(Good(), random_shapes(3), rotation=turn, shift=2.0)


class Axis(Good):
    def decode(self, code, pos, sdf):
        return (pos - code)[..., :1]


@pytest.mark.parametrize(
    ("check", "network", "message"),
    [
        (assert_padding_ignored, ForgetsMask(), "padding"),
        (assert_batch_independent, ForgetsMask(), "batch mates"),
        (assert_batch_independent, BatchMean(), "shape 0"),
        (assert_permutation, FirstNode(), "order of nodes"),
        (assert_query_independent, QueriesMeet(), "1 points at a time"),
        (assert_query_independent, QueriesInOrder(), "points at a time"),
        (assert_query_independent, NoQueries(), "no points"),
    ],
)
def test_bad_network_fails(check, network, message):
    with pytest.raises(AssertionError, match=message):
        check(network, random_shapes(3))


def test_an_axis_fails_the_rotation_test_only():
    shapes = random_shapes(3)
    assert_translation_invariant(Axis(), shapes)
    with pytest.raises(AssertionError, match="and turn"):
        assert_translation_invariant(Axis(), shapes, rotation=torch.tensor([[0.0, -1.0], [1.0, 0.0]]))


def test_observed_rate_finds_the_order():
    sizes = [0.4, 0.2, 0.1]
    assert math.isclose(observed_rate(sizes, [3 * h**2.5 for h in sizes]), 2.5)


@pytest.mark.parametrize(("sizes", "errors"), [([1.0], [1.0]), ([1.0, 0.5], [1.0]), ([1.0, 0.5], [0.0, 1.0])])
def test_observed_rate_needs_positive_pairs(sizes, errors):
    with pytest.raises(ValueError, match="sizes"):
        observed_rate(sizes, errors)


def test_largest_needs_equal_shapes():
    assert largest(torch.zeros(0), torch.zeros(0)) == 0
    with pytest.raises(AssertionError, match="shapes differ"):
        largest(torch.zeros(2), torch.zeros(3))
