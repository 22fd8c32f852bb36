import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import geoops as package
from geoops import configs
from geoops.cli._fit import resolve_recipes
from geoops.learning import read_bundle

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def command(*args):
    return [sys.executable, "-m", "geoops.cli", *map(str, args)]


def environment(**more):
    root = str(Path(package.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", **more}


def last(run):
    return torch.load(Path("runs") / run / "checkpoints" / "last.ckpt", weights_only=True)


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_a_run_leaves_everything_behind(geoops, folder):
    code, out, err = geoops("fit", "plates.yaml", "--name", "one", "--threads", 1)
    assert code == 0, err
    assert "val/rel_l2" in out
    assert "test/rel_l2" in out
    assert "fit 100 % · step 12" in err
    run = Path("runs/one")
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (run / "config.yaml").is_file()
    assert list(run.glob("events.out.tfevents*"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["step"] for row in metrics["history"]] == [6, 12]
    assert metrics["training"]["command"] == "geoops fit plates.yaml --name one --threads 1"
    assert metrics["training"]["seed"] == 3
    assert metrics["results"]["val/rel_l2"] == pytest.approx(metrics["history"][-1]["val/rel_l2"])
    bundle = read_bundle(run / "model.safetensors")
    assert bundle.meta["results"] == metrics["results"]
    assert bundle.meta["options"]["hidden"] == 8
    assert bundle.task.targets == ("stress",)

    # Evaluation by checkpoint, by bundle, and from the saved recipe.
    for checkpoint in ("last", run / "checkpoints" / "last.ckpt", run / "model.safetensors"):
        code, out, err = geoops("test", "plates.yaml", "--name", "one", "--ckpt_path", checkpoint)
        assert code == 0, err
        assert f"{100 * metrics['results']['test/rel_l2']:.3f} %" in out
    code, out, err = geoops("validate", run / "config.yaml", "--name", "one")
    assert code == 0, err
    assert "val/rel_l2" in out

    # A second run does not overwrite by accident.
    code, _, err = geoops("fit", "plates.yaml", "--name", "one")
    assert code == 1
    assert "runs/one holds a run: resume it with --ckpt_path last" in err
    code, _, err = geoops("fit", "plates.yaml", "--name", "one", "--overwrite", "true", "--trainer.max_steps", 2)
    assert code == 0, err
    code, _, err = geoops("fit", "plates.yaml", "--name", "one", "--ckpt_path", run / "model.safetensors")
    assert code == 1
    assert "holds no state of training" in err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["--model.lrr", "3"], 2, "unrecognized arguments: --model.lrr"),
        (["--trainer.max_step", "3"], 2, "--trainer.max_step"),
        (["--model.network.init_args.hiden", "3"], 2, "hiden"),
        (["--model.network", "geoops.models.PointwiseMPL"], 2, "PointwiseMPL"),
        (["--model.loss", "l1"], 2, "l1"),
        (["--data.root", "nowhere"], 1, "no folder nowhere"),
        (
            ["--data.targets", "[sterss]"],
            1,
            "no point field 'sterss' (target of the task); point fields: kind, shift, stress",
        ),
        (["--ckpt_path", "nowhere.ckpt"], 1, "no checkpoint nowhere.ckpt"),
        (["--threads", "0"], 1, "--threads must be at least 1"),
        (["--trainer.max_steps", "-1"], 1, "training has no end"),
    ],
)
def test_misuse_is_named_on_one_line(geoops, args, code, words):
    got, _, err = geoops("fit", "plates.yaml", *args)
    assert got == code
    line = err.splitlines()[-1]
    assert line.startswith("geoops: error: ")
    assert words in line
    assert "Traceback" not in err
    assert not list(Path("runs").rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("modle: {lr: 1}", "modle"), ("model: {lrr: 1}", "lrr"), ("a: [", "parsing")],
)
def test_misspelt_recipes(geoops, text, words):
    Path("bad.yaml").write_text(text)
    code, _, err = geoops("fit", "plates.yaml", "--config", "bad.yaml")
    assert code == 2
    assert err.startswith("geoops: error: ")
    assert words in err


