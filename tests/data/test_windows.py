"""Windows of motions: features, noise, targets and batches."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from geoops.data import Sampling, Windows, chosen_samples, connected_radius, radius_of, random_walk, smooth_walk, window
from geoops.data.particles import random_scene
from geoops.geometry import bodies, sample_spacing
from geoops.learning import roll_out
from geoops.models import GIOROM, StepperSizes
from geoops.physics import Box, Motion
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
    """Check 3: over 200 frames of a roll-out, through the statistics that accelerations are normalised by."""
    motion = random_motion(40, frames=207, spacing=1e-3, dtype=dtype)
    stepper = GIOROM(StepperSizes(2, ("jelly",)), width=4).to(dtype)
    stepper.scale.acceleration_std.fill_(motion.x.diff(n=2, dim=0).std().item())
    stepper.scale.noise.fill_(3e-4)
    size = stepper.scale.acceleration_size.double()
    assert size[0].item() == pytest.approx(math.hypot(motion.x.diff(n=2, dim=0).std().item(), 3e-4), rel=1e-6)
    normal = iter(motion.x.double().diff(n=2, dim=0)[4:] / size)
    stepper.forward = lambda graph: (next(normal) * size).to(dtype)
    graph = window(motion, torch.arange(40), 5, ("jelly",), 5, 0.1).joined()
    *_, x = roll_out(stepper, graph, 200, clamp=False)
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
        assert connected_radius(motion, chosen, degree) == pytest.approx(radius_of(motion, n, degree), rel=1e-6)
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
    assert found == {0, 1, 2, 3}


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
    with pytest.raises(ValueError, match="a window with 5 frames after it needs motions of 6 frames, got 5"):
        windows([random_motion(30, frames=5)], steps=5)
    with pytest.raises(ValueError, match=r"expected at least d \+ 2 = 4 samples, got 3"):
        windows([random_motion(3)], sampling=Sampling(4, 4))[0]
    with pytest.raises(ValueError, match=r"expected at least d \+ 2 = 5 samples, got 4"):
        windows([random_motion(30, 3)], sampling=Sampling(4, 4))[0]
    with pytest.raises(ValueError, match="2 bodies need at least 8 samples"):
        windows([random_motion(30, names=("jelly", "sand"))], sampling=Sampling(5, 5))[0]


def test_samples_are_checked():
    motion = random_motion(60)
    for wrong, words in (
        ([3, 3, 4, 5, 6], "the number 3 is there more than once"),
        ([0, 1, 2], r"expected at least d \+ 2 = 4 samples, got 3"),
        ([0, 1, 2, 60], "expected numbers from 0 to 59, got 60"),
    ):
        with pytest.raises(ValueError, match=words):
            window(motion, torch.tensor(wrong), 7, ("jelly",), 5, 0.2)


def starts(material, dim, seed, variant):
    """A random scene of few particles, as a motion that stands still."""
    start, numbers = (scene := random_scene(material, dim, seed, particles=2000, frames=1, variant=variant)).start()
    return Motion(start.x.float().expand(2, -1, -1), 5e-3, scene.box, numbers, scene.names, start.volume.float())


@pytest.mark.parametrize(("material", "dim"), [("jelly", 2), ("water", 3), ("jelly+water", 2), ("plasticine+sand", 3)])
@pytest.mark.parametrize("variant", ["usual", "geometry", "velocity"])
def test_samples_of_generated_scenes_hang_together(material, dim, variant):
    """Check 7: farthest and random points, from all particles to one in 32, in no more parts than all particles are.

    Few particles of a gyroid are several parts; where the others lie closer it is the samples that the radius grows for.
    """
    for seed in range(3):
        motion = starts(material, dim, seed, variant)
        there = motion.body
        for ratio, way in itertools.product((1, 2, 4, 8, 16, 32), ("fps", "random")):
            chosen = chosen_samples(motion, 2000 // ratio, way, seed)
            radius = connected_radius(motion, chosen)
            found = bodies(motion.x[0, chosen], radius, motion.material[chosen])
            assert len(found.unique()) <= len(there.unique())
            for body in there[chosen].unique():
                assert len(found[there[chosen] == body].unique()) == 1
            assert radius <= {"fps": 1.5, "random": 2.5}[way] * radius_of(motion, len(chosen))


def thrown(*speeds, frames=8):
    """Squares of jelly side by side, each with its own speed along the second axis, and no gravity."""
    axis = torch.linspace(0, 0.1, 10)
    square = torch.cartesian_prod(axis, axis)
    x = torch.cat([square + torch.tensor([0.1 + 0.25 * i, 0.4]) for i in range(len(speeds))])
    v = torch.tensor(speeds).repeat_interleave(100)[:, None] * torch.tensor([0.0, 1.0])
    steps = torch.arange(frames)[:, None, None]
    box = Box((32, 32), 1 / 32, gravity=(0.0, 0.0))
    n = len(x)
    return Motion(x + steps * v, 5e-3, box, torch.zeros(n, dtype=torch.int64), ("jelly",), torch.full((n,), 1.2e-4))


def test_bodies_of_one_material_fly_apart_before_the_start():
    """Each with its own velocity, not all with their mean."""
    motion = thrown(0.01, -0.01)
    assert motion.body.tolist() == [0] * 100 + [1] * 100
    graph = window(motion, torch.arange(200), 0, ("jelly",), 5, 0.03)
    v = graph.positions.diff(dim=1)[..., 1]
    torch.testing.assert_close(v[:100], torch.full((100, 5), 0.01), rtol=0, atol=1e-6)
    torch.testing.assert_close(v[100:], torch.full((100, 5), -0.01), rtol=0, atol=1e-6)


def test_gaps_between_bodies_do_not_widen_the_radius():
    """Two bodies of one material, alone and beside another material."""
    motion = thrown(0.0, 0.0, 0.0)
    several = replace(motion, names=("jelly", "water"), material=torch.tensor([0, 1, 0]).repeat_interleave(100))
    chosen = torch.arange(0, 300, 2)
    for scene in (motion, several):
        assert connected_radius(scene, chosen) == pytest.approx(radius_of(motion, 150), rel=0.11)
