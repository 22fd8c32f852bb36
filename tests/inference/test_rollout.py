"""Roll-outs of trained steppers, with all particles placed."""

import math
from dataclasses import replace

import pytest
import torch

from geoops.data import parse_scene, read_field, read_motion, window, write_motion, write_trajectory
from geoops.data.particles import random_scene
from geoops.geometry import choose_samples
from geoops.inference import rollout
from geoops.learning import export_particles, read_stepper, roll_out
from geoops.models import GIOROM, FlowMap, IntegralKernel, MovingLeastSquares, Stepper, StepperSizes
from geoops.physics import Particles, Trajectory, motion_mse
from geoops.testing import random_motion

OPTIONS = {"width": 8, "before": 1, "after": 1, "lattice": 4, "channels": (4, 6)}


def stepper(path, dim=2, names=("jelly", "sand"), scale=1e-6, samples=None, **options):
    torch.manual_seed(0)
    net = GIOROM(StepperSizes(dim, names), **OPTIONS, **options)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn_like(p))
        net.scale.velocity_std.fill_(0.01)
        net.scale.acceleration_std.fill_(scale)
    facts = {"keep": 0.25, "choice": "fps", "degree": None, "spacing": 5e-3} | ({"samples": samples} if samples else {})
    return export_particles(path, net, options={**OPTIONS, **options}, data=facts)


@pytest.fixture
def checkpoint(tmp_path):
    return stepper(tmp_path / "model.safetensors")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.vtkhdf"


def run(checkpoint, scene, out, **options):
    return rollout(checkpoint, scene, out, **{"progress": False, **options})


def test_a_motion_is_gone_on_with(checkpoint, out):
    """Samples are rolled out from six true frames, all are placed as the decoder does it by hand, and errors reported apart."""
    truth = random_motion(80, frames=16)
    report = run(checkpoint, truth, out)
    assert (report.samples, report.particles, report.frames) == (20, 80, 10)
    found = read_motion(out)
    assert torch.equal(found.x[:6], truth.x[:6])
    assert (found.spacing, found.names, found.box) == (truth.spacing, truth.names, truth.box)
    assert torch.equal(found.volume, truth.volume)
    chosen = choose_samples(truth.x[0], 20, "fps", seed=0)
    assert torch.equal(read_field(out, "sampled").nonzero()[:, 0], chosen)
    net, _ = read_stepper(checkpoint)
    graph = window(truth, chosen, 5, ("jelly", "sand"), 5, report.radius).joined()
    rolled = torch.stack(list(roll_out(net, graph, 10)))
    by_hand = MovingLeastSquares(2)(torch.cat([truth.x[:6, chosen], rolled]), truth.x[0])
    torch.testing.assert_close(found.x[6:], by_hand[6:], rtol=0, atol=1e-6)
    samples = replace(truth.of(chosen), x=torch.cat([truth.x[:6, chosen], rolled]))
    decoded = replace(truth, x=MovingLeastSquares(2)(truth.x[:, chosen], truth.x[0]))
    expected = {
        "samples": motion_mse(samples, truth.of(chosen)).mean().item(),
        "decoder on true samples": motion_mse(decoded, truth).mean().item(),
        "stepper and decoder": motion_mse(found, truth).mean().item(),
    }
    assert report.errors == pytest.approx(expected, rel=1e-4)
    assert report.table().row_count == 9


def test_what_is_decoded(checkpoint, out):
    truth = random_motion(80, frames=12)
    run(checkpoint, truth, out)
    whole, sampled = read_motion(out), read_field(out, "sampled").bool()
    report = run(checkpoint, truth, out, decode="samples", overwrite=True)
    assert report.particles == 20
    assert list(report.errors) == ["samples"]
    assert torch.equal(read_field(out, "sampled"), torch.ones(20, dtype=torch.int64))
    torch.testing.assert_close(read_motion(out).x[6:], whole.x[6:, sampled], rtol=0, atol=2e-3)
    assert torch.equal(read_motion(out).x[:6], whole.x[:6, sampled])
    for number in (30, "30"):
        report = run(checkpoint, truth, out, decode=number, overwrite=True)
        some = read_motion(out)
        assert some.x.shape == (12, 30, 2)
        which = (some.x[0][:, None] == truth.x[0]).all(2).int().argmax(1)
        torch.testing.assert_close(some.x, whole.x[:, which], rtol=0, atol=1e-6)
        assert torch.equal(read_field(out, "sampled").bool(), sampled[which])


