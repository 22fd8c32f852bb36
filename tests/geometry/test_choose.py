"""Choices of samples: even, random, and with more of them on the surface."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.geometry import Sphere, check_samples, choose_samples, fill, near_surface

METHODS = ["fps", "random", "boundary"]


def cloud(count, dim, seed=0, dtype=torch.float64):
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaps(points, chosen):
    """Largest distance of a point to the samples."""
    return torch.cdist(points, points[chosen]).amin(1).max()


@given(st.integers(0, 1000), st.integers(5, 120), st.sampled_from([2, 3]), st.sampled_from(METHODS), st.data())
@settings(max_examples=60, deadline=None)
def test_samples_are_different_points_in_order(seed, count, dim, method, data):
    n = data.draw(st.integers(dim + 2, count))
    points = cloud(count, dim, seed)
    chosen = choose_samples(points, n, method, seed=seed)
    assert chosen.dtype == torch.int64
    assert torch.equal(chosen, chosen.unique())
    assert chosen.shape == (n,)
    assert torch.equal(chosen, choose_samples(points, n, method, generator=torch.Generator().manual_seed(seed)))
    assert torch.equal(chosen, check_samples(chosen.flip(0), count, dim))


@pytest.mark.parametrize("method", METHODS)
def test_seeds_choose(method, dtype, device):
    points = cloud(300, 2, dtype=dtype)
    some = [choose_samples(points, 30, method, seed=seed) for seed in range(3)]
    assert not torch.equal(some[0], some[1])
    assert torch.equal(choose_samples(points.to(device), 30, method, seed=2).cpu(), some[2])


@pytest.mark.parametrize("dim", [2, 3])
def test_farthest_points_are_the_most_even(dim):
    points = cloud(2000, dim)
    fps, random = (gaps(points, choose_samples(points, 100, method)) for method in ("fps", "random"))
    assert fps < 0.7 * random


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("relaxations", [0, 5])
def test_the_surface_of_a_ball(dim, relaxations):
    """Points of the first layer are told from those deep inside."""
    points = fill(Sphere(), 3000, centre=(0.0,) * dim, relaxations=relaxations)
    depth = (0.5 - points.norm(dim=1)) / (Sphere().volume(dim) / 3000) ** (1 / dim)  # in units of the spacing
    surface = near_surface(points)
    assert surface[depth.argsort()[:100]].float().mean() > 0.95
    assert surface[depth > 3].float().mean() < 0.02


@pytest.mark.parametrize("dim", [2, 3])
def test_half_of_the_samples_are_on_the_surface(dim):
    side = 40 if dim == 2 else 14
    points = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, side)] * dim, indexing="ij"), -1).reshape(-1, dim)
    rim = ((points == 0) | (points == 1)).any(1)
    assert near_surface(points)[rim].all()
    chosen = choose_samples(points, 80, "boundary")
    assert near_surface(points)[chosen].sum() == 40
    on = torch.cdist(points[rim], points[chosen[near_surface(points)[chosen]]]).amin(1).max()
    assert on < (0.15 if dim == 2 else 0.6)


def test_more_samples_than_one_half_has():
    points = cloud(200, 2)
    surface = near_surface(points)
    assert choose_samples(points, 200, "boundary").tolist() == list(range(200))
    many = choose_samples(points, 190, "boundary")
    assert surface[many].sum() == min(int(surface.sum()), max(95, 190 - int((~surface).sum())))


@pytest.mark.parametrize("method", METHODS)
def test_bodies_have_their_share(method):
    body = torch.tensor([7] * 600 + [-2] * 300 + [1] * 20 + [3] * 3)[torch.randperm(923)]
    points = cloud(923, 2) + body[:, None]
    chosen = choose_samples(points, 93, method, body=body)
    number = {int(k): int((body[chosen] == k).sum()) for k in body.unique()}
    assert number[1] == 4  # the least number, d + 2
    assert number[3] == 3  # all it has
    assert sum(number.values()) == 93
    assert abs(number[7] - 2 * number[-2]) <= 3


def test_bodies_fill_up():
    body = torch.tensor([0] * 10 + [1] * 10)
    assert choose_samples(cloud(20, 2), 20, body=body).tolist() == list(range(20))
    assert len(choose_samples(cloud(20, 2), 8, body=body)) == 8


def test_points_that_coincide():
    assert choose_samples(torch.zeros(9, 2), 5).unique().numel() == 5
    assert choose_samples(torch.zeros(9, 2), 5, "boundary").unique().numel() == 5


def test_no_points():
    assert near_surface(torch.zeros(0, 3)).shape == (0,)
    assert near_surface(torch.zeros(1, 2)).tolist() == [True]


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (3, {}, r"n: expected at least d \+ 2 = 4 samples, got 3"),
        (21, {}, "n: expected at most all 20 points, got 21"),
        (5, {"method": "even"}, "expected a method of fps, random, boundary, got 'even'"),
        (7, {"body": torch.arange(20) // 10}, r"2 bodies need at least 8 samples, d \+ 2 each, got 7"),
        (7, {"body": torch.arange(19)}, "expected the body of each of 20 points, got 19"),
    ],
)
def test_bad_choices(n, options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        choose_samples(cloud(20, 2), n, **options)


def test_bad_points():
    points = cloud(20, 3)
    with pytest.raises(ValueError, match="in 2 or 3 dimensions, got 1"):
        choose_samples(points[:, :1], 5)
    points[3, 1] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        choose_samples(points, 5)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 1, 2], r"at least d \+ 2 = 4 samples, got 3"),
        ([0, 1, 2, 3, 4, 4, 5, 6, 7], "at most all 8 points, got 9"),
        ([3, 1, 2, 3, 0], "the number 3 is there more than once"),
        ([0, 1, 2, 8], "numbers from 0 to 7, got 8"),
        ([0, 1, 2, -1], "numbers from 0 to 7, got -1"),
    ],
)
def test_bad_samples_of_a_user(indices, message):
    with pytest.raises(ValueError, match=message):
        check_samples(torch.tensor(indices), 8, 2)
