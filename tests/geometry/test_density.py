"""How dense samples are, and moving them apart."""

import itertools

import pytest
import torch

from geoops.geometry import relax_density, sample_density

SIDE = {2: 20, 3: 10}


def even(dim, dtype=torch.float64):
    """A lattice in the unit box, its spacing, and a radius within which there are 12 or 20 neighbours."""
    n = SIDE[dim]
    points = torch.tensor(list(itertools.product(range(n), repeat=dim)), dtype=dtype)
    return (points + 0.5) / n, torch.tensor([1 / n], dtype=dtype), torch.tensor([{2: 2.05, 3: 1.8}[dim] / n], dtype=dtype)


def inside(x, margin):
    return ((x > margin) & (x < 1 - margin)).all(1)


@pytest.mark.parametrize("dim", [2, 3])
def test_an_even_sample_is_a_little_below_one(dim):
    """As nobody is near oneself; at random there are as many near as far, and the mean is one."""
    x, spacing, radius = even(dim)
    density = sample_density(x, radius, spacing)
    among = inside(x, radius)
    assert among.any()
    assert 0.8 < density[among].min() <= density[among].max() < 0.9
    assert density[~among].max() < density[among].min() + 1e-6
    torch.manual_seed(0)
    scattered = torch.rand(20_000, dim, dtype=x.dtype)
    spacing, radius = torch.tensor([20_000 ** (-1 / dim)], dtype=x.dtype), torch.tensor([2 * 20_000 ** (-1 / dim)], dtype=x.dtype)
    density = sample_density(scattered, radius, spacing)[inside(scattered, radius)]
    assert density.mean().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_density_is_the_formula(dim):
    """Of a few points, pair by pair."""
    from geoops.geometry._density import EVEN

    x, r, s = torch.rand(30, dim, dtype=torch.float64), 0.4, 0.1
    q = torch.cdist(x, x) / r
    wanted = (1 + ((1 - q**2).clamp_min(0) ** 2).fill_diagonal_(0).sum(1)) / (1 + EVEN[dim] * (r / s) ** dim)
    found = sample_density(x, torch.tensor([r], dtype=x.dtype), torch.tensor([s], dtype=x.dtype))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    q = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    shell = {2: 2 * torch.pi * q, 3: 4 * torch.pi * q**2}[dim]
    assert torch.trapezoid((1 - q**2) ** 2 * shell, q).item() == pytest.approx(EVEN[dim], rel=1e-6)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_pressed_expand_without_moving_as_a_whole(dim):
    x, spacing, radius = even(dim)
    pressed = x - 0.3 * (x - 0.5) * torch.exp(-((x - 0.5) / 0.2).square().sum(1, keepdim=True))
    most = torch.ones(len(x), dtype=x.dtype)
    moved = relax_density(pressed, most, radius, spacing, sweeps=40)
    before, after = (sample_density(p, radius, spacing) for p in (pressed, moved))
    assert before.max() > 1.3
    assert (after - 1).clamp_min(0).mean() < 0.2 * (before - 1).clamp_min(0).mean()
    torch.testing.assert_close(moved.mean(0), pressed.mean(0), rtol=0, atol=1e-12)
    step = relax_density(pressed, most, radius, spacing, sweeps=1) - pressed
    assert 0 < step.norm(dim=1).max() <= 0.1 * spacing * (1 + 1e-9)


def test_what_is_thin_enough_stays():
    x, spacing, radius = even(2)
    assert torch.equal(relax_density(x, torch.full((400,), 1.2, dtype=x.dtype), radius, spacing), (x / radius) * radius)


def test_walls_hold():
    x, spacing, radius = even(2)
    pressed = torch.stack([0.6 * x[:, 0], x[:, 1]], 1)
    bounds = torch.tensor([[[0.0, 1.0], [0.0, 1.0]]], dtype=x.dtype)
    moved = relax_density(pressed, torch.ones(400, dtype=x.dtype), radius, spacing, bounds=bounds, sweeps=30)
    assert moved.min() >= 0
    assert moved[:, 1].max() <= 1
    assert moved[:, 0].max() > pressed[:, 0].max() + spacing / 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scenes_do_not_see_each_other(dtype):
    """And the order of the particles does not matter."""
    x, spacing, radius = even(2, dtype)
    one, other = 0.8 * x, 0.7 * x[:100]
    scene = torch.cat([torch.zeros(400), torch.ones(100)]).long()
    both = {"radius": torch.cat([radius, 2 * radius]), "spacing": torch.cat([spacing, 2 * spacing])}
    most = torch.full((500,), 0.9, dtype=dtype)
    alone = [relax_density(one, most[:400], radius, spacing), relax_density(other, most[:100], 2 * radius, 2 * spacing)]
    together = relax_density(torch.cat([one, other]), most, **both, scene=scene)
    bound = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=bound)
    order = torch.randperm(400)
    torch.testing.assert_close(relax_density(one[order], most[:400], radius, spacing), alone[0][order], rtol=0, atol=bound)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_odd_clouds_are_finite(dim, count):
    """No particle, one, and many in one place."""
    x, s, r = torch.full((count, dim), 0.5), torch.tensor([0.1]), torch.tensor([0.3])
    assert sample_density(x, r, s).isfinite().all()
    moved = relax_density(x, torch.ones(count), r, s)
    assert moved.shape == (count, dim)
    assert moved.isfinite().all()
