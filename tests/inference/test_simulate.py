"""`geoops simulate`."""

import h5py
import pytest
import pyvista
import torch

from geoops.cli import main
from geoops.data import read_scene, read_trajectory
from geoops.inference import simulate
from geoops.learning import export_material
from geoops.physics import material

TEXT = """
box: {cells: [10, 10, 10], dx: 0.1}
dt: 1e-4
steps: 6
every: 3
bodies:
  - {material: jelly, shape: Sphere, particles: 40, centre: [0.5, 0.6, 0.5], size: 0.3}
  - {material: sand, shape: Cuboid, particles: 60, centre: [0.5, 0.35, 0.5], size: [0.4, 0.1, 0.4], velocity: [0, 1, 0]}
"""


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.yaml"
    path.write_text(TEXT)
    return path


def test_a_scene_gives_a_trajectory(scene, tmp_path):
    report = simulate(scene, tmp_path / "out.vtkhdf", progress=False)
    assert (report.particles, report.steps, report.frames) == (100, 6, 3)
    assert report.speed == pytest.approx(600 / report.seconds)
    trajectory = read_trajectory(tmp_path / "out.vtkhdf", read_scene(scene))
    assert trajectory.steps.tolist() == [0, 3, 6]
    assert trajectory.names == ("jelly", "sand")
    start, of = read_scene(scene).start()
    end = read_scene(scene).simulator(of).run(start, 6)
    assert torch.equal(trajectory.frames.x[2], end.x)
    energy = [0.5 * (f.mass * f.v.square().sum(-1)).sum().item() for f in (start, end)]
    assert report.kinetic == pytest.approx(energy)


def test_on_the_command_line(scene, tmp_path, capfd):
    out = tmp_path / "out.pvd"
    threads = torch.get_num_threads()
    assert main(["simulate", str(scene), "-o", str(out), "--threads", str(threads)]) == 0
    said = capfd.readouterr()
    assert "particle-steps/s" in said.out
    assert "frames" in said.err
    reader = pyvista.get_reader(str(out))
    assert reader.time_values == pytest.approx([0, 3e-4, 6e-4])
    assert main(["simulate", str(scene), "-o", str(out)]) == 1
    assert "out.pvd exists; choose another name, or say --overwrite" in " ".join(capfd.readouterr().err.split())
    assert main(["simulate", str(scene), "-o", str(out), "--overwrite", "--progress", "false"]) == 0
    assert main(["simulate", str(scene), "-o", str(tmp_path / "out.obj")]) == 1
    assert "expected a file name in .vtkhdf, .hdf, .pvd, got '.obj'" in capfd.readouterr().err
    assert main(["simulate", "jello", "-o", str(tmp_path / "a.vtkhdf")]) == 1
    assert "no scene 'jello'" in capfd.readouterr().err


def test_a_packaged_scene(tmp_path, monkeypatch):
    from geoops.physics import MPM

    plain = MPM.steps
    monkeypatch.setattr(MPM, "steps", lambda self, start, count, every: plain(self, start, 5, every))
    report = simulate("jelly", tmp_path / "jelly.vtkhdf", progress=False)
    assert (report.particles, report.frames) == (1000, 6)


def test_a_learned_material(scene, tmp_path):
    export_material(tmp_path / "law.safetensors", material("jelly"), {"formula": "jelly"})
    named = simulate(scene, tmp_path / "named.vtkhdf", progress=False)
    scene.write_text(TEXT.replace("material: jelly", "material: {law: law.safetensors}"))
    read = simulate(scene, tmp_path / "read.vtkhdf", progress=False)
    assert read.kinetic == named.kinetic
    assert read_trajectory(tmp_path / "read.vtkhdf").names == ("law=law.safetensors", "sand")
    scene.write_text(TEXT.replace("material: jelly", "material: {law: law.safetensors, name: tuned}"))
    assert simulate(scene, tmp_path / "label.vtkhdf", progress=False).kinetic == named.kinetic
    scene.write_text(TEXT.replace("material: jelly", "material: {law: nclaw/jelly-structured}"))
    learned = simulate(scene, tmp_path / "packaged.vtkhdf", progress=False)
    assert learned.kinetic == pytest.approx(named.kinetic, rel=1e-2)
    scene.write_text(TEXT.replace("material: jelly", "material: {law: law.safetensors, young: 1}"))
    with pytest.raises(ValueError, match="no option 'young'"):
        simulate(scene, tmp_path / "a.vtkhdf", progress=False)
    scene.write_text(TEXT.replace("material: jelly", "material: {law: absent.safetensors}"))
    with pytest.raises(FileNotFoundError, match=r"'absent\.safetensors'.*nclaw/jelly-structured"):
        simulate(scene, tmp_path / "a.vtkhdf", progress=False)