def test_checkpoints_of_others_are_refused(geoops):
    assert geoops("fit", "plates.yaml", "--name", "a", "--trainer.max_steps", 2)[0] == 0
    path = "runs/a/checkpoints/last.ckpt"
    code, _, err = geoops("test", "plates.yaml", "--ckpt_path", path, "--model.network.init_args.hidden", 9)
    assert code == 1
    assert "the checkpoint is of another model" in err
    Path(path).write_bytes(Path(path).read_bytes()[:500])
    code, _, err = geoops("test", "plates.yaml", "--ckpt_path", path)
    assert code == 1
    assert "last.ckpt is not a readable checkpoint" in err


def test_names_of_recipes(place):
    packaged = configs.find("unit-cell/transolver")
    assert resolve_recipes(["fit", "unit-cell/transolver", "--x"]) == (
        ["fit", "--config", str(packaged), "--x"],
        "unit-cell/transolver",
    )
    for form in (["--config", "plates.yaml"], ["-c", "plates.yaml"], ["--config=plates.yaml"], ["plates.yaml"]):
        assert resolve_recipes(["fit", *form]) == (["fit", "--config", "plates.yaml"], "plates")
    with pytest.raises(FileNotFoundError, match=r"no recipe 'unit-cell/transolvr': .*unit-cell/transolver"):
        resolve_recipes(["fit", "unit-cell/transolvr"])
    with pytest.raises(FileNotFoundError, match="no recipe"):
        configs.find("../configs/unit-cell/transolver")
    with pytest.raises(ValueError, match="--config needs a recipe"):
        resolve_recipes(["fit", "--config"])


@pytest.mark.parametrize("name", configs.names())
def test_packaged_recipes_parse(name, place):
    """Every recipe names options that exist."""
    from geoops.cli import _fit

    class Parsed(Exception):
        pass

    class Dry(_fit.FitCLI):
        def instantiate_classes(self):
            if name.startswith("nclaw/"):
                super().instantiate_classes()  # laws are small
            raise Parsed

    bases = {"nclaw/laws": "nclaw/jelly", "particles/with": "particles/jelly2d"}  # of recipes that change others
    folder, _, last = name.rpartition("/")
    base = bases.get(folder)
    if last == "flow-map":
        base = "particles/water2d-decoder"
    resolved, run = resolve_recipes(["fit", base, "--config", name] if base else ["fit", name])
    assert run == (f"{base}-{last}" if base else name)
    with pytest.raises(Parsed):
        Dry(resolved, name=run, command="")


@pytest.mark.parametrize("recipe", [name for name in configs.names() if re.fullmatch(r"particles/\w+[23]d", name)])
@pytest.mark.parametrize("overlay", ["gns", "authors2d", "authors3d"])
def test_published_steppers_have_the_published_noise(recipe, overlay, place):
    """Whatever noise ours has."""
    from geoops.cli import _fit

    class Parsed(Exception):
        pass

    class Dry(_fit.FitCLI):
        def instantiate_classes(self):
            raise Parsed(self.config)

    resolved, run = resolve_recipes(["fit", recipe, "--config", f"particles/with/{overlay}"])
    with pytest.raises(Parsed) as caught:
        Dry(resolved, name=run, command="")
    config = caught.value.args[0]
    data = config.get("fit", config).data
    assert (data.history, data.noise, data.strain, data.restore, data.symmetric) == (5, 3e-4, 0, False, False)


