"""Laws of scenes."""

from functools import partial

import pytest
import torch

from geoops.data import parse_scene, simulated
from geoops.learning import export_material, resolve_law
from geoops.physics import material

TEXT = """
box: {cells: [10, 10, 10], dx: 0.1}
dt: 1e-4
steps: 3
bodies: [{material: %s, shape: Sphere, particles: 20, centre: [0.5, 0.5, 0.5], size: 0.3}]
"""


def test_laws_of_scenes(tmp_path):
    export_material(tmp_path / "law.safetensors", material("jelly"), {"formula": "jelly"})
    known = simulated(parse_scene(TEXT % "jelly"))
    learned = parse_scene(TEXT % "{law: law.safetensors}")
    assert torch.equal(simulated(learned, partial(resolve_law, folder=tmp_path)).frames.x, known.frames.x)
    with pytest.raises(ValueError, match=r"pass geoops\.learning\.resolve_law as `resolve`"):
        simulated(learned)


def test_files_come_before_packaged_laws(tmp_path, monkeypatch):
    spec = {"law": "nclaw/jelly-structured", "name": "tuned"}
    assert type(resolve_law(spec, tmp_path).elastic).__name__ == "IsotropicEnergy"
    (tmp_path / "nclaw").mkdir()
    export_material(tmp_path / "law.safetensors", material("water"), {"formula": "water"})
    (tmp_path / "law.safetensors").rename(tmp_path / "nclaw" / "jelly-structured")
    assert type(resolve_law(spec, tmp_path).elastic).__name__ == "WeaklyCompressible"
    monkeypatch.chdir(tmp_path)
    assert type(resolve_law(spec).elastic).__name__ == "WeaklyCompressible"


def test_errors(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=rf"no checkpoint 'odd': it is neither a file in {tmp_path} nor .*nclaw/sand-structured"
    ):
        resolve_law({"law": "odd"}, tmp_path)
    with pytest.raises(ValueError, match="no option 'young'; there are law and name"):
        resolve_law({"law": "odd", "young": 3.0}, tmp_path)
    with pytest.raises(ValueError, match="is a bundle of the network PointwiseMLP, not of a material"):
        resolve_law({"law": "unit-cell/mlp"}, tmp_path)