@pytest.mark.parametrize("material", ["jelly", "jelly+sand"])
def test_scenes_start_without_history(checkpoint, out, tmp_path, material):
    """Before the start bodies fly as rigid ones: an untrained stepper goes on along the parabola."""
    scene = random_scene(material, 2, 0, particles=120, frames=8)
    fresh = GIOROM(StepperSizes(2, ("jelly", "sand")), **OPTIONS)
    facts = {"keep": 0.25, "choice": "fps", "degree": None, "spacing": 5e-3}
    path = export_particles(tmp_path / "fresh.safetensors", fresh, options=OPTIONS, data=facts)
    report = run(path, scene, out)
    assert report.frames == 8
    assert report.errors == {}
    found = read_motion(out)
    assert found.x.shape == (9, 120, 2)
    assert parse_scene(found.scene).bodies == scene.bodies
    start, number = scene.start()
    torch.testing.assert_close(found.x[0], start.x)
    assert torch.equal(found.material, number)
    t = 5e-3 * torch.arange(9)[:, None]
    for body in range(len(scene.bodies)):
        mine = number == body
        centre = start.x[mine].mean(0) + t * start.v[mine].mean(0) + t.square() / 2 * torch.tensor([0.0, -9.8])
        torch.testing.assert_close(found.x[:, mine].mean(1), centre, rtol=0, atol=2e-4)
    (tmp_path / "scene.yaml").write_text(scene.yaml())
    run(path, tmp_path / "scene.yaml", out, overwrite=True)
    torch.testing.assert_close(read_motion(out).x, found.x)


def test_materials_are_kept(checkpoint, out):
    """Defect 10: particles keep their materials, by name: another order in the file changes nothing, another material does."""
    motion = random_motion(80, frames=10, names=("jelly", "sand"))
    run(checkpoint, motion, out)
    found = read_motion(out)
    assert torch.equal(found.material, motion.material)
    assert found.names == ("jelly", "sand")
    swapped = replace(motion, names=("sand", "jelly"), material=1 - motion.material)
    run(checkpoint, swapped, out, overwrite=True)
    again = read_motion(out)
    torch.testing.assert_close(again.x, found.x, rtol=0, atol=1e-6)
    assert again.names == ("sand", "jelly")
    run(checkpoint, replace(motion, names=("sand", "jelly")), out, overwrite=True)
    assert (read_motion(out).x - found.x).abs().max() > 1e-7
    other = replace(random_motion(80, frames=10), names=("water",))
    with pytest.raises(ValueError, match="the material 'water' was not there in the training, which had jelly, sand"):
        run(checkpoint, other, out, overwrite=True)


def test_decoders_of_other_kinds(checkpoint, out, tmp_path):
    truth = random_motion(80, frames=12)
    path = export_particles(tmp_path / "decoder.safetensors", IntegralKernel(2), options={}, data={})
    for decoder in (path, str(path), "FlowMap", "Nearest"):
        report = run(checkpoint, truth, out, decoder=decoder, overwrite=True)
        assert report.errors["decoder on true samples"] > 0
        assert read_motion(out).x.shape == (12, 80, 2)
    run(checkpoint, truth, out, decoder="FlowMap", overwrite=True)
    found, sampled = read_motion(out), read_field(out, "sampled").bool()
    state = (flow := FlowMap(2)).begin(truth.x[0, sampled], truth.x[0])
    placed, _ = flow.place(state, truth.x[:6, sampled])
    assert torch.isfinite(placed).all()
    assert torch.isfinite(found.x).all()
    wrong = export_particles(tmp_path / "space.safetensors", IntegralKernel(3), options={}, data={})
    with pytest.raises(ValueError, match=r"space\.safetensors is a decoder for 3 dimensions, the particles are in 2"):
        run(checkpoint, truth, out, decoder=str(wrong), overwrite=True)
    with pytest.raises(ValueError, match="holds a stepper, not a decoder"):
        run(checkpoint, truth, out, decoder=str(checkpoint), overwrite=True)
    with pytest.raises(ValueError, match="holds a decoder, not a stepper"):
        run(path, truth, out, overwrite=True)


