"""Random scenes of particles, and whole sets of their motions."""

import itertools
import math

import pytest
import torch
import yaml

from geoops.data import Body, parse_scene, read_motion
from geoops.data._body import resolve_solid
from geoops.data.particles import make, random_scene

SMALL = {"particles": 60, "frames": 3, "jobs": 1}


def scene(material="jelly", dim=2, seed=0, **options):
    return random_scene(material, dim, seed, **{"particles": 60, "frames": 4, **options})


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("material", ["jelly", "sand+water", "jelly+plasticine+sand"])
@pytest.mark.parametrize("variant", ["usual", "geometry", "velocity"])
def test_bodies_are_in_the_box_apart_and_of_the_right_volume(dim, material, variant):
    names = tuple(material.split("+"))
    volumes = {2: (0.07, 0.12), 3: (0.025, 0.045)}[dim]
    for seed in range(3):
        found = scene(material, dim, seed, variant=variant)
        start, number = found.start()
        assert found.names == names
        assert len(start.x) == 60
        assert torch.bincount(number).tolist() == [60 // len(names)] * len(names)
        assert ((start.x > 0.05) & (start.x < 0.95)).all()
        assert start.volume.sum() <= volumes[1]
        if variant != "geometry":  # rings side by side are thin
            assert start.volume.sum() >= (volumes[0] if len(names) == 1 else 0.1 * volumes[0])
        torch.testing.assert_close(start.volume, start.volume.mean().expand(60))
        assert found.steps * found.dt == pytest.approx(4 * 5e-3)
        assert found.every * found.dt == pytest.approx(5e-3)
        for body in found.bodies:
            speed = math.hypot(*body.velocity)
            assert (2 <= speed <= 3) if variant == "velocity" else speed <= 2
            assert (body.shape["solid"] in ("Star", "Torus", "Gyroid")) == (variant == "geometry")
            assert max(map(abs, body.spin)) <= 5


@pytest.mark.parametrize("dim", [2, 3])
def test_bodies_of_several_materials_do_not_overlap(dim):
    for seed, variant, material in itertools.product(range(2), ("usual", "geometry"), ("jelly+water", "sand+jelly+water")):
        start, number = scene(material, dim, seed, particles=150, variant=variant).start()
        for body in range(number.max()):
            assert start.x[number == body, 0].max() < start.x[number == body + 1, 0].min(), seed


def test_a_scene_is_a_function_of_its_seed():
    assert scene(seed=3) == scene(seed=3)
    assert scene(seed=3) != scene(seed=4)
    assert parse_scene(scene(seed=3, dim=3).yaml()).bodies == scene(seed=3, dim=3).bodies


def test_a_set_goes_on_where_it_stopped(tmp_path):
    root = make(tmp_path / "set", **SMALL, train=2, val=1, test=1)
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.vtkhdf"))
    assert files == [
        "test/20000.vtkhdf", "test_geometry/30000.vtkhdf", "test_velocity/40000.vtkhdf",
        "train/00000.vtkhdf", "train/00001.vtkhdf", "val/10000.vtkhdf",
    ]  # fmt: skip
    card = yaml.safe_load((root / "dataset.yaml").read_text())
    assert card["scene"] == {"material": "jelly", "dim": 2, "particles": 60, "frames": 3, "spacing": 5e-3, "seed": 0}
    assert card["folders"]["train"] == {"files": 2, "first": 0, "variant": "usual"}
    motion = read_motion(root / "train" / "00001.vtkhdf")
    assert motion.x.shape == (4, 60, 2)
    assert motion.spacing == pytest.approx(5e-3)
    assert motion.names == ("jelly",)
    assert motion.x[-1].isfinite().all()
    expected, _ = random_scene("jelly", 2, 1, particles=60, frames=3).start()
    assert torch.equal(motion.x[0], expected.x)
    before = {p: p.read_bytes() for p in root.rglob("*.vtkhdf")}
    (root / "train" / "00000.vtkhdf").unlink()
    make(root, **SMALL, train=3, val=1, test=1)
    after = {p: p.read_bytes() for p in root.rglob("*.vtkhdf")}
    assert set(after) - set(before) == {root / "train" / "00002.vtkhdf"}
    again = read_motion(root / "train" / "00000.vtkhdf")
    assert torch.equal(again.x[0], random_scene("jelly", 2, 0, particles=60, frames=3).start()[0].x)
    assert all(after[p] == before[p] for p in before if p.name != "00000.vtkhdf")
    with pytest.raises(ValueError, match=r"holds motions made with .*'material': 'jelly'.*choose another folder or pass"):
        make(root, material="water", **SMALL, train=1, val=0, test=0)
    make(root, material="water", **SMALL, train=1, val=0, test=0, overwrite=True)
    assert [p.name for p in root.rglob("*.vtkhdf")] == ["00000.vtkhdf"]
    assert read_motion(root / "train" / "00000.vtkhdf").names == ("water",)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"material": "honey"}, "no material 'honey'; there are jelly, plasticine, sand, water"),
        ({"material": "jelly+jelly"}, "expected up to three different materials"),
        ({"dim": 4}, "expected dim of 2 or 3, got 4"),
        ({"particles": 5}, "expected at least 10 particles of each material and 1 frame, got 5 and"),
        ({"frames": -1}, "1 frame, got 60 and -1"),
        ({"spacing": 1e-4}, "expected a multiple of the time step 0.0005 of jelly, got 0.0001"),
        ({"spacing": 5.2e-3}, "expected a multiple of the time step"),
        ({"train": -1}, "expected between 0 and 10,000 scenes of each kind"),
        ({"jobs": 0}, "expected jobs other than 0"),
        ({"particles": 0}, "expected at least 10 particles of each material and 1 frame, got 0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        make(tmp_path / "set", **{**SMALL, "train": 0, "val": 0, "test": 0, **options})
    assert not (tmp_path / "set").exists()


# Turns of bodies


def body(dim, **options):
    return Body("jelly", "Cuboid", (0.5,) * dim, **{"size": (0.4, 0.2, 0.3)[:dim], "particles": 200, **options})


def test_bodies_turn_in_the_plane_and_in_space():
    middle = torch.tensor(0.5, dtype=torch.float64)
    flat, _, volume = body(2).start()
    quarter, _, same = body(2, turn=(90.0,)).start()
    assert same == volume
    torch.testing.assert_close(quarter - middle, (flat - middle) @ torch.tensor([[0.0, 1], [-1, 0]], dtype=torch.float64))
    solid = body(3).start()[0] - middle
    for axis in range(3):
        turn = [0.0] * 3
        turn[axis] = 90.0
        there = body(3, turn=tuple(turn)).start()[0] - middle
        a, b = (axis + 1) % 3, (axis + 2) % 3
        expected = solid.clone()
        expected[:, a], expected[:, b] = -solid[:, b], solid[:, a]  # right-handed
        torch.testing.assert_close(there, expected)
    assert torch.equal(body(3, turn=(0.0, 0.0, 0.0)).start()[0] - middle, solid)
    x = body(3, turn=(10.0, -70.0, 200.0)).start()[0] - middle
    torch.testing.assert_close(x.norm(dim=1), solid.norm(dim=1))
    torch.testing.assert_close(torch.cdist(x, x), torch.cdist(solid, solid))


def test_a_turned_body_keeps_its_velocity():
    """Velocities are those of the turned places: the spin is not turned."""
    x, v, _ = body(2, turn=(30.0,), velocity=(1.0, 2.0), spin=(3.0,)).start()
    arm = x - 0.5
    torch.testing.assert_close(v, torch.tensor([1.0, 2.0], dtype=v.dtype) + 3 * torch.stack([-arm[:, 1], arm[:, 0]], 1))


def test_turns_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="in 2 dimensions expected 1 numbers of turn, got 3"):
        body(2, turn=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="in 3 dimensions expected 3 numbers of turn, got 1"):
        body(3, turn=(1.0,))
    with pytest.raises(ValueError, match="expected finite numbers of turn"):
        body(2, turn=(math.nan,))


def test_stars_are_solids_of_scenes():
    star = resolve_solid({"solid": "Star", "tips": 6, "inner": 0.4})
    x, _, volume = Body("jelly", {"solid": "Star", "tips": 6, "inner": 0.4}, (0.5, 0.5), size=0.6, particles=300).start()
    assert volume * 300 == pytest.approx(star.volume(2) * 0.36)
    assert star.inside((x - 0.5) / 0.6 * (1 - 1e-12)).all()
