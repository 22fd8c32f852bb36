import math

import pytest
import torch

from geoops import ops
from geoops.geometry import nearest_samples, neighbourhood
from geoops.models import LocalAffine, MovingLeastSquares
from geoops.testing import DecoderSuite, largest, observed_rate


class TestLocalAffine(DecoderSuite):
    def build(self, dim):
        return LocalAffine(dim)


class TestWeightsAlone(DecoderSuite):
    def build(self, dim):
        return LocalAffine(dim, k=9, pair=8, remainder=False)


def shaken(decoder):
    for parameter in decoder.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return decoder.double()


@torch.no_grad()
@pytest.mark.parametrize("dim", [2, 3])
def test_starts_as_moving_least_squares(dim):
    X, queries = torch.rand(300, dim), torch.rand(200, dim)
    x = torch.stack([X, X + 0.1 * torch.sin(3 * X)])
    assert largest(LocalAffine(dim)(x, queries), MovingLeastSquares(dim)(x, queries)) <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("trained", [False, True])
def test_affine_motion_is_exact_trained_or_not(dim, trained, dtype):
    decoder = (shaken(LocalAffine(dim)) if trained else LocalAffine(dim)).to(dtype)
    X, queries = torch.rand(200, dim, dtype=dtype), torch.rand(300, dim, dtype=dtype)
    A, b = torch.randn(dim, dim, dtype=dtype), torch.randn(dim, dtype=dtype)
    assert largest(decoder(torch.stack([X, X @ A.mT + b]), queries)[1], queries @ A.mT + b) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("dim", [2, 3])
def test_turns_with_the_samples(dim):
    decoder = shaken(LocalAffine(dim))
    X, queries = torch.rand(200, dim, dtype=torch.float64), torch.rand(100, dim, dtype=torch.float64)
    x = X + 0.1 * torch.sin(5 * X)
    Q = ops.polar(torch.randn(dim, dim, dtype=torch.float64))[0]
    placed = decoder(torch.stack([X, x, x @ Q.mT + 1]), queries)
    assert largest(placed[1] @ Q.mT + 1, placed[2]) <= 1e-5
    assert largest(placed[1], MovingLeastSquares(dim)(torch.stack([X, x]), queries)[1]) > 1e-3


@pytest.mark.parametrize("dim", [2, 3])
def test_weights_are_positive_and_sum_to_one(dim):
    samples, queries = torch.rand(100, dim), torch.rand(200, dim)
    around = neighbourhood(samples, queries, nearest_samples(samples, queries, 10))
    for weights in (around.weight, around.shape):
        assert (weights.sum(1) - 1).abs().max() <= 1e-5
    assert (around.weight >= 0).all()
    assert (around.weight.sum(1) - 1).abs().max() <= 1e-6


@pytest.mark.parametrize("trained", [False, True])
def test_second_order_on_a_smooth_field(trained):
    decoder = shaken(LocalAffine(2)) if trained else LocalAffine(2).double()
    dense = torch.rand(8000, 2, dtype=torch.float64)
    spacings, errors = [], []
    for n in (64, 128, 256, 512, 1024):
        X = dense[ops.fps(dense, number=n)]
        queries = torch.rand(500, 2, dtype=torch.float64)
        x = torch.stack([X, X + 0.05 * torch.sin(2 * math.pi * X)])
        error = decoder(x, queries)[1] - (queries + 0.05 * torch.sin(2 * math.pi * queries))
        spacings.append(n**-0.5)
        errors.append(float(error.detach().square().mean().sqrt()))
    assert observed_rate(spacings, errors) >= 1.6


def test_does_not_jump_where_neighbours_change():
    decoder = shaken(LocalAffine(2))
    X = torch.rand(200, 2, dtype=torch.float64)
    x = torch.stack([X, X + 0.1 * torch.sin(9 * X)])
    t = torch.linspace(0, 1, 20001, dtype=torch.float64)[:, None]
    path = 0.1 + t * torch.tensor([0.8, 0.7], dtype=torch.float64)
    with torch.no_grad():
        steps = decoder(x, path)[1].diff(dim=0).norm(dim=1)
    assert steps.max() < 5e-4  # 0.05 % of the way in 20000 steps of 0.005 %


def test_learns_what_an_affine_fit_cannot():
    X, queries = torch.rand(150, 2), torch.rand(600, 2)
    decoder = LocalAffine(2)
    optimiser = torch.optim.Adam(decoder.parameters(), 3e-3)

    def motion(x, phase):
        return x + 0.1 * torch.sin(7 * x + phase).roll(1, -1)

    for step in range(150):
        phase = step % 10 * 0.6
        loss = decoder.loss(X, queries, motion(X, phase)[None], motion(queries, phase)[None])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        fresh, true = torch.rand(600, 2), 0.33
        errors = [
            float((d(torch.stack([X, motion(X, true)]), fresh)[1] - motion(fresh, true)).square().mean().sqrt())
            for d in (decoder, MovingLeastSquares(2))
        ]
    assert errors[0] < 0.8 * errors[1]


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match=r"k >= 5 in 2D, got 4"):
        LocalAffine(2, k=4)


def test_size():
    assert sum(p.numel() for p in LocalAffine(3).parameters()) == 6853