KILLER = """
import os, signal
from lightning.pytorch import Callback

class Kill(Callback):
    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 9:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_killed_run_resumes_bit_for_bit(geoops, place):
    (place / "killer.py").write_text(KILLER)
    (place / "kill.yaml").write_text("trainer: {callbacks: [{class_path: killer.Kill}]}")
    options = ["plates.yaml", "--save_every_steps", 4, "--model.optimizer", "muon"]
    path = os.pathsep.join([environment()["PYTHONPATH"], str(place)])
    killed = subprocess.run(
        command("fit", *options, "--config", "kill.yaml", "--name", "killed"),
        env=environment(PYTHONPATH=path), stderr=subprocess.PIPE, timeout=300, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert last("killed")["global_step"] == 8
    assert not Path("runs/killed/model.safetensors").exists()
    assert geoops("fit", *options, "--name", "whole")[0] == 0
    assert geoops("fit", *options, "--name", "killed", "--ckpt_path", "last")[0] == 0
    one, two = last("whole"), last("killed")
    assert one["global_step"] == two["global_step"] == 12
    for key in ("state_dict", "optimizer_states"):
        assert same(one[key], two[key])
    assert same(one["geoops"]["average"], two["geoops"]["average"])
    bundles = [read_bundle(Path("runs") / run / "model.safetensors") for run in ("whole", "killed")]
    assert same(*(b.network.state_dict() for b in bundles))


@pytest.mark.slow
def test_a_killed_fit_of_a_material_resumes_bit_for_bit(cube, geoops):
    (cube / "killer.py").write_text(KILLER.replace("global_step", "current_epoch"))
    (cube / "kill.yaml").write_text("trainer: {callbacks: [{class_path: killer.Kill}]}")
    path = os.pathsep.join([environment()["PYTHONPATH"], str(cube)])
    killed = subprocess.run(
        command("fit", "law.yaml", "--trainer.max_epochs", 12, "--config", "kill.yaml", "--name", "killed"),
        env=environment(PYTHONPATH=path), stderr=subprocess.PIPE, timeout=300, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    assert not Path("runs/killed/model.safetensors").exists()
    assert geoops("fit", "law.yaml", "--trainer.max_epochs", 12, "--name", "whole")[0] == 0
    assert geoops("fit", "law.yaml", "--trainer.max_epochs", 12, "--name", "killed", "--ckpt_path", "last")[0] == 0
    one, two = last("whole"), last("killed")
    for key in ("state_dict", "optimizer_states"):
        assert same(one[key], two[key])


@pytest.mark.slow
def test_two_processes_follow_one_clock(place):
    """The progress bar of the first process asks for the time alone, which must not wait for the others."""
    budget = ["--trainer.max_steps", -1, "--trainer.max_time", "00:00:00:03", "--trainer.val_check_interval", 50]
    split = ["--trainer.devices", 2, "--trainer.strategy", "ddp"]
    subprocess.run(
        command("fit", "plates.yaml", *budget, "--name", "clock", *split),
        env=environment(),
        check=True,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    training = json.loads(Path("runs/clock/metrics.json").read_text())["training"]
    assert training["processes"] == 2
    assert training["steps"] > 1
    assert Path("runs/clock/model.safetensors").is_file()


@pytest.mark.slow
def test_two_processes_train_like_one(geoops, place):
    options = ["plates.yaml", "--trainer.max_steps", 8, "--trainer.val_check_interval", 2]
    split = ["--trainer.devices", 2, "--trainer.strategy", "ddp"]
    subprocess.run(
        command("fit", *options, "--name", "two", *split),
        env=environment(),
        check=True,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    assert geoops("fit", *options, "--name", "one")[0] == 0
    one, two = (json.loads(Path(f"runs/{run}/metrics.json").read_text()) for run in ("one", "two"))
    assert two["training"]["processes"] == 2
    assert [r["step"] for r in two["history"]] == [2, 4, 6, 8]
    for a, b in zip(one["history"], two["history"], strict=True):
        for key in ("train_loss", "val/rel_l2", "val/rel_l2_p95"):
            assert b[key] == pytest.approx(a[key], abs=1e-5)
    for a, b in zip(last("one")["state_dict"].values(), last("two")["state_dict"].values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
