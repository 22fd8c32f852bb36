import math

import pytest
import torch

from geoops import ops
from geoops.models import FlowMap, InverseDistance, LocalSpline, MovingLeastSquares, ThinPlate
from geoops.testing import DecoderSuite, largest


class TestFlowMap(DecoderSuite):
    def build(self, dim):
        return FlowMap(dim, hidden=8, every=2)


class TestFlip(DecoderSuite):
    def build(self, dim):
        return FlowMap(dim, hidden=8, flip=0.95)


class TestMeanVelocity(DecoderSuite):
    def build(self, dim):
        return FlowMap(dim, hidden=8, affine=False, spline=0.0)


def mixed(X, frames, turns=3.0):
    """Returns points in a flow that winds them up around a vortex: neighbours separate by far more than their spacing."""
    at = X - 0.5
    angle = 2 * math.pi * turns * torch.exp(-((at.norm(dim=1) / 0.2) ** 2)) / (frames - 1)
    turned = angle * torch.arange(frames, dtype=X.dtype)[:, None]
    c, s = turned.cos(), turned.sin()
    return 0.5 + torch.stack([c * at[:, 0] - s * at[:, 1], s * at[:, 0] + c * at[:, 1]], -1)


@torch.no_grad()
def test_beats_neighbours_at_rest_once_they_are_mixed():
    """The kernels of GIOROM keep the neighbours of the start (defect 19), and the splat adds to no position (17)."""
    X = torch.rand(3000, 2)
    chosen = ops.fps(X, number=200)
    left = torch.ones(len(X), dtype=torch.bool)
    left[chosen] = False
    true = mixed(X, 60)
    errors = {}
    for decoder in (FlowMap(2), InverseDistance(2), MovingLeastSquares(2), LocalSpline(2), ThinPlate(2)):
        placed = decoder(true[:, chosen], X[left])
        errors[type(decoder).__name__] = float((placed[-1] - true[-1, left]).norm(dim=1).mean())
    flow = errors.pop("FlowMap")
    assert flow < 0.5 * min(errors.values()), (flow, errors)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("flip", [0.0, 0.95])
@torch.no_grad()
def test_affine_flow_is_exact_trained_or_not(flip, dim, dtype):
    decoder = FlowMap(dim, flip=flip).to(dtype)
    for parameter in decoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    X, queries = torch.rand(200, dim, dtype=dtype), torch.rand(100, dim, dtype=dtype)
    step = torch.tensor([[0.03, 0.05, 0.0], [-0.04, -0.02, 0.01], [0.0, 0.02, -0.01]], dtype=dtype)[:dim, :dim]
    powers = [torch.linalg.matrix_power(torch.eye(dim, dtype=dtype) + step, t) for t in range(20)]
    frames = torch.stack([X @ A.mT for A in powers])
    assert largest(decoder(frames, queries)[-1], queries @ powers[-1].mT) <= 1e-4


@torch.no_grad()
def test_goes_on_from_where_it_was():
    X = torch.rand(500, 2)
    true = mixed(X, 12)
    decoder = FlowMap(2, flip=0.5)
    whole = decoder(true[:, :200], X[200:])
    state, parts = decoder.begin(X[:200], X[200:]), []
    for some in true[:, :200].split([5, 1, 6]):
        placed, state = decoder.place(state, some)
        parts.append(placed)
    assert torch.equal(whole, torch.cat(parts))


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="got k = 4, every = 0 and flip = 2"):
        FlowMap(2, k=4, every=0, flip=2.0)
