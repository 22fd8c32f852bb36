"""Errors of motions, against numbers worked out by hand."""

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch

from geoops.physics import (
    Box,
    Motion,
    centre_of_mass_error,
    chamfer_distance,
    earth_movers_distance,
    frames_until,
    kinetic_energy_error,
    motion_mse,
    outside_fraction,
    relative_displacement_error,
)

PAIRS = [
    motion_mse,
    relative_displacement_error,
    chamfer_distance,
    earth_movers_distance,
    centre_of_mass_error,
    kinetic_energy_error,
]


def motion(x, spacing=0.5, volume=None, bound=3):
    x = torch.as_tensor(x)
    n, d = x.shape[1:]
    volume = torch.ones(n).to(x) if volume is None else torch.tensor(volume).to(x)
    kinds = torch.zeros(n, dtype=torch.long, device=x.device)
    return Motion(x, spacing, Box((10,) * d, 0.1, bound=bound), kinds, ("jelly",), volume)


@pytest.fixture
def truth(dtype, device):
    """Two particles in the plane, of which the second goes to the right by 1 in each frame."""
    x = torch.zeros(4, 2, 2, dtype=dtype, device=device)
    x[:, 1, 0] = 1 + torch.arange(4)
    return motion(x, volume=[1.0, 3.0])


@pytest.fixture
def other(truth):
    """The same, with the first particle 0, 0, 3 and 6 above and the second 0, 0, 4 and 8 below its place."""
    x = truth.x.clone()
    x[2:, 0, 1] += torch.tensor([3.0, 6.0]).to(x)
    x[2:, 1, 1] -= torch.tensor([4.0, 8.0]).to(x)
    return replace(truth, x=x)


def close(actual, expected, tolerance):
    torch.testing.assert_close(actual, torch.tensor(expected, dtype=torch.float64).to(actual), **tolerance)


def test_mean_squares(truth, other, tolerance):
    close(motion_mse(other, truth, seeds=1), [0.0, 25 / 4, 100 / 4], tolerance)
    close(motion_mse(other, truth, seeds=2, axes="sum"), [25 / 2, 100 / 2], tolerance)
    assert motion_mse(other, truth, seeds=4).shape == (0,)


def test_errors_relative_to_displacements(truth, other, tolerance):
    assert relative_displacement_error(other, truth, seeds=0)[0].isnan()
    close(relative_displacement_error(other, truth, seeds=1), [0.0, 5 / 2, 10 / 3], tolerance)
    far = [replace(m, x=m.x + 1e3) for m in (other, truth)]
    torch.testing.assert_close(relative_displacement_error(*far, seeds=2), relative_displacement_error(other, truth, seeds=2))


def test_clouds(truth, other, tolerance):
    # (0, 3) and (3, -4) against (0, 0) and (3, 0); then (0, 6) and (4, -8) against (0, 0) and (4, 0),
    # of which the last is nearer to the first.
    close(chamfer_distance(other, truth, seeds=1), [0.0, (9 + 16) / 2 * 2, (36 + 64) / 2 + (36 + 52) / 2], tolerance)
    close(earth_movers_distance(other, truth, seeds=1), [0.0, 7 / 2, 14 / 2], tolerance)
    swapped = replace(truth, x=truth.x.flip(1))
    for distance in (chamfer_distance, earth_movers_distance):
        close(distance(swapped, truth, seeds=0), [0.0] * 4, tolerance)
    assert motion_mse(swapped, truth, seeds=0)[0] > 0


def test_assignments_are_no_worse_than_any():
    a, b = torch.rand(1, 6, 3, dtype=torch.float64), torch.rand(1, 6, 3, dtype=torch.float64)
    best = min((a[0] - b[0, list(p)]).norm(dim=1).mean() for p in permutations(range(6)))
    assert earth_movers_distance(motion(a), motion(b), seeds=0).item() == pytest.approx(best.item())


def test_some_particles_stand_for_all():
    a, b = motion(torch.rand(2, 700, 2)), motion(torch.rand(2, 700, 2))
    assert earth_movers_distance(a, b, seeds=0, points=100).shape == (2,)
    assert torch.equal(*(earth_movers_distance(a, b, seeds=0, points=100, seed=3) for _ in range(2)))
    assert not torch.equal(*(earth_movers_distance(a, b, seeds=0, points=100, seed=seed) for seed in (3, 4)))


