import json
from pathlib import Path

import pytest
import torch

from geoops.learning import read_material

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorboard"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_material_leaves_everything_behind(cube, geoops):
    code, out, err = geoops("fit", "law.yaml", "--name", "one", "--threads", 1)
    assert code == 0, err
    assert [word in out for word in ("position MSE", "reconstruction", "time")] == [True] * 3
    assert "fit 100 %" in err
    run = Path("runs/one")
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert list(run.glob("events.out.tfevents*"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["epoch"] for row in metrics["history"]] == [3, 6]
    assert metrics["training"]["observed"] == "cube.yaml"
    assert metrics["results"]["reconstruction"] == metrics["results"]["test/reconstruction"]
    material = read_material(run / "model.safetensors")
    assert material.elastic.hidden == 4

    code, out, err = geoops("test", "law.yaml", "--ckpt_path", "runs/one/model.safetensors")
    assert code == 0, err
    code, out, err = geoops(
        "test", "law.yaml", "--name", "one", "--data.against", "[runs/one/model.safetensors, nclaw/jelly-structured]"
    )
    assert code == 0, err
    assert [word in out for word in ("this law", "one", "jelly-structured")] == [True] * 3

    assert geoops("fit", "law.yaml", "--name", "one")[0] == 1  # holds a run
    code, _, err = geoops("test", "law.yaml", "--ckpt_path", "runs/one/model.safetensors", "--model.elastic.init_args.hidden", 5)
    assert code == 1
    assert "the recipe has" in err


def test_a_trajectory_file_is_as_good_as_its_scene(cube, geoops):
    assert geoops("simulate", "cube.yaml", "-o", "cube.vtkhdf", "--progress", "false")[0] == 0
    for name, source in (("file", "cube.vtkhdf"), ("scene", "cube.yaml")):
        code, _, err = geoops("fit", "law.yaml", "--name", name, "--data.observed", source, "--trainer.max_epochs", 3)
        assert code == 0, err
    a, b = (read_material(f"runs/{name}/model.safetensors").state_dict() for name in ("file", "scene"))
    assert all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--data.observed", "nowhere"], 1, "no scene 'nowhere'"),
        (["--data.learned", "sand"], 1, "has the materials 'jelly', not 'sand'"),
        (["--model.elastic", "geoops.models.Nonsense"], 2, "Nonsense"),
        (["--model.restart", "3"], 2, "restart"),
        (["--data.tests", "{a: {scene: cube.yaml, stepz: 3}}"], 2, "stepz"),
    ],
)
def test_mistakes_are_one_line(cube, geoops, options, code, words):
    found, _, err = geoops("fit", "law.yaml", *options)
    assert found == code, err
    assert words in err.splitlines()[-1]
    assert not list(Path("runs").rglob("*.safetensors"))