def test_more_and_fewer_frames_than_the_truth(checkpoint, out):
    truth = random_motion(80, frames=12)
    full = run(checkpoint, truth, out)
    longer = run(checkpoint, truth, out, frames=9, overwrite=True)
    assert read_motion(out).x.shape[0] == 15
    assert longer.errors == pytest.approx(full.errors)
    shorter = run(checkpoint, truth, out, frames=2, overwrite=True)
    assert read_motion(out).x.shape[0] == 8
    assert shorter.errors["samples"] < full.errors["samples"]
    six = replace(truth, x=truth.x[:6])
    assert run(checkpoint, six, out, frames=3, overwrite=True).errors == {}
    with pytest.raises(ValueError, match="frames: expected at least 1, got 0; 6 frames are the start"):
        run(checkpoint, six, out, overwrite=True)
    with pytest.raises(ValueError, match="a roll-out starts from 6 true frames, got a motion of 4"):
        run(checkpoint, replace(truth, x=truth.x[:4]), out, frames=3, overwrite=True)


def test_double_precision(checkpoint, out, tmp_path):
    truth = random_motion(80, frames=12, dtype=torch.float64)
    write_motion(tmp_path / "double.vtkhdf", truth)
    run(checkpoint, tmp_path / "double.vtkhdf", out)
    assert read_motion(out).x.dtype == torch.float32


@pytest.mark.parametrize(("clamp", "scale"), [(False, 1.0), (True, 1e3)])
def test_an_explosion_keeps_the_frames_so_far(tmp_path, out, clamp, scale):
    """Within walls one step has to lead far beyond them."""
    wild = stepper(tmp_path / "wild.safetensors", scale=scale, momentum=False)
    words = r"in frame \d+ after the start particle \d+ .*out\.vtkhdf holds the frames up to \d+"
    with pytest.raises(FloatingPointError, match=words):
        run(wild, random_motion(80, frames=60), out, clamp=clamp)
    found = read_motion(out)
    assert 6 <= len(found) < 60
    assert found.x.isfinite().all()


def test_samples_that_fall_apart(checkpoint, out):
    """Two bodies of one material are two bodies; samples at the ends of a long one have no graph that joins them."""
    motion = random_motion(200, frames=10)
    x = motion.x.clone()
    x[:, :100, 0] = 0.12 + 0.3 * (x[:, :100, 0] - 0.5)
    x[:, 100:, 0] = 0.88 + 0.3 * (x[:, 100:, 0] - 0.5)
    report = run(checkpoint, replace(motion, x=x), out, samples=40)
    assert report.samples == 40
    long = motion.x.clone()
    long[..., 0], long[..., 1] = torch.linspace(0.1, 0.9, 200), 0.5
    with pytest.raises(ValueError, match=r"disconnected graph at any affordable radius: up to .*take more samples"):
        run(checkpoint, replace(motion, x=long), out, samples=4, choice="random", seed=5, overwrite=True)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"samples": 3}, ValueError, r"expected at least d \+ 2 = 4 samples, got 3"),
        ({"samples": 0}, ValueError, r"expected at least d \+ 2 = 4 samples, got 0"),
        ({"choice": "even"}, ValueError, "expected a method of fps, random, boundary, got 'even'"),
        ({"decode": "none"}, ValueError, "decode: expected all, samples, or a number from 4 to 80, got 'none'"),
        ({"decode": 3}, ValueError, "number from 4 to 80, got 3"),
        ({"decode": 81}, ValueError, "number from 4 to 80, got 81"),
        ({"frames": 0}, ValueError, "frames: expected at least 1, got 0"),
        ({"decoder": "Absent"}, FileNotFoundError, "Absent"),
        ({"device": "tpu"}, ValueError, "tpu"),
    ],
)
def test_options_that_do_not_fit(checkpoint, out, options, kind, words, unchecked):
    with pytest.raises(kind, match=words):
        run(checkpoint, random_motion(80, frames=12), out, **options)
    assert not out.exists()


