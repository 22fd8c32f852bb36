"""Simulations in motion."""

import base64
import json
import re
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from geoops.physics import Motion, Particles, position_mse
from geoops.viz import animate
from geoops.viz._film import clock_of, film_of
from geoops.viz._motion import show_of


def pictures(path):
    with Image.open(path) as film:
        frames = []
        for i in range(film.n_frames):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
        return frames


def cut(trajectory, frames=slice(None), particles=slice(None), **changes):
    f = trajectory.frames
    parts = {name: getattr(f, name)[frames][:, particles] for name in ("x", "v", "C", "F")}
    parts |= {"mass": f.mass[particles], "volume": f.volume[particles]}
    kinds = trajectory.material[particles]
    return replace(trajectory, frames=Particles(**parts), steps=trajectory.steps[frames], material=kinds, **changes)


def positions(trajectory):
    """What a motion keeps of a trajectory."""
    gap = float(trajectory.steps[1] - trajectory.steps[0])
    f = trajectory.frames
    return Motion(f.x, trajectory.dt * gap, trajectory.box, trajectory.material, trajectory.names, f.volume)


def with_x(trajectory, x):
    return replace(trajectory, frames=replace(trajectory.frames, x=x))


def page_data(path):
    return json.loads(re.search(r"^const data = (\{.*\});$", path.read_text(), re.MULTILINE)[1])


def unpacked(text, dtype, *shape):
    changes = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)
    return np.cumsum(changes, axis=0, dtype=dtype)


def test_a_gif_has_the_frames_and_the_size_asked_for(truth, prediction, tmp_path):
    path = animate({"truth": truth, "softer": prediction}, tmp_path / "deep" / "pair.gif", size=(321, 200), frames=3)
    film = pictures(path)
    assert [p.shape for p in film] == [(200, 321, 3)] * 3
    assert [p.name for p in path.parent.iterdir()] == ["pair.gif"]
    assert np.all(film[0][0, 0] == 255)
    # the start is the same, the end is not
    left, right = film[0][20:160, :160], film[0][20:160, 161:]
    assert np.abs(left[:, :158] - right[:, :158]).max(-1).mean() < 12
    assert np.abs(film[0] - film[-1]).max() > 100


def test_particles_are_where_they_should_be_in_the_colours_of_their_materials(planar, tmp_path):
    (picture,) = pictures(animate(planar, tmp_path / "plane.gif", size=(300, 300), frames=1))
    blue, orange = (np.abs(picture - colour).max(-1) < 12 for colour in ([0, 114, 178], [213, 94, 0]))
    rows, columns = np.nonzero(blue[:240])
    assert columns.max() < np.nonzero(orange[:240])[1].min()
    width = (columns.max() - columns.min()) / 300
    # half of the square of 0.3 and the diameter 0.1 of a particle, in a box that is about 0.8 of the picture
    assert 0.15 < width < 0.25
    assert 0.4 < rows.mean() / 300 < 0.5
    # names in the same colours beneath
    assert blue[250:].any()
    assert orange[250:].any()


def test_errors_are_drawn_against_the_first(truth, prediction):
    show = show_of({"truth": truth, "softer": prediction}, "error", 100, None, 0.0)
    first, second = show.motions
    assert np.all(first.values == 0)
    mse = position_mse(prediction, truth).double().numpy()
    assert (second.values**2).mean(1) / 3 == pytest.approx(mse, rel=1e-4)
    assert show.range == (0, pytest.approx(second.values.max()))
    assert show.label == "error of the position"


@pytest.mark.parametrize("both", [True, False])
def test_motions_are_drawn_like_trajectories(truth, prediction, both):
    """Positions of a prediction against a trajectory, or against positions."""
    for field in ("material", "error"):
        expected = show_of({"truth": truth, "softer": prediction}, field, 100, None, 0.0)
        shown = show_of({"truth": positions(truth) if both else truth, "softer": positions(prediction)}, field, 100, None, 0.0)
        assert shown.times == pytest.approx(expected.times)
        assert shown.range == pytest.approx(expected.range)
        for one, other in zip(shown.motions, expected.motions, strict=True):
            assert one.x == pytest.approx(other.x)
            assert one.values == pytest.approx(other.values)
            assert one.diameter == other.diameter


def test_truth_prediction_and_error_side_by_side(planar, tmp_path):
    motion = positions(planar)
    later = replace(motion, x=motion.x[:3] + 0.01)
    data = page_data(animate({"truth": planar, "prediction": later}, tmp_path / "page.html", field="error"))
    assert data["times"] == ["t = 0.000 s", "t = 0.005 s", "t = 0.010 s"]
    assert [panel["title"] for panel in data["panels"]] == ["truth", "prediction"]
    values = show_of({"truth": planar, "prediction": later}, "error", 100, None, 0.0).motions[1].values
    assert values == pytest.approx(np.full((3, 64), 0.01 * 2**0.5), rel=1e-4)


