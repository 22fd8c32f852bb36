"""Windows of motions: features, noise, targets and batches."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from geoops.data import Sampling, Windows, chosen_samples, radius_of, random_walk, smooth_walk, window
from geoops.geometry import connecting_radius, sample_spacing
from geoops.models import GIOROM, StepperSizes
from geoops.testing import random_motion


def windows(motions, **options):
    defaults = {"history": 5, "sampling": Sampling(20, 40), "particles": 120, "seed": 1}
    names = tuple(dict.fromkeys(name for motion in motions for name in motion.names))
    return Windows(motions, names, **{**defaults, **options})


def same(a, b):
    names = ("positions", "rest", "material", "radius", "spacing", "bounds", "gravity", "edge_index", "batch")
    return torch.equal(a.future, b.future) and all(torch.equal(a.graph[name], b.graph[name]) for name in names)


@pytest.mark.parametrize("history", [1, 5, 8])
def test_the_last_velocity_has_the_deviation_of_the_noise(history):
    """Check 2: within 3 % over 1e5 draws, and zero for the oldest position; each velocity has its share of the variance."""
    walk = random_walk(torch.zeros(50_000, history + 1, 2), 0.3, torch.Generator().manual_seed(0))
    v = walk.diff(dim=1)
    assert (walk[:, 0] == 0).all()
    assert v[:, -1].std().item() == pytest.approx(0.3, rel=0.03)
    for k in range(history):
        assert v[:, k].std().item() == pytest.approx(0.3 * math.sqrt((k + 1) / history), rel=0.03)
    assert v.mean().abs() < 0.01


def test_targets_are_those_of_noisy_windows():
    """Check 2 and defect 8: the acceleration of the noisy window ends at the true position plus the noise of the newest one."""
    motion = random_motion(60, dtype=torch.float64)
    clean, noisy = (windows([motion], noise=noise, steps=2, particles=20)[3] for noise in (0.0, 1e-3))
    eps = noisy.graph.positions - clean.graph.positions
    assert (eps[:, 0] == 0).all()
    assert eps[:, -1].abs().min() > 0
    assert torch.equal(noisy.graph.rest, clean.graph.rest)
    x = noisy.graph.positions
    v = x[:, -1] - x[:, -2]
    for k in range(2):
        torch.testing.assert_close(noisy.future[:, k], clean.future[:, k] + eps[:, -1], rtol=0, atol=1e-15)
    a = noisy.future[:, 0] - x[:, -1] - v
    closed = (clean.future[:, 0] + eps[:, -1] - x[:, -1]) - v
    torch.testing.assert_close(a, closed, rtol=0, atol=1e-15)
    truth = clean.future[:, 0] - 2 * clean.graph.positions[:, -1] + clean.graph.positions[:, -2]
    # the velocity error is corrected, the offset is kept
    torch.testing.assert_close(a, truth - (eps[:, -1] - eps[:, -2]), rtol=0, atol=1e-14)


def test_long_windows_have_noise_at_their_end_only():
    """Of the newest velocities, as much as in a short window; the positions before are what a stepper remembers."""
    motion = random_motion(60, frames=40, dtype=torch.float64)
    clean, noisy = (windows([motion], noise=noise, strain=noise, history=20, particles=20)[3] for noise in (0.0, 1e-3))
    eps = noisy.graph.positions - clean.graph.positions
    assert eps.shape[1] == 21
    assert (eps[:, :16] == 0).all()
    assert (eps[:, 16:].abs().amax((0, 2)) > 0).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_smooth_noise_has_the_strain_that_is_asked_for(dim):
    """Over many draws; neighbours move alike, and the oldest frame has none."""
    x = torch.rand(200, dim, dtype=torch.float64)
    x[0], x[1] = 0, 1  # the size of the cloud stays
    still, generator = x[:, None].repeat(1, 6, 1), torch.Generator().manual_seed(0)
    near = torch.cat([x[:2], x[2:] + 1e-6 * torch.randn_like(x[2:])])
    strains = []
    for _ in range(200):
        state = generator.get_state()
        walk = smooth_walk(still, 0.01, 0.05, generator)
        assert (walk[:, 0] == 0).all()
        generator.set_state(state)
        other = smooth_walk(near[:, None].repeat(1, 6, 1), 0.01, 0.05, generator)
        v, u = walk[:, -1] - walk[:, -2], other[:, -1] - other[:, -2]
        strains.append((u - v)[2:].square().sum(1) / (near - x)[2:].square().sum(1))
    assert torch.stack(strains).mean().sqrt().item() == pytest.approx(0.01 * 0.5**0.5, rel=0.1)


@pytest.mark.parametrize("restore", [False, True])
def test_noise_of_positions_is_kept_or_taken_back(restore):
    motion = random_motion(60, dtype=torch.float64)
    clean, noisy = (windows([motion], noise=n, restore=restore, steps=2, particles=20)[3] for n in (0.0, 1e-3))
    left = (not restore) * (noisy.graph.newest - clean.graph.newest)
    torch.testing.assert_close(noisy.future, clean.future + left[:, None], rtol=0, atol=1e-15)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_true_accelerations_reproduce_a_motion(dtype, bound):
    """Check 3: over 200 frames, through the statistics that accelerations are normalised by."""
    motion = random_motion(40, frames=207, spacing=1e-3, dtype=dtype)
    scale = GIOROM(StepperSizes(2, ("jelly",)), width=4).to(dtype).scale
    scale.acceleration_std.fill_(motion.x.diff(n=2, dim=0).std().item())
    scale.noise.fill_(3e-4)
    graph = window(motion, torch.arange(40), 5, ("jelly",), 5, 0.1)
    v, x = graph.positions[:, -1] - graph.positions[:, -2], graph.newest
    normal = motion.x.double().diff(n=2, dim=0) / scale.acceleration_size
    for t in range(5, 205):
        v = v + (normal[t - 1] * scale.acceleration_size).to(dtype)
        x = x + v
    assert (x - motion.x[205]).abs().max() < bound


def test_a_window_holds_the_frames_and_facts_of_its_scene():
    motion = random_motion(60, names=("sand", "water"))
    chosen = torch.arange(0, 60, 3)
    graph = window(motion, chosen, 7, ("jelly", "water", "sand"), 5, 0.2)
    assert torch.equal(graph.positions, motion.x[2:8, chosen].transpose(0, 1))
    assert torch.equal(graph.rest, motion.x[0, chosen])
    assert graph.material.tolist() == [2] * 10 + [1] * 10
    assert torch.equal(graph.bounds[0], motion.bounds)
    assert torch.equal(graph.gravity[0], motion.gravity)
    assert graph.gravity[0, 1].item() == pytest.approx(-9.8 * 5e-3**2)
    assert graph.spacing.item() == pytest.approx(sample_spacing(motion.volume.sum().item(), 20, 2))
    early = window(motion, chosen, 1, ("sand", "water"), 5, 0.2)
    assert torch.equal(early.positions[:, 4:], motion.x[:2, chosen].transpose(0, 1))
    assert early.positions.shape == (20, 6, 2)
    with pytest.raises(ValueError, match="the material 'sand' was not there in the training, which had jelly, water"):
        window(motion, chosen, 7, ("jelly", "water"), 5, 0.2)


@pytest.mark.parametrize("dim", [2, 3])
def test_one_rule_gives_the_radius_of_training_and_of_roll_outs(dim):
    """Defect 21: wherever samples hang together the roll-out has the radius of the training."""
    motion = random_motion(400, dim)
    for n, degree in itertools.product((100, 200), (None, 24.0)):
        chosen = chosen_samples(motion, n, "fps", 0)
        spacing = sample_spacing(motion.volume.sum().item(), n, dim)
        radius = connecting_radius(motion.x[0, chosen], spacing, degree=degree)
        assert radius == pytest.approx(radius_of(motion, n, degree), rel=1e-6)
    assert radius_of(motion, 100) == pytest.approx(4 ** (1 / dim) * radius_of(motion, 400))


def test_samples_have_about_the_degree_as_neighbours():
    motion = random_motion(4000, spacing=1e-4)
    batch = windows([motion], sampling=Sampling(400, 400, choices=("fps",)), particles=400)[0]
    source, target = batch.graph.edge_index
    inner = (batch.graph.newest - batch.graph.newest.mean(0)).norm(dim=1) < 0.06
    degree = torch.bincount(target[source != target], minlength=400)[inner]
    assert 9 < degree.double().mean() < 15


def test_batches_are_functions_of_seed_and_step():
    motions = [random_motion(60, seed=seed) for seed in range(3)]
    options = {
        "noise": 1e-3,
        "steps": 2,
        "symmetric": True,
        "sampling": Sampling(20, 40, ("random", "fps", "boundary"), jitter=0.1),
    }
    one = list(itertools.islice(windows(motions, **options), 5))
    again = windows(motions, **options)
    torch.rand(5)
    assert same(again[3], one[3])
    assert same(next(iter(windows(motions, start=2, **options))), one[2])
    assert not same(one[0], one[1])
    assert not same(windows(motions, **{**options, "seed": 2})[0], one[0])
    ways = set()
    for batch in one:
        graph = batch.graph
        assert len(graph.material) == len(batch.future) == len(graph.batch)
        assert graph.scenes == round(120 / (len(graph.material) / graph.scenes))
        assert 20 <= len(graph.material) / graph.scenes <= 40
        assert batch.future.shape[1:] == (2, 2)
        # edges stay within scenes, and within their radius
        source, target = graph.edge_index
        assert torch.equal(graph.batch[source], graph.batch[target])
        ways |= set(graph.radius.tolist())
    assert len(ways) > 10  # jitter


def test_every_frame_can_be_the_newest():
    motion = random_motion(30, frames=6)
    batches = windows([motion], sampling=Sampling(30, 30), particles=30, steps=2)
    found = set()
    for i in range(60):
        batch = batches[i]
        t = int((motion.x - batch.graph.newest).abs().amax((1, 2)).argmin())
        assert torch.equal(motion.x[t], batch.graph.newest)
        assert torch.equal(motion.x[t + 1 : t + 3].transpose(0, 1), batch.future)
        found.add(t)
    assert found == {1, 2, 3}


@pytest.mark.parametrize("dim", [2, 3])
def test_mirrored_and_turned_scenes_are_scenes(dim):
    motion = random_motion(30, dim)
    motion = replace(motion, box=replace(motion.box, gravity=(0.0, -9.8, 0.0)[:dim]))
    options = {"sampling": Sampling(30, 30), "particles": 30}
    plain, changed = windows([motion], **options), windows([motion], symmetric=True, **options)
    ways = set()
    for i in range(30):
        a, b = plain[i], changed[i]
        down = int(b.graph.gravity[0].abs().argmax())
        sign = float(b.graph.gravity[0, down].sign())
        ways.add((down, sign))
        assert b.graph.gravity.norm().item() == pytest.approx(a.graph.gravity.norm().item())
        for one, other in ((a.graph.newest, b.graph.newest), (a.graph.rest, b.graph.rest), (a.future[:, 0], b.future[:, 0])):
            torch.testing.assert_close(
                torch.cdist(one.double(), one.double()), torch.cdist(other.double(), other.double()), atol=1e-5, rtol=0
            )
            low, high = motion.bounds[1]
            height = other[:, down] - low if sign < 0 else high - other[:, down]
            torch.testing.assert_close(height, one[:, 1] - low, atol=1e-6, rtol=0)
    assert len(ways) == 2 * dim


def test_boxes_with_different_walls_stay_as_they_are():
    motion = random_motion(30)
    walls = ("free-slip", "free-slip", "no-slip", "free-slip")
    motion = replace(motion, box=replace(motion.box, walls=walls))
    options = {"sampling": Sampling(30, 30), "particles": 30}
    for i in range(5):
        assert same(windows([motion], **options)[i], windows([motion], symmetric=True, **options)[i])


def test_what_does_not_fit(unchecked):
    with pytest.raises(ValueError, match=r"samples: expected 4 <= least <= most, got 3 and 10"):
        Sampling(3, 10)
    with pytest.raises(ValueError, match="got 10 and 5"):
        Sampling(10, 5)
    with pytest.raises(ValueError, match="a window with 4 frames after it needs motions of 6 frames, got 5"):
        windows([random_motion(30, frames=5)], steps=4)
    with pytest.raises(ValueError, match=r"expected at least d \+ 2 = 4 samples, got 3"):
        windows([random_motion(3)], sampling=Sampling(4, 4))[0]
    with pytest.raises(ValueError, match=r"expected at least d \+ 2 = 5 samples, got 4"):
        windows([random_motion(30, 3)], sampling=Sampling(4, 4))[0]
    with pytest.raises(ValueError, match="2 bodies need at least 8 samples"):
        windows([random_motion(30, names=("jelly", "sand"))], sampling=Sampling(5, 5))[0]