def test_files_that_do_not_fit(checkpoint, out, tmp_path):
    truth = random_motion(80, frames=12)
    with pytest.raises(ValueError, match=r"expected a file name in \.vtkhdf, \.hdf, got '\.mp4'"):
        run(checkpoint, truth, out.with_suffix(".mp4"))
    with pytest.raises(FileNotFoundError, match="absent"):
        run(tmp_path / "absent.safetensors", truth, out)
    with pytest.raises(FileNotFoundError, match="no file"):
        run(checkpoint, tmp_path / "absent.vtkhdf", out)
    with pytest.raises(FileNotFoundError):
        run(checkpoint, truth, tmp_path / "absent" / "out.vtkhdf")
    with pytest.raises(ValueError, match=r"scene: expected 0\.005 s between frames, got 0\.01"):
        run(checkpoint, replace(truth, spacing=1e-2), out)
    with pytest.raises(ValueError, match="expected a motion in 2 dimensions, got 3"):
        run(checkpoint, random_motion(80, 3, frames=12), out)
    x = truth.x.clone()
    x[3, 7] = math.nan
    with pytest.raises(ValueError, match="the position of particle 7 in frame 3 is not finite"):
        run(checkpoint, replace(truth, x=x), out)
    run(checkpoint, truth, out)
    before = out.read_bytes()
    with pytest.raises(FileExistsError, match="exists; choose another name, or say --overwrite"):
        run(checkpoint, truth, out)
    assert out.read_bytes() == before


def test_trajectories_of_simulations(checkpoint, out, tmp_path):
    motion = random_motion(80, frames=10)
    zeros = torch.zeros(10, 80, 2, 2)
    frames = Particles(motion.x, torch.zeros_like(motion.x), zeros, zeros, motion.volume, motion.volume)
    whole = Trajectory(frames, 10 * torch.arange(10), motion.box, 5e-4, motion.material, motion.names)
    write_trajectory(tmp_path / "whole.vtkhdf", whole)
    report = run(checkpoint, tmp_path / "whole.vtkhdf", out)
    assert report.frames == 4
    assert torch.equal(read_motion(out).x[:6], motion.x[:6])


def test_the_scene_is_not_overwritten(checkpoint, tmp_path):
    write_motion(tmp_path / "truth.vtkhdf", random_motion(80, frames=12))
    before = (tmp_path / "truth.vtkhdf").read_bytes()
    with pytest.raises(ValueError, match=r"truth\.vtkhdf is the scene itself; choose another name"):
        run(checkpoint, tmp_path / "truth.vtkhdf", tmp_path / "truth.vtkhdf", overwrite=True)
    assert (tmp_path / "truth.vtkhdf").read_bytes() == before


def test_states_of_trainings_are_no_steppers(out):
    with pytest.raises(ValueError, match=r"last\.ckpt is the state of a training; take model\.safetensors"):
        run("runs/x/checkpoints/last.ckpt", random_motion(80), out)


def test_as_many_samples_as_the_training_had(tmp_path, out):
    """A share of few particles would be fewer than the stepper has ever seen."""
    path = stepper(tmp_path / "model.safetensors", samples=[30, 40])
    motion = random_motion(80, frames=8)
    assert run(path, motion, out).samples == 30
    with pytest.warns(UserWarning, match="25 particles are simulated, the training had 30 to 40"):
        run(path, motion, out, samples=25, overwrite=True)


class Mine(Stepper):
    """A stepper that geoops does not have: free fall."""

    def forward(self, graph):
        return graph.gravity[graph.scene]


def test_steppers_of_others(tmp_path, out):
    facts = {"keep": 0.25, "choice": "fps", "degree": None, "spacing": 5e-3}
    path = export_particles(tmp_path / "mine.safetensors", Mine(StepperSizes(2, ("jelly",))), options={}, data=facts)
    with pytest.raises(ValueError, match="pass its class as network_class"):
        run(path, random_motion(80, frames=8), out)
    assert run(path, random_motion(80, frames=8), out, network_class=Mine).samples == 20


@pytest.mark.parametrize("name", ["jelly2d", "plasticine2d", "water2d"])
def test_packaged_steppers_go_on_with_packaged_scenes(name, out):
    report = run(f"particles/{name}", name, out, frames=3)
    assert (report.samples, report.particles, len(read_motion(out))) == (250, 4000, 4)