def test_speeds_of_motions_are_those_of_differences(truth):
    (drawn,) = show_of({"": positions(truth)}, "speed", 100, None, 0.0).motions
    v = truth.frames.x.diff(dim=0).norm(dim=-1).numpy() / 5e-3
    assert drawn.values == pytest.approx(v[[0, 0, 1, 2, 3]], rel=1e-4)


def test_motions_hold_positions_only(truth, tmp_path):
    motion = positions(truth)
    for field in ("det_F", "equivalent_strain"):
        with pytest.raises(ValueError, match=f"'b' is a motion, which holds positions only; the field {field} needs"):
            animate({"a": truth, "b": motion}, tmp_path / "a.gif", field=field)
    with pytest.raises(ValueError, match="one frame, which has no speed"):
        animate(replace(motion, x=motion.x[:1]), tmp_path / "a.gif", field="speed")
    x = motion.x.clone()
    x[2, 7, 1] = torch.nan
    with pytest.raises(ValueError, match="not finite, particle 7 in frame 2; leave out"):
        animate(replace(motion, x=x), tmp_path / "a.gif")
    height = show_of({"": motion}, lambda m: m.x[..., 1], 2, "y", 0.0).motions[0].values
    assert height == pytest.approx(motion.x[[0, -1], :, 1].numpy())


@pytest.mark.parametrize("d", [2, 3])
def test_fields_of_a_simple_motion(truth, planar, d):
    trajectory = planar if d == 2 else truth
    F = torch.eye(d).repeat(*trajectory.frames.x.shape[:2], 1, 1)
    F[..., 0, 0] = 1.2
    trajectory = replace(trajectory, frames=replace(trajectory.frames, F=F))
    values = {
        field: show_of({"": trajectory}, field, 100, None, 0.0).motions[0].values
        for field in ("det_F", "equivalent_strain", "speed")
    }
    assert values["det_F"] == pytest.approx(np.full(F.shape[:2], 1.2))
    assert values["equivalent_strain"] == pytest.approx(np.full(F.shape[:2], 2 / 3 * np.log(1.2)), rel=1e-4)
    assert values["speed"] == pytest.approx(trajectory.frames.v.norm(dim=-1).numpy())


def test_any_function_of_a_trajectory_may_be_drawn(truth):
    def height(trajectory):
        return trajectory.frames.x[..., 1]

    show = show_of({"": truth}, height, 2, None, 0.0)
    assert show.label == "height"
    assert show.motions[0].values == pytest.approx(truth.frames.x[[0, -1], :, 1].numpy())
    assert show_of({"": truth}, lambda t: t.frames.x[..., 1], 2, None, 0.0).label == ""
    assert show_of({"": truth}, height, 2, "y [m]", 0.0).label == "y [m]"


def test_frames_are_chosen_evenly_among_the_times_that_all_have(truth, prediction):
    show = show_of({"": truth}, "speed", 3, None, 0.0)
    assert show.times == pytest.approx([0, 0.01, 0.02])
    # twice the step of time: the frames of the steps 0, 5, 10 are at 0, 0.01, 0.02
    other = cut(prediction, slice(3), dt=2e-3)
    show = show_of({"a": truth, "b": other}, "speed", 100, None, 0.0)
    assert show.times == pytest.approx([0, 0.01, 0.02])
    assert show.motions[0].x == pytest.approx(truth.frames.x[[0, 2, 4]].numpy())
    assert show.motions[1].x == pytest.approx(other.frames.x.numpy())


def test_materials_of_the_same_name_have_the_same_colour(truth, prediction):
    other = replace(prediction, names=("gum", "water"))
    show = show_of({"a": truth, "b": other}, "material", 100, None, 0.0)
    assert show.materials == ("jelly", "gum", "water")
    assert set(show.motions[1].values.ravel()) == {1, 2}
    assert len(set(show.material_colours)) == 3


def test_the_size_of_points_is_that_of_particles(planar):
    one = cut(planar, slice(1), slice(1))
    with film_of(show_of({"": one}, "material", 1, None, 0.0), "xy", "gray", (400, 400)) as film:
        picture = film.image(0)[:320].astype(int)
    outline = np.nonzero((picture.max(-1) < 200).any(0))[0]
    blue = np.nonzero((np.abs(picture - [0, 114, 178]).max(-1) < 20).any(0))[0]
    # the box is 1 wide, the particle 0.1
    assert np.ptp(blue) == pytest.approx(0.1 * np.ptp(outline), abs=3)


