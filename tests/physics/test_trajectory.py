"""Motions and their errors."""

from dataclasses import replace

import pytest
import torch

from geoops.physics import Box, Particles, Trajectory, mean_position_mse, position_mse


def motion(steps=(0, 5, 10, 15), particles=6, d=3, dtype=torch.float64):
    x = torch.rand(len(steps), particles, d, dtype=dtype)
    state = Particles.undeformed(x, volume=1.0, density=1.0)
    state = replace(state, mass=state.mass[0], volume=state.volume[0])
    return Trajectory(state, torch.tensor(steps), Box((4,) * d, 0.25), 1e-3, torch.zeros(particles, dtype=torch.long), ("jelly",))


def moved(trajectory, by):
    """The same motion with each coordinate of frame i moved by by[i]."""
    shift = torch.tensor(by, dtype=trajectory.frames.x.dtype)[:, None, None]
    return replace(trajectory, frames=replace(trajectory.frames, x=trajectory.frames.x + shift))


def test_errors_of_each_frame_and_their_mean(dtype, tolerance):
    truth = motion(dtype=dtype)
    other = moved(truth, [0.0, 0.1, 0.2, 0.3])
    torch.testing.assert_close(position_mse(other, truth), torch.tensor([0, 0.01, 0.04, 0.09], dtype=dtype), **tolerance)
    torch.testing.assert_close(mean_position_mse(other, truth), torch.tensor(0.035, dtype=dtype), **tolerance)
    torch.testing.assert_close(mean_position_mse(other, truth, every=10), torch.tensor(0.02, dtype=dtype), **tolerance)


def test_steps_between_do_not_count():
    truth = motion(range(11), d=2)
    error = [1.0] * 11
    error[0] = error[5] = error[10] = 0.0
    assert mean_position_mse(moved(truth, error), truth).item() == 0


def test_errors_are_differentiable():
    truth = motion()
    x = truth.frames.x.clone().requires_grad_()
    mean_position_mse(replace(truth, frames=replace(truth.frames, x=x + 0.1)), truth).backward()
    assert x.grad.abs().max() > 0


def test_motions_that_do_not_fit(unchecked):
    truth = motion()
    with pytest.raises(ValueError, match="expected the same particles, got 5 in 3 dimensions and 6 in 3"):
        position_mse(motion(particles=5), truth)
    with pytest.raises(ValueError, match=r"4 frames at steps 0, 5, 10, 20 of dt = 0\.001 and 4 frames at steps 0, 5, 10, 15"):
        position_mse(motion((0, 5, 10, 20)), truth)
    with pytest.raises(ValueError, match="the same times"):
        position_mse(replace(truth, dt=2e-3), truth)
    with pytest.raises(ValueError, match=r"steps 0, 5, 10, \.\.\., got 5 frames at steps 0, 5, \.\.\., 25"):
        mean_position_mse(*[motion((0, 5, 10, 15, 25))] * 2)
    with pytest.raises(ValueError, match="larger every"):
        mean_position_mse(*[motion((5, 10))] * 2)
    with pytest.raises(ValueError, match="every >= 1"):
        mean_position_mse(truth, truth, every=0)
