"""Trajectories in HDF5, for geoops and for VTK."""

from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
import pyvista
import torch

from geoops import io
from geoops.data import (
    MotionWriter,
    PVDWriter,
    TrajectoryWriter,
    _frames_write,
    parse_scene,
    read_field,
    read_motion,
    read_trajectory,
    write_motion,
    write_trajectory,
)
from geoops.physics import Particles, Trajectory
from geoops.testing import random_motion

TEXT = """
box: {cells: [8, 8, 8], dx: 0.125}
dt: 1e-4
steps: 6
every: 2
bodies:
  - {material: jelly, shape: Sphere, particles: 20, centre: [0.5, 0.5, 0.5], size: 0.3, velocity: [1, 0, 0]}
  - {material: water, shape: {lattice: [3, 2, 1]}, centre: [0.5, 0.3, 0.5], size: [0.3, 0.1, 0.3]}
"""


def made(text=TEXT):
    scene = parse_scene(text)
    start, material = scene.start()
    states = [start, *scene.simulator(material).steps(start, scene.steps, scene.every)]
    moving = {name: torch.stack([getattr(s, name) for s in states]) for name in ("x", "v", "C", "F")}
    steps = torch.arange(len(states)) * scene.every
    return Trajectory(
        Particles(**moving, mass=start.mass, volume=start.volume), steps, scene.box, scene.dt, material, scene.names, scene.yaml()
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "motion.vtkhdf"


@pytest.fixture
def written(path):
    trajectory = made()
    write_trajectory(path, trajectory)
    return trajectory


def assert_equal(a, b):
    for f in fields(Particles):
        x, y = getattr(a.frames, f.name), getattr(b.frames, f.name)
        assert x.dtype == y.dtype
        assert torch.equal(x, y), f.name
    assert torch.equal(a.steps, b.steps)
    assert torch.equal(a.material, b.material)
    assert (a.box, a.dt, a.names, a.scene) == (b.box, b.dt, b.names, b.scene)


PLANE = """
box: {cells: [8, 8], dx: 0.125, walls: [open, no-slip, bilateral, free-slip]}
dt: 1e-4
steps: 2
bodies: [{material: sand, shape: Sphere, particles: 20, centre: [0.5, 0.5], size: 0.3}]
"""


@pytest.mark.parametrize("text", [TEXT, TEXT + "dtype: float64", PLANE], ids=["float32", "float64", "plane"])
def test_round_trip(path, text):
    trajectory = made(text)
    write_trajectory(path, trajectory)
    assert_equal(read_trajectory(path), trajectory)
    assert_equal(read_trajectory(path, parse_scene(text)), trajectory)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    with pytest.raises(ValueError, match="trajectory of another scene"):
        read_trajectory(path, parse_scene(text.replace("particles: 20", "particles: 21")))


def test_vtk_plays_it(path, written):
    from vtkmodules.vtkIOHDF import vtkHDFReader

    reader = vtkHDFReader()
    reader.SetFileName(str(path))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == 4
    for i in (0, 3, 1):
        reader.SetStep(i)
        reader.Update()
        shown, frame = pyvista.wrap(reader.GetOutput()), written.frame(i)
        assert shown.n_points == shown.n_cells == 26
        np.testing.assert_array_equal(shown.points, frame.x)
        for name in ("v", "C", "F", "mass", "volume"):
            np.testing.assert_array_equal(shown[name].reshape(getattr(frame, name).shape), getattr(frame, name))
        np.testing.assert_array_equal(shown["material"], written.material)
        assert reader.GetTimeValue() == pytest.approx(written.times[i].item())
    first = pyvista.get_reader(str(path)).read()
    np.testing.assert_array_equal(first.points, written.frames.x[0])


def test_pvd_series(tmp_path):
    trajectory = made()
    about = {name: getattr(trajectory, name) for name in ("box", "dt", "material", "names", "scene")}
    with PVDWriter(tmp_path / "a b.pvd", **about) as out:
        for i, step in enumerate(trajectory.steps.tolist()):
            out.append(trajectory.frame(i), step)
    reader = pyvista.get_reader(str(tmp_path / "a b.pvd"))
    assert reader.time_values == pytest.approx(trajectory.times.tolist())
    reader.set_active_time_point(2)
    shown = reader.read()[0]
    np.testing.assert_array_equal(shown.points, trajectory.frames.x[2])
    cloud = io.read(tmp_path / "a b" / "a b_000006.vtp")
    assert torch.equal(cloud.point_fields["F"], trajectory.frames.F[3])
    assert torch.equal(cloud.point_fields["material"], trajectory.material)


def series(path, trajectory, steps, error=None):
    """Writes frames as a series, then meets an error."""
    about = {name: getattr(trajectory, name) for name in ("box", "dt", "material", "names", "scene")}
    with PVDWriter(path, **about) as out:
        for step in steps:
            out.append(trajectory.frame(step // 2), step)
        if error is not None:
            raise error


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_series_is_replaced_whole_or_not_at_all(tmp_path):
    trajectory, path = made(), tmp_path / "old.pvd"
    for error, steps in ((ValueError("odd"), [0]), (FloatingPointError("nan"), []), (OSError("disk"), [0, 2])):
        with pytest.raises(type(error), match=str(error)):
            series(path, trajectory, steps, error)
        assert not list(tmp_path.iterdir())
    series(path, trajectory, [0, 2, 4, 6])
    before = content(tmp_path)
    assert sorted(before) == ["old.pvd", *(f"old/old_00000{step}.vtp" for step in (0, 2, 4, 6))]
    with pytest.raises(ValueError, match="odd"):
        series(path, trajectory, [2], ValueError("odd"))
    assert content(tmp_path) == before
    with pytest.raises(KeyboardInterrupt):
        series(path, trajectory, [0, 2], KeyboardInterrupt())
    assert sorted(content(tmp_path)) == ["old.pvd", "old/old_000000.vtp", "old/old_000002.vtp"]
    assert pyvista.get_reader(str(path)).time_values == pytest.approx([0, 2e-4])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old", "old.pvd"]


@pytest.mark.parametrize("name", ["thesis.tex", "my_1.vtp.bak", "our_000001.vtp", "my_000001.vtp/deep.txt"])
def test_folders_of_others_are_left_alone(tmp_path, name):
    file = tmp_path / "my" / name
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    with pytest.raises(FileExistsError, match=rf"my, the folder for .*my\.pvd, exists and holds '{name.split('/')[0]}'"):
        series(tmp_path / "my.pvd", made(), [0])
    assert content(tmp_path) == {f"my/{name}": b"precious"}


def test_a_file_in_the_place_of_the_frames(tmp_path):
    (tmp_path / "my").write_text("precious")
    with pytest.raises(FileExistsError, match=r"my, the folder for .*exists and is no folder"):
        series(tmp_path / "my.pvd", made(), [0])


def record(path, trajectory, frames, error=None):
    """Writes frames, two steps apart, then meets an error."""
    about = {name: getattr(trajectory, name) for name in ("box", "dt", "material", "names", "scene")}
    with TrajectoryWriter(path, **about) as out:
        for i, frame in enumerate(frames):
            out.append(frame, 2 * i)
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [FloatingPointError("after step 3"), KeyboardInterrupt()])
def test_what_was_computed_is_kept(path, error):
    trajectory = made()
    with pytest.raises(type(error)):
        record(path, trajectory, [trajectory.frame(0), trajectory.frame(1)], error)
    found = read_trajectory(path)
    assert found.steps.tolist() == [0, 2]
    assert torch.equal(found.frames.F[1], trajectory.frames.F[1])
    with h5py.File(path) as file:
        assert file["geoops"].attrs["stopped"] == (str(error) or "KeyboardInterrupt")


def test_a_frame_that_was_interrupted_is_cut_off(path, monkeypatch):
    trajectory, extend = made(), _frames_write._extend

    def interrupted(data, rows):
        if data.name.endswith("/C") and len(data):
            raise KeyboardInterrupt
        extend(data, rows)

    monkeypatch.setattr(_frames_write, "_extend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record(path, trajectory, [trajectory.frame(0), trajectory.frame(1)])
    assert read_trajectory(path).steps.tolist() == [0]


def test_after_other_errors_nothing_is_kept(path, written, unchecked):
    frame = written.frame(0)
    fewer = Particles(*(getattr(frame, f.name)[1:] for f in fields(Particles)))
    with pytest.raises(OSError, match="disk"):
        record(path, written, [frame], OSError("disk"))
    with pytest.raises(ValueError, match=r"expected 26 particles in each frame, got \(25,\)"):
        record(path, written, [fewer])
    with pytest.raises(ValueError, match=r"expected frames of dtype float32, got torch\.float64"):
        record(path, written, [frame, frame.to(torch.float64)])
    with pytest.raises(FloatingPointError):
        record(path, written, [], FloatingPointError())
    assert len(read_trajectory(path).steps) == 4
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        record(path.parent / "absent" / "a.vtkhdf", written, [])
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_other_files(path, written):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_trajectory(path.parent / "absent.vtkhdf")
    whole = path.read_bytes()
    other = path.parent / "other.vtkhdf"
    for content, words in ((b"", "no HDF5 file"), (b"x" * 100, "no HDF5 file"), (whole[: len(whole) // 2], "truncated or damaged")):
        other.write_bytes(content)
        with pytest.raises(ValueError, match=f"other.vtkhdf is {words}"):
            read_trajectory(other)
    with h5py.File(other, "w") as file:
        file["x"] = 1
    with pytest.raises(ValueError, match="not a trajectory of geoops"):
        read_trajectory(other)


def delete(name):
    return lambda file: file.__delitem__(name)


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value(file) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (delete("VTKHDF/PointData/F"), "VTKHDF/PointData/F is missing"),
        (delete("VTKHDF"), "VTKHDF/PointData/material is missing"),
        (delete("geoops/scene"), "geoops/scene is missing"),
        (lambda file: file["geoops"].attrs.__delitem__("dt"), "attribute 'dt' of the group geoops is missing"),
        (lambda file: file["geoops"].attrs.modify("format", 2), "newer geoops"),
        (lambda file: file["geoops"].attrs.modify("box", "{"), "motion.vtkhdf: "),
        (lambda file: file["geoops"].attrs.modify("box", "{}"), "cells"),
        (lambda file: file["VTKHDF/Points"].resize(25, 0), "frames of different sizes: expected 4 frames of 26 particles, got 25"),
        (put("VTKHDF/Steps/PointOffsets", np.array([0, 26, 50, 78])), "frames of different sizes"),
        (lambda file: file["VTKHDF/PointData/v"].resize(26, 0), "expected v of shape"),
        (put("VTKHDF/PointData/mass", np.zeros(26)), "expected mass of shape .* and dtype float32"),
        (put("VTKHDF/PointData/material", np.full(26, 7)), "beyond the 2 names"),
        (put("VTKHDF/PointData/material", b"text"), "expected numbers"),
        (put("VTKHDF/PointData/F", h5py.SoftLink("/VTKHDF/PointData/C")), "is a link"),
        (put("VTKHDF/PointData/F", h5py.ExternalLink("/etc/hostname", "/")), "is a link"),
    ],
)
def test_damaged_files(path, written, change, words):
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(ValueError, match=words):
        read_trajectory(path)


def test_a_damaged_scene(path):
    write_trajectory(path, replace(made(), scene="bodies: 3"))
    assert read_trajectory(path).scene == "bodies: 3"
    with pytest.raises(ValueError, match=r"scene of .*motion\.vtkhdf"):
        read_trajectory(path, parse_scene(TEXT))
    write_trajectory(path, replace(made(), scene=""))
    with pytest.raises(ValueError, match="another scene"):
        read_trajectory(path, parse_scene(TEXT))


# Motions: positions alone


def assert_same_motion(a, b):
    for name in ("x", "material", "volume"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert a.spacing == pytest.approx(b.spacing, rel=1e-12)
    assert (a.box, a.names, a.scene) == (b.box, b.names, b.scene)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("frames", [1, 7])
def test_motions_come_back(path, dim, frames, dtype):
    motion = random_motion(30, dim, frames=frames, names=("jelly", "sand"), dtype=dtype)
    chosen = torch.arange(30) % 2
    write_motion(path, replace(motion, scene="a scene"), {"sampled": chosen})
    assert_same_motion(read_motion(path), replace(motion, scene="a scene"))
    assert torch.equal(read_field(path, "sampled"), chosen)
    assert torch.equal(read_motion(path, 3).x, motion.x[:3])
    assert read_motion(path, 0).x.shape == (0, 30, dim)
    shown = pyvista.get_reader(str(path)).read()
    np.testing.assert_array_equal(shown.points[:, :dim], motion.x[0])
    np.testing.assert_array_equal(shown["sampled"], chosen)
    with pytest.raises(ValueError, match=r"holds positions only, as geoops rollout writes them; read it with .*read_motion"):
        read_trajectory(path)


def test_trajectories_are_motions(path, written):
    motion = read_motion(path)
    assert_same_motion(motion, written.motion())
    assert motion.spacing == pytest.approx(2e-4)
    assert torch.equal(read_motion(path, frames=1).x, written.frames.x[:1])
    uneven = replace(written, steps=torch.tensor([0, 2, 4, 5]))
    write_trajectory(path, uneven)
    with pytest.raises(ValueError, match=r"motion\.vtkhdf: expected frames at even times, got steps between frames of 1, 2"):
        read_motion(path)


def record_motion(path, motion, frames, error=None):
    about = {name: getattr(motion, name) for name in ("box", "spacing", "material", "names", "volume")}
    with MotionWriter(path, **about) as out:
        for i, x in enumerate(frames):
            out.append(x, i)
        if error is not None:
            raise error


def test_motions_are_kept_until_they_explode(path, unchecked):
    motion = random_motion(30)
    with pytest.raises(FloatingPointError):
        record_motion(path, motion, motion.x[:4], FloatingPointError("exploded"))
    assert torch.equal(read_motion(path).x, motion.x[:4])
    before = path.read_bytes()
    for frames, error, words in (
        ([], FloatingPointError("at once"), "at once"),
        (motion.x[:2], OSError("disk"), "disk"),
        ([motion.x[0], motion.x[1, 1:]], None, r"expected 30 particles in each frame, got \(29,\)"),
        ([motion.x[0], motion.x[1].double()], None, r"expected frames of dtype float32, got torch\.float64"),
    ):
        with pytest.raises((FloatingPointError, OSError, ValueError), match=words):
            record_motion(path, motion, frames, error)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (delete("VTKHDF/PointData/volume"), "VTKHDF/PointData/volume is missing"),
        (delete("VTKHDF/PointData/material"), "VTKHDF/PointData/material is missing"),
        (put("VTKHDF/PointData/volume", np.zeros(30)), "expected volume of shape .* and dtype float32"),
        (put("VTKHDF/PointData/material", np.full(30, 1)), "beyond the 1 names"),
        (lambda file: file["VTKHDF/Points"].resize(25, 0), "frames of different sizes: expected 30 frames of 30 particles, got 25"),
        (lambda file: file["geoops"].attrs.modify("dt", -1.0), "time between frames > 0"),
        (lambda file: file["geoops"].attrs.modify("dim", 3), "the box has 2 axes and the attribute dim says 3"),
        (put("geoops/steps", np.arange(30)[::-1].copy()), "expected frames at even times"),
    ],
)
def test_damaged_motions(path, change, words):
    write_motion(path, random_motion(30))
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"motion\.vtkhdf: .*{words}"):
        read_motion(path)


def test_files_without_a_motion(path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_motion(path)
    write_motion(path, random_motion(30))
    with pytest.raises(ValueError, match="VTKHDF/PointData/mass is missing"):
        read_field(path, "mass")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"motion\.vtkhdf is truncated or damaged"):
        read_motion(path)


def test_whole_or_not_at_all(path, monkeypatch):
    """An interruption keeps the frames of a simulation that somebody watches, not those of a file that is written."""
    motion, plain, frames = random_motion(30), MotionWriter.append, []

    def interrupted(self, x, frame):
        frames.append(frame)
        if frame == 3:
            raise KeyboardInterrupt
        plain(self, x, frame)

    monkeypatch.setattr(MotionWriter, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_motion(path, motion)
    assert frames == [0, 1, 2, 3]
    assert not list(path.parent.iterdir())
    with pytest.raises(KeyboardInterrupt):
        record_motion(path, motion, motion.x)
    assert len(read_motion(path)) == 3


def test_what_is_written_can_be_read(path, unchecked):
    motion = random_motion(30)
    odd = replace(motion, material=motion.material.to(torch.uint8), volume=motion.volume.double())
    write_motion(path, odd)
    assert_same_motion(read_motion(path), motion)
    for x, words in ((motion.x[:0], "needs frames and particles"), (motion.x[:, :0], "needs frames and particles")):
        few = replace(motion, x=x, material=motion.material[: x.shape[1]], volume=motion.volume[: x.shape[1]])
        with pytest.raises(ValueError, match=rf"motion\.vtkhdf: .*{words}"):
            write_motion(path, few)
    for dtype in (torch.float16, torch.int64):
        with pytest.raises(ValueError, match="expected x of float32 or float64"):
            replace(motion, x=motion.x.to(dtype))