def test_a_motion_that_diverges(scene, tmp_path, capfd):
    wild = TEXT.replace("velocity: [0, 1, 0]", "velocity: [0, 1e20, 0]").replace("every: 3", "every: 1")
    scene.write_text(wild.replace("steps: 6", "steps: 200"))
    out = tmp_path / "out.vtkhdf"
    assert main(["simulate", str(scene), "-o", str(out), "--progress", "false"]) == 1
    said = " ".join(capfd.readouterr().err.split())
    kept = read_trajectory(out).steps.tolist()
    assert kept == list(range(len(kept)))
    assert f"geoops: error: MPM: after step {len(kept)} particle " in said
    assert said.endswith(f"holds the frames up to step {kept[-1]}")
    with h5py.File(out) as file:
        assert "not finite" in file["geoops"].attrs["stopped"]
    assert read_trajectory(out).frames.x.isfinite().all()


def test_errors(scene, tmp_path):
    with pytest.raises(ValueError, match="threads must be at least 1"):
        simulate(scene, tmp_path / "a.vtkhdf", threads=0)
    with pytest.raises(FileNotFoundError, match="no folder"):
        simulate(scene, tmp_path / "absent" / "a.vtkhdf")
    for device, words in (("gpu", "expected cpu or cuda, got 'gpu'"), ("meta", "got 'meta'"), ("cuda:99", "no 'cuda:99' here")):
        with pytest.raises(ValueError, match=f"device: .*{words}"):
            simulate(scene, tmp_path / "a.vtkhdf", device=device)
    scene.write_text(TEXT.replace("dt: 1e-4", "dt: 1e-2"))
    for name in ("a.vtkhdf", "a.pvd"):
        with pytest.raises(ValueError, match="unstable"):
            simulate(scene, tmp_path / name, progress=False)
    scene.write_text(TEXT.replace("[0.5, 0.6, 0.5]", "[0.5, 0.9, 0.5]"))
    with pytest.raises(ValueError, match=r"particle \d+ starts at"):
        simulate(scene, tmp_path / "a.vtkhdf", progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.yaml"]


def test_a_wrong_start_leaves_an_older_series_alone(scene, tmp_path):
    simulate(scene, tmp_path / "o.pvd", progress=False)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*.[pv][vt]*")}
    assert len(before) == 4
    text = scene.read_text()
    for wrong in (text.replace("dt: 1e-4", "dt: 1e-2"), text.replace("[0.5, 0.6, 0.5]", "[0.5, 0.9, 0.5]")):
        scene.write_text(wrong)
        with pytest.raises(ValueError, match=r"unstable|starts at"):
            simulate(scene, tmp_path / "o.pvd", overwrite=True, progress=False)
        assert {p: p.read_bytes() for p in tmp_path.rglob("*.[pv][vt]*")} == before
    scene.write_text(text.replace("steps: 6", "steps: 3"))
    simulate(scene, tmp_path / "o.pvd", overwrite=True, progress=False)
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["o_000000.vtp", "o_000003.vtp"]


def test_on_a_device(scene, tmp_path, device):
    here = simulate(scene, tmp_path / "here.vtkhdf", progress=False)
    there = simulate(scene, tmp_path / "there.vtkhdf", device=device.type, progress=False)
    assert there.kinetic == pytest.approx(here.kinetic, rel=1e-4)
    x = [read_trajectory(tmp_path / f"{name}.vtkhdf").frames.x for name in ("here", "there")]
    torch.testing.assert_close(*x, rtol=0, atol=1e-5)
    assert simulate(scene, tmp_path / "there.pvd", device=device.type, progress=False).frames == 3
