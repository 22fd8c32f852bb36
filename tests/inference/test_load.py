"""Surrogates from files and by name."""

import pytest
import torch

from geoops.inference import checkpoint_names, load
from geoops.learning import _find, export_bundle

OPTIONS = {"hidden": 16, "layers": 2, "slices": 4, "heads": 2}


@pytest.fixture
def bundle(predictor, tmp_path):
    return export_bundle(tmp_path / "net.safetensors", predictor.network, predictor.normalizer, options=OPTIONS)


def test_a_bundle_predicts_what_the_network_predicts(bundle, predictor, mesh):
    loaded = load(bundle)
    assert loaded.name == "net"
    assert loaded.task == predictor.task
    assert loaded.metadata["network"] == "Transolver"
    assert not any(p.requires_grad for p in loaded.network.parameters())
    wanted, got = (p.predict(mesh).point_fields["u_predicted"] for p in (predictor, loaded))
    assert torch.equal(wanted, got)


def test_packaged_models_have_names(bundle, tmp_path, monkeypatch):
    root = tmp_path / "checkpoints"
    (root / "toy").mkdir(parents=True)
    bundle.rename(root / "toy" / "small.safetensors")
    monkeypatch.setattr(_find, "checkpoints_folder", lambda: root)
    assert checkpoint_names() == ["toy/small"]
    assert load("toy/small").name == "toy/small"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint 'toy/large'.*\(toy/small\)"):
        load("toy/large")


def test_other_files_are_refused(tmp_path):
    other = tmp_path / "net.pt"
    other.write_bytes(b"123")
    with pytest.raises(ValueError, match=r"must end in \.safetensors or \.ckpt"):
        load(other)
    for name in ("empty.safetensors", "empty.ckpt"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(ValueError, match=name):
            load(tmp_path / name)


def _checkpoint(predictor):
    weights = predictor.network.state_dict()
    return {
        "state_dict": {f"network.{k}": torch.zeros_like(v) for k, v in weights.items()},
        "MeshData": {"normalizer": predictor.normalizer.state_dict()},
        "geoops": {
            "format": 1,
            "network": "Transolver",
            "options": OPTIONS,
            "sizes": vars(predictor.network.sizes),
            "average": {"steps": 3, "weights": dict(predictor.network.named_parameters())},
            "history": [],
        },
    }


def test_a_training_checkpoint_gives_its_averaged_weights(predictor, mesh, tmp_path):
    torch.save(_checkpoint(predictor), tmp_path / "last.ckpt")
    loaded = load(tmp_path / "last.ckpt")
    wanted, got = (p.predict(mesh).point_fields["u_predicted"] for p in (predictor, loaded))
    assert torch.equal(wanted, got)
    assert "average" not in loaded.metadata


@pytest.mark.parametrize("broken", ["MeshData", "state_dict"])
def test_a_checkpoint_without_its_parts_is_refused(predictor, tmp_path, broken):
    content = _checkpoint(predictor)
    del content[broken]
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt does not hold a network"):
        load(tmp_path / "last.ckpt")


def test_a_checkpoint_of_another_network_is_refused(predictor, tmp_path):
    content = _checkpoint(predictor)
    content["geoops"]["options"] = {**OPTIONS, "hidden": 32}
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="does not hold a network that this version"):
        load(tmp_path / "last.ckpt")
    content["geoops"]["network"] = "Oracle"
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"'Oracle'.*Transolver"):
        load(tmp_path / "last.ckpt")
