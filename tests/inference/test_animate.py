"""`geoops animate`."""

import pytest
from PIL import Image

from geoops.cli import main
from geoops.inference import animate, simulate

TEXT = """
box: {cells: [10, 10, 10], dx: 0.1}
dt: 1e-4
steps: 9
every: 3
bodies:
  - {material: %s, shape: Sphere, particles: 40, centre: [0.5, 0.5, 0.5], size: 0.3}
"""


@pytest.fixture
def files(tmp_path):
    out = []
    for name in ("jelly", "sand"):
        (tmp_path / f"{name}.yaml").write_text(TEXT % name)
        simulate(tmp_path / f"{name}.yaml", tmp_path / f"{name}.vtkhdf", progress=False)
        out.append(tmp_path / f"{name}.vtkhdf")
    return out


def test_two_files_side_by_side_on_the_command_line(files, tmp_path, capfd):
    out = tmp_path / "pair.gif"
    assert main(["animate", *map(str, files), "--field", "error", "-o", str(out), "--frames", "2", "--size", "[200, 100]"]) == 0
    assert capfd.readouterr().out.endswith(f"{out}\n")
    with Image.open(out) as film:
        assert (film.size, film.n_frames) == ((200, 100), 2)


def test_a_page_of_one_file(files, tmp_path):
    assert animate(files[0], tmp_path / "jelly.html", field="speed", progress=False).stat().st_size > 1000


def test_captions(files, tmp_path):
    page = animate(files, tmp_path / "pair.html", titles=["true", "other"], progress=False).read_text()
    assert '"other"' in page
    with pytest.raises(FileExistsError, match=r"pair\.html exists; choose another name, or say --overwrite"):
        animate(files, tmp_path / "pair.html", field="speed", progress=False)
    assert '"other"' in (tmp_path / "pair.html").read_text()
    assert '"sand"' in animate(files, tmp_path / "pair.html", field="speed", overwrite=True, progress=False).read_text()


def test_errors(files, tmp_path):
    with pytest.raises(ValueError, match=r"expected a file name in \.gif, \.mp4, \.html, got '\.obj'"):
        animate(tmp_path / "absent.vtkhdf", tmp_path / "a.obj")
    with pytest.raises(FileNotFoundError, match=r"absent\.vtkhdf"):
        animate(tmp_path / "absent.vtkhdf", tmp_path / "a.gif")
    with pytest.raises(FileNotFoundError, match="no folder"):
        animate(files[0], tmp_path / "absent" / "a.gif")
    with pytest.raises(ValueError, match="one for each of 2 files, got 1"):
        animate(files, tmp_path / "a.gif", titles=["true"])
    with pytest.raises(ValueError, match="several trajectories have the caption 'jelly'"):
        animate([files[0], files[0]], tmp_path / "a.gif")
    assert not list(tmp_path.glob("a.*"))
