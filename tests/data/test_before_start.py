"""Frames in front of the first one."""

import pytest
import torch

from geoops.data import before_start


@pytest.mark.parametrize("dim", [2, 3])
def test_rigid_flights_are_continued(dim, dtype):
    """Two bodies, each with its own turn and velocity, come back exactly."""
    t = torch.arange(-5, 2, dtype=torch.float64)
    body = torch.arange(2).repeat_interleave(12)
    g = torch.randn(dim, dtype=torch.float64) * 1e-3
    x = torch.empty(7, 24, dim, dtype=torch.float64)
    for number in range(2):
        arm, skew = torch.randn(12, dim, dtype=torch.float64), 0.1 * torch.randn(dim, dim, dtype=torch.float64)
        arm = arm - arm.mean(0)
        turn = torch.linalg.matrix_exp((skew - skew.T) * t[:, None, None])
        path = torch.randn(dim) + t[:, None] * torch.randn(dim, dtype=torch.float64) + t[:, None] * (t[:, None] + 1) / 2 * g
        x[:, body == number] = path[:, None] + arm @ turn.mT
    found = before_start(x[5].to(dtype), x[6].to(dtype), g.to(dtype), 5, body)
    assert found.dtype == dtype
    bound = 1e-10 if dtype == torch.float64 else 5e-5
    torch.testing.assert_close(found, x[:5].to(dtype), rtol=0, atol=bound)


def test_deformations_are_left_out():
    """The best rotation is taken: what stretches does not shrink on the way back."""
    x0 = torch.randn(30, 2, dtype=torch.float64)
    found = before_start(x0, x0 + 0.05 * (x0 - x0.mean(0)), torch.zeros(2, dtype=torch.float64), 3)
    torch.testing.assert_close(found, x0.expand(3, 30, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_few_points(dim):
    """One point has no turn, points on a line have one, and none make no frames of any."""
    g = torch.full((dim,), -1e-3)
    for x in (torch.rand(1, dim), torch.linspace(0, 1, 5)[:, None].expand(5, dim).clone(), torch.rand(0, dim)):
        found = before_start(x, x + 0.1, g, 2)
        assert found.shape == (2, *x.shape)
        torch.testing.assert_close(found, torch.stack([x - 0.2 + 3 * g, x - 0.1 + g]), rtol=0, atol=1e-5)
    assert before_start(torch.rand(4, dim), torch.rand(4, dim), g, 0).shape == (0, 4, dim)