def test_centres_of_mass(truth, other, tolerance):
    close(centre_of_mass_error(other, truth, seeds=1), [0.0, 9 / 4, 18 / 4], tolerance)  # (3 - 3 * 4) / 4


def test_kinetic_energy(truth, other, tolerance):
    # True: 3 / 2 (1 / 0.5)^2 = 6 in each frame; the errors are 1 / 2 (9 + 3 * 16) / 0.25 = 114.
    close(kinetic_energy_error(other, truth, seeds=1), [0.0, 19.0, 19.0], tolerance)
    still = replace(truth, x=truth.x[:1].expand(4, 2, 2))
    assert kinetic_energy_error(other, still, seeds=1).isnan().all()


def test_particles_outside(dtype, device):
    x = torch.full((3, 4, 2), 0.5, dtype=dtype, device=device)
    low, high = motion(x).bounds[0].tolist()
    x[1, 0, 1] = low - 0.01
    x[2, 0] = x[2, 1, 0] = high + 0.01
    x[2, 3, 1] = math.nan
    assert outside_fraction(motion(x)).tolist() == [0.0, 0.25, 0.75]
    assert outside_fraction(motion(x), slack=0.02).tolist() == [0.0, 0.0, 0.25]
    assert outside_fraction(motion(x, bound=2)).tolist() == [0.0, 0.0, 0.25]


def test_frames_until_an_error(truth, other):
    """The size of the bodies is 1, the mean error 0, 0, 3.5, 7."""
    assert frames_until(other, truth, seeds=1) == 2
    assert frames_until(other, truth, seeds=3) == 3
    assert frames_until(other, truth, seeds=0, share=3.5) == 3
    assert frames_until(other, truth, seeds=0, share=7.0) == 4
    assert frames_until(replace(other, x=other.x * math.nan), truth, seeds=1) == 1


def test_what_is_not_finite(truth, other):
    x = other.x.clone()
    x[3, 0, 0] = math.nan
    broken = replace(other, x=x)
    for error in PAIRS:
        assert error(broken, truth, seeds=2).isfinite().tolist() == [True, False]


@pytest.mark.parametrize("error", [motion_mse, relative_displacement_error, chamfer_distance, earth_movers_distance])
def test_gradients(error, truth):
    x = (truth.x + torch.rand_like(truth.x)).requires_grad_()
    error(replace(truth, x=x), truth, seeds=1).sum().backward()
    assert x.grad[1:].abs().sum() > 0
    assert x.grad[0].abs().sum() == 0


def test_motions_that_do_not_fit(truth, other, unchecked):
    for error in [*PAIRS, frames_until]:
        with pytest.raises(ValueError, match=f"{error.__name__}: expected the same particles, at least one, got 1 in 2 dim"):
            error(other.of(torch.tensor([0], device=other.x.device)), truth, seeds=1)
        with pytest.raises(ValueError, match=r"frames of the same times, got 3 every 0\.5 and 4 every 0\.5"):
            error(replace(other, x=other.x[:3]), truth, seeds=1)
        with pytest.raises(ValueError, match=r"frames of the same times, got 4 every 0\.25 and 4 every 0\.5"):
            error(replace(other, spacing=0.25), truth, seeds=1)
        with pytest.raises(ValueError, match="seeds from 0 to the number of frames 4, got 6"):
            error(other, truth)
        empty = truth.of(torch.empty(0, dtype=torch.long, device=truth.x.device))
        with pytest.raises(ValueError, match="at least one"):
            error(empty, empty, seeds=1)
    with pytest.raises(ValueError, match="at least one particle"):
        outside_fraction(empty)
    with pytest.raises(ValueError, match="axes of mean or sum, got 'all'"):
        motion_mse(other, truth, seeds=1, axes="all")
    with pytest.raises(ValueError, match="points >= 1, got 0"):
        earth_movers_distance(other, truth, seeds=1, points=0)
    with pytest.raises(ValueError, match="seeds >= 1"):
        kinetic_energy_error(other, truth, seeds=0)
    with pytest.raises(ValueError, match="share > 0, got 0"):
        frames_until(other, truth, seeds=1, share=0.0)