def test_an_mp4_plays(truth, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = animate(truth, tmp_path / "film.mp4", size=(161, 121), fps=10.0)
    assert ffmpeg.count_frames_and_secs(str(path)) == (5, 0.5)
    read = [ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    frames = subprocess.run(read, capture_output=True, check=True).stdout
    # even sizes
    assert np.frombuffer(frames, np.uint8).reshape(5, 122, 162, 3).std() > 10
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_without_the_video_writer_the_extra_is_named(truth, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install geoops\[viz-video\]"):
        animate(truth, tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


def test_a_page_holds_positions_and_colours_and_stands_alone(truth, prediction, tmp_path):
    path = animate({"truth </script>": truth, "b": prediction}, tmp_path / "page.html", field="speed", fps=10.0)
    page, data = path.read_text(), page_data(path)
    assert len(page) < 40_000
    assert "http" not in page
    assert page.count("</script>") == 1
    assert data["panels"][0]["title"] == "truth </script>"
    assert data["times"] == ["t = 0.000 s", "t = 0.005 s", "t = 0.010 s", "t = 0.015 s", "t = 0.020 s"]
    assert data["axes"][1][1] > 0.8
    low, high = np.array(data["low"]), np.array(data["high"])
    for trajectory, panel in zip((truth, prediction), data["panels"], strict=True):
        x = low + (high - low) * unpacked(panel["x"], "<u2", 5, 64, 3) / 65535
        assert x == pytest.approx(trajectory.frames.x.numpy(), abs=1e-5)
        assert panel["diameter"] == pytest.approx(0.1)
    speed = torch.stack([t.frames.v.norm(dim=-1) for t in (truth, prediction)]).numpy()
    share = (speed[1] - speed.min()) / (speed.max() - speed.min())
    assert unpacked(data["panels"][1]["colours"], np.uint8, 5, 64) == pytest.approx(share * 254, abs=0.51)
    assert len(data["palette"]) == 256


def test_a_page_of_materials_names_them(planar, tmp_path):
    data = page_data(animate(planar, tmp_path / "page.html"))
    assert data["materials"] == [["jelly", "#0072b2"], ["gum", "#d55e00"]]
    assert data["flat"]
    assert set(unpacked(data["panels"][0]["colours"], np.uint8, 5, 64).ravel()) == {0, 1}


def test_numbers_that_are_not_finite_are_grey_in_a_page(truth, tmp_path):
    def odd(trajectory):
        values = trajectory.frames.x[..., 0].clone()
        values[1, 2] = torch.nan
        return values

    data = page_data(animate(truth, tmp_path / "page.html", field=odd))
    colours = unpacked(data["panels"][0]["colours"], np.uint8, 5, 64)
    assert np.argwhere(colours == 255).tolist() == [[1, 2]]
    assert data["palette"][255] == "#d3d3d3"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_of_a_page_is_well_formed(truth, tmp_path):
    page = animate(truth, tmp_path / "page.html").read_text()
    script = tmp_path / "page.js"
    script.write_text(re.search(r"<script>(.*)</script>", page, re.DOTALL)[1])
    subprocess.run(["node", "--check", script], check=True)


def test_progress_is_shown(truth, tmp_path, capsys):
    animate(truth, tmp_path / "a.gif", frames=2, size=(100, 100), progress=True)
    assert "drawing a.gif" in capsys.readouterr().out


@pytest.mark.parametrize(("gravity", "up"), [((0.0, -9.8, 0.0), 1), ((0.0, 0.0, -9.8), 2)])
def test_gravity_points_downwards(truth, tmp_path, gravity, up):
    tilted = replace(truth, box=replace(truth.box, gravity=gravity))
    assert page_data(animate(tilted, tmp_path / "a.html"))["up"][up] == 1


def test_the_clock_tells_frames_apart():
    assert clock_of(np.array([0.0, 0.5, 1.0])) == ["t = 0.0 s", "t = 0.5 s", "t = 1.0 s"]
    assert clock_of(np.array([0.0, 0.0025])) == ["t = 0.000 s", "t = 0.003 s"]
    assert clock_of(np.array([2.0])) == ["t = 2.00 s"]


def test_errors(truth, prediction, planar, tmp_path, unchecked):
    def refused(message, trajectories=truth, name="a.gif", **options):
        with pytest.raises(ValueError, match=message):
            animate(trajectories, tmp_path / name, **options)

    refused("at least one trajectory", {})
    refused(r"must end in \.gif or \.mp4 or \.html; got 'a\.avi'", name="a.avi")
    refused("no field 'heat'; there are material, error", field="heat")
    refused("view must be one of", view="top")
    refused("frames >= 1, got 0", frames=0)
    refused("fps > 0, got 0", fps=0)
    refused("'flat' is in 2 dimensions and the first in 3", {"a": truth, "flat": planar})
    few = cut(prediction, particles=slice(63))
    refused("the first trajectory has 64 and 'few' 63", {"a": truth, "few": few}, field="error")
    refused("no frames of the same time", {"a": truth, "b": replace(prediction, steps=prediction.steps + 1)})
    x = truth.frames.x.clone()
    x[2, 7, 1] = torch.nan
    refused(
        r"trajectory 'b' has a position that is not finite, particle 7 in frame 2 \(step 10\)", {"a": truth, "b": with_x(truth, x)}
    )
    refused("the trajectory has 0 frames of 64 particles", cut(truth, slice(0)))
    refused(
        r"field makes \(64,\) of the trajectory; expected a number for each of 5 frames and 64", field=lambda t: t.frames.x[0, :, 0]
    )
    assert not list(tmp_path.iterdir())
    # other numbers of particles are fine where nothing is compared
    assert animate({"a": truth, "few": few}, tmp_path / "a.html").exists()
