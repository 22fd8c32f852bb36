"""Decoders by few numbers for a whole body: POD, CROM and LiCROM."""

import math

import pytest
import torch

from geoops.models import CROM, POD, LiCROM
from geoops.testing import DecoderSuite, largest


class TestPOD(DecoderSuite):
    def build(self, dim):
        return POD(dim, rank=4, resolution=7)


class TestLiCROM(DecoderSuite):
    atol = 1e-4  # random modes are nearly dependent, which magnifies rounding

    def build(self, dim):
        return LiCROM(dim, rank=4, hidden=16, ridge=1e-3)


class TestCROM(DecoderSuite):
    no_gradient = ("field.6.bias",)  # a constant cancels

    def build(self, dim):
        return CROM(dim, rank=3, hidden=16)


def bent(X, amount):
    return X + amount[:, None, None] * torch.sin(math.pi * X).roll(1, -1)


@pytest.mark.parametrize("dim", [2, 3])
@torch.no_grad()
def test_modes_of_training_serve_a_body_of_other_size_and_place(dim):
    X = torch.rand(4000, dim)
    pod = POD(dim, rank=3)
    pod.fit([bent(X, torch.linspace(0, 0.2, 20)), bent(X, torch.linspace(0, -0.1, 10))])
    samples, queries = torch.rand(300, dim), 0.05 + 0.9 * torch.rand(500, dim)
    x = bent(samples, torch.tensor([0.0, 0.15]))
    true = bent(queries, torch.tensor([0.15]))[0]
    assert largest(pod(x, queries)[1], true) < 0.1 * 0.15
    way = torch.full((dim,), 4.0)
    assert largest((pod(3 * x + way, 3 * queries + way)[1] - way) / 3, true) < 0.1 * 0.15


def test_pod_says_that_it_has_no_modes():
    X = torch.rand(50, 2)
    with pytest.raises(ValueError, match="no modes yet; call fit"):
        POD(2)(torch.stack([X, X]), X)
    with pytest.raises(ValueError, match="at least one motion"):
        POD(2).fit([])
    with pytest.raises(ValueError, match="rank >= 1"):
        POD(2, rank=0)


@torch.no_grad()
def test_a_motion_without_deformation_has_no_modes_but_moves():
    X = torch.rand(100, 2)
    pod = POD(2)
    pod.fit([torch.stack([X, X + 1])])
    assert largest(pod(torch.stack([X, X + 2]), X)[1], X + 2) <= 1e-5


@pytest.mark.parametrize("build", [lambda: LiCROM(2, rank=6, hidden=32), lambda: CROM(2, rank=4, hidden=32)])
def test_learns_a_family_of_motions(build):
    decoder = build()
    optimiser = torch.optim.Adam(decoder.parameters(), 3e-3)
    for _ in range(300):
        X, queries = torch.rand(80, 2), torch.rand(200, 2)
        amount = 0.2 * torch.rand(4) - 0.1
        loss = decoder.loss(X, queries, bent(X, amount), bent(queries, amount))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    X, queries, amount = torch.rand(80, 2), torch.rand(200, 2), torch.tensor([0.07])
    with torch.no_grad():
        assert decoder.loss(X, queries, bent(X, amount), bent(queries, amount)) < 0.05


@pytest.mark.parametrize("build", [CROM, LiCROM])
def test_options_that_make_no_sense(build):
    with pytest.raises(ValueError, match="rank >= 1"):
        build(2, rank=0)
