import math

import pytest
import torch

from geoops.models import InverseDistance, LocalSpline, MovingLeastSquares, Nearest, ThinPlate
from geoops.testing import DecoderSuite, largest


class TestNearest(DecoderSuite):
    def build(self, dim):
        return Nearest(dim)


class TestInverseDistance(DecoderSuite):
    def build(self, dim):
        return InverseDistance(dim)


class TestMovingLeastSquares(DecoderSuite):
    def build(self, dim):
        return MovingLeastSquares(dim)


class TestLocalSpline(DecoderSuite):
    def build(self, dim):
        return LocalSpline(dim)


class TestThinPlate(DecoderSuite):
    def build(self, dim):
        return ThinPlate(dim)


@pytest.mark.parametrize("build", [Nearest, InverseDistance, LocalSpline, MovingLeastSquares, ThinPlate])
def test_samples_keep_their_places_or_nearly(build):
    X = torch.rand(100, 2)
    x = torch.stack([X, X + 0.1 * torch.sin(math.pi * X)])
    placed = build(2)(x, X)[1]
    assert largest(placed, x[1]) <= {MovingLeastSquares: 2e-2, LocalSpline: 1e-3}.get(build, 1e-5)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("build", [LocalSpline, MovingLeastSquares, ThinPlate])
def test_affine_motion_is_exact(build, dim, dtype):
    X, queries = torch.rand(200, dim, dtype=dtype), 1.2 * torch.rand(300, dim, dtype=dtype) - 0.1
    A, b = torch.randn(dim, dim, dtype=dtype), torch.randn(dim, dtype=dtype)
    placed = build(dim)(torch.stack([X, X @ A.mT + b]), queries)[1]
    assert largest(placed, queries @ A.mT + b) <= 1e-4


def test_nearest_is_constant_and_inverse_distance_a_mean():
    X = torch.rand(50, 2)
    x = torch.stack([X, X + 0.2 * torch.rand(50, 2)])
    queries = torch.rand(40, 2)
    u = x[1] - X
    owner = torch.cdist(queries, X).argmin(1)
    assert largest(Nearest(2)(x, queries)[1] - queries, u[owner]) <= 1e-6
    mean = InverseDistance(2)(x, queries)[1] - queries
    assert (mean >= u.amin(0) - 1e-6).all()
    assert (mean <= u.amax(0) + 1e-6).all()


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="k >= 1 and power > 0"):
        InverseDistance(2, power=0.0)
    with pytest.raises(ValueError, match=r"k >= 6 in 3D, got 5"):
        MovingLeastSquares(3, k=5)
    with pytest.raises(ValueError, match="dim of 2 or 3"):
        ThinPlate(4)
