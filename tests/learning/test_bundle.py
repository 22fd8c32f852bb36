import functools
import json
import struct

import pytest
import torch

from geoops.data import MeshFolder, Normalizer, Task
from geoops.learning import export_bundle, read_bundle
from geoops.learning._bundle import read_meta
from geoops.learning._network_options import build
from geoops.models import PointwiseMLP
from geoops.testing import random_shapes


@pytest.fixture
def normalizer(folder):
    task = Task(["kind"], ["stress"])
    return Normalizer.fit(MeshFolder(folder, split="train", inputs=["kind"], targets=["stress"]), task)


@pytest.fixture
def bundle(tmp_path, normalizer):
    network, options = build(functools.partial(PointwiseMLP, hidden=8, depth=2), normalizer.sizes, PointwiseMLP)
    path = tmp_path / "sub" / "model.safetensors"
    training = {"command": "geoops fit", "seed": 3}
    export_bundle(path, network, normalizer, options=options, training=training, results={"val/rel_l2": 0.1})
    return path, network


def rewrite(path, change):
    """Changes the metadata in the header of a safetensors file."""
    raw = path.read_bytes()
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + n])
    meta = json.loads(header["__metadata__"]["geoops"])
    change(meta)
    header["__metadata__"]["geoops"] = json.dumps(meta)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + n :])


def test_round_trip(bundle, normalizer):
    path, network = bundle
    back = read_bundle(path)
    assert isinstance(back.network, PointwiseMLP)
    assert back.normalizer == normalizer
    assert back.task == normalizer.task
    assert back.meta["training"] == {"command": "geoops fit", "seed": 3}
    assert back.meta["results"] == {"val/rel_l2": 0.1}
    assert back.meta["parameters"] == sum(p.numel() for p in network.parameters())
    assert back.meta["options"]["hidden"] == 8
    assert not back.network.training
    assert not any(p.requires_grad for p in back.network.parameters())
    shapes = random_shapes(2, inputs=2)
    torch.testing.assert_close(back.network(shapes), network(shapes), rtol=0, atol=0)
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_averaged_weights_replace_the_networks_own(tmp_path, normalizer):
    network, options = build(functools.partial(PointwiseMLP, hidden=8), normalizer.sizes, PointwiseMLP)
    weights = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    path = export_bundle(tmp_path / "a.safetensors", network, normalizer, options=options, weights=weights)
    assert not any(p.any() for p in read_bundle(path).network.parameters())
    assert any(p.any() for p in network.parameters())


def test_classes_of_users_are_given(tmp_path, normalizer, tiny):
    network, options = build(tiny, normalizer.sizes, tiny)
    path = export_bundle(tmp_path / "a.safetensors", network, normalizer, options=options)
    with pytest.raises(ValueError, match=r"'Tiny', which is not in geoops.models \(.*PointwiseMLP.*network_class"):
        read_bundle(path)
    assert isinstance(read_bundle(path, tiny).network, tiny)
    with pytest.raises(ValueError, match="holds a Tiny, not a PointwiseMLP"):
        read_bundle(path, PointwiseMLP)


def test_truncated_and_foreign_files(bundle, tmp_path):
    path, _ = bundle
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"model\.safetensors is (not a readable bundle|truncated)"):
            read_bundle(path)
    path.write_bytes(b"\x89PNG" + bytes(1000))
    with pytest.raises(ValueError, match="not a readable bundle"):
        read_bundle(path)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="without geoops metadata"):
        read_bundle(path)
    with pytest.raises(FileNotFoundError, match="no bundle"):
        read_bundle(tmp_path / "absent.safetensors")


def test_other_versions_and_models(bundle):
    path, _ = bundle
    whole = path.read_bytes()
    rewrite(path, lambda meta: meta.update(format=7))
    with pytest.raises(ValueError, match=r"bundle format 7, this geoops reads 1: it was written by geoops \d"):
        read_bundle(path)
    path.write_bytes(whole)
    rewrite(path, lambda meta: meta.update(network="os"))
    with pytest.raises(ValueError, match=r"'os', which is not in geoops\.models"):
        read_bundle(path)
    path.write_bytes(whole)
    rewrite(path, lambda meta: meta["options"].update(hidden=9))
    with pytest.raises(ValueError, match="does not fit the PointwiseMLP"):
        read_bundle(path)
    path.write_bytes(whole)
    rewrite(path, lambda meta: meta["options"].update(hiden=9))
    with pytest.raises(ValueError, match="hiden"):
        read_bundle(path)
    path.write_bytes(whole)
    assert read_meta(path)["network"] == "PointwiseMLP"


def test_bad_targets_leave_nothing_behind(tmp_path, normalizer):
    network, options = build(PointwiseMLP, normalizer.sizes, PointwiseMLP)
    with pytest.raises(ValueError, match=r"ends in \.safetensors"):
        export_bundle(tmp_path / "a.pt", network, normalizer, options=options)
    with pytest.raises(ValueError, match="must be numbers"):
        export_bundle(tmp_path / "a.safetensors", network, normalizer, options={"hidden": object()})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        export_bundle(tmp_path / "file" / "a.safetensors", network, normalizer, options=options)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
