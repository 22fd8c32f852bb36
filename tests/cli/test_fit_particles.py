"""Steppers and decoders through the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import geoops as package
from geoops import configs
from geoops.data import read_field, read_motion, write_motion
from geoops.data.particles import random_scene
from geoops.learning import read_decoder, read_meta, read_stepper
from geoops.testing import random_motion

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

STEPPER = """
kind: stepper
seed_everything: 3
data: {root: motions, samples: [20, 30], particles_per_step: 40, keep: 0.4, seeds: 2, noise: 1.0e-4}
model:
  network:
    class_path: geoops.models.GIOROM
    init_args: {width: 8, before: 1, after: 1, lattice: 4, channels: [4, 6], momentum: false}
  unroll: 2
trainer: {max_steps: 10, accelerator: cpu, val_check_interval: 5, log_every_n_steps: 5}
"""

DECODER = """
kind: decoder
seed_everything: 3
data: {root: motions, samples: [20, 30], queries: 30, keep: 0.4, seeds: 1}
model:
  network: {class_path: geoops.models.IntegralKernel, init_args: {widths: [8, 8], radius: 0.2}}
trainer: {max_steps: 10, accelerator: cpu, val_check_interval: 5, log_every_n_steps: 5}
"""


@pytest.fixture
def here(place):
    """A working folder with the set `motions`, and the recipes `stepper.yaml` and `decoder.yaml`."""
    for split, first, count in (("train", 0, 3), ("val", 10, 1), ("test", 20, 1)):
        (place / "motions" / split).mkdir(parents=True)
        for i in range(first, first + count):
            write_motion(place / "motions" / split / f"{i:05d}.vtkhdf", random_motion(60, frames=14, seed=i))
    (place / "stepper.yaml").write_text(STEPPER)
    (place / "decoder.yaml").write_text(DECODER)
    return place


@pytest.mark.slow
def test_from_motions_to_a_picture(here, geoops, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    code, out, err = geoops("fit", "stepper.yaml", "--name", "s", "--threads", 1)
    assert code == 0, err
    for name in ("val/rollout_mse", "test/rollout_mse", "test/decoder_mse", "test/full_mse", "test/free_fall_mse"):
        assert name in out
    assert "fit 100 % · step 10" in err
    bundle = Path("runs/s/model.safetensors")
    metrics = json.loads(Path("runs/s/metrics.json").read_text())
    assert [row["step"] for row in metrics["history"]] == [5, 10]
    assert read_meta(bundle)["results"] == pytest.approx(metrics["results"])
    assert read_stepper(bundle).stepper.sizes.materials == ("jelly",)

    code, _, err = geoops("fit", "decoder.yaml", "--name", "d")
    assert code == 0, err
    assert read_decoder("runs/d/model.safetensors").dim == 2

    # the same errors from the checkpoint and from the bundle
    expected = f"{metrics['results']['test/full_mse']:.3e}"
    for checkpoint in ("last", bundle):
        code, out, err = geoops("test", "stepper.yaml", "--name", "s", "--ckpt_path", checkpoint)
        assert code == 0, err
        assert expected in out
    code, out, err = geoops("test", "decoder.yaml", "--name", "d")
    assert code == 0, err
    assert "test/MovingLeastSquares/displacement" in out

    # from a scene, and from a trajectory
    Path("scene.yaml").write_text(random_scene("jelly", 2, 5, particles=60, frames=6).yaml())
    code, out, err = geoops("rollout", bundle, "scene.yaml", "-o", "scene.vtkhdf")
    assert code == 0, err
    assert read_motion("scene.vtkhdf").x.shape == (7, 60, 2)
    motion = "motions/test/00020.vtkhdf"
    for decode, count in (("all", 60), (30, 30), ("samples", 24)):
        code, out, err = geoops("rollout", bundle, motion, "-o", f"{decode}.vtkhdf", "--decode", decode)
        assert code == 0, err
        assert read_motion(f"{decode}.vtkhdf").x.shape == (14, count, 2)
        assert "position MSE, samples" in out
        assert ("position MSE, stepper and decoder" in out) == (decode != "samples")
    assert int(read_field("all.vtkhdf", "sampled").sum()) == 24
    code, out, err = geoops("rollout", bundle, motion, "-o", "all.vtkhdf", "--overwrite", "--decoder", "runs/d/model.safetensors")
    assert code == 0, err

    code, _, err = geoops("rollout", bundle, motion, "-o", "all.vtkhdf")
    assert code == 1
    assert "all.vtkhdf exists; choose another name, or say --overwrite" in err
    code, _, err = geoops("animate", "all.vtkhdf", "-o", "all.gif")
    assert code == 0, err
    assert Path("all.gif").stat().st_size > 1000


def command(*args):
    return [sys.executable, "-m", "geoops.cli", *map(str, args)]


def environment():
    root = str(Path(package.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "JAXTYPING_DISABLE": "1"}


def last(run):
    return torch.load(Path("runs") / run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["stepper", "decoder"])
def test_a_killed_run_goes_on_to_the_same_bits(here, geoops, recipe):
    steps = ("--trainer.max_steps", 40, "--trainer.val_check_interval", 100, "--save_every_steps", 1)
    code, _, err = geoops("fit", f"{recipe}.yaml", "--name", "whole", *steps)
    assert code == 0, err
    words, quiet = command("fit", f"{recipe}.yaml", "--name", "killed", *steps), subprocess.DEVNULL
    process = subprocess.Popen(words, env=environment(), stdout=quiet, stderr=quiet)
    checkpoint = Path("runs/killed/checkpoints/last.ckpt")
    deadline = time.monotonic() + 60
    while not checkpoint.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < last("killed")["global_step"] <= 40
    code, _, err = geoops("fit", f"{recipe}.yaml", "--name", "killed", "--ckpt_path", "last", *steps)
    assert code == 0, err
    one, two = last("whole"), last("killed")
    assert two["global_step"] == 40
    assert one["state_dict"].keys() == two["state_dict"].keys()
    assert all(torch.equal(one["state_dict"][name], two["state_dict"][name]) for name in one["state_dict"])


@pytest.mark.parametrize(
    ("recipe", "args", "code", "words"),
    [
        ("stepper", ["--kind", "steper"], 1, "kind: expected one of surrogate, material, stepper, decoder, got 'steper'"),
        ("stepper", ["--kind=decoder"], 2, "geoops.models.GIOROM"),
        ("stepper", ["--model.lrr", "3"], 2, "--model.lrr"),
        ("stepper", ["--model.network.init_args.wide", "3"], 2, "wide"),
        ("stepper", ["--model.network.init_args.processor", "cnn"], 2, "cnn"),
        ("stepper", ["--data.root", "nowhere"], 1, "no folder nowhere; make one with geoops data make particles nowhere"),
        ("stepper", ["--data.choices", "[even]"], 2, "even"),
        ("stepper", ["--model.unroll", "30"], 1, "expected at least 31 frames for 30 steps in a row, got 14"),
        ("stepper", ["--trainer.max_steps", "-1"], 1, "training has no end"),
        ("decoder", ["--model.frames", "30"], 1, "expected at least 31 frames for 30 steps in a row, got 14"),
        ("decoder", ["--model.network", "geoops.models.MovingLeastSquares"], 1, "has no parameters to train"),
    ],
)
def test_misuse_is_named_on_one_line(here, geoops, recipe, args, code, words):
    got, _, err = geoops("fit", f"{recipe}.yaml", *args)
    line = err.splitlines()[-1]
    assert got == code, line
    assert line.startswith("geoops: error: ")
    assert words in line
    assert "Traceback" not in err


def test_recipes_of_particles_are_complete(here, geoops):
    """Packaged ones say what they train, and their options are known."""
    names = [name for name in configs.names() if name.startswith("particles/") and "/with/" not in name]
    assert names
    for name in names:
        code, _, err = geoops("fit", name, "--data.root", "nowhere", "--trainer.accelerator", "cpu")
        assert (code, "no folder nowhere" in err) == (1, True), err
