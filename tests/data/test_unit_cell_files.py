"""The unit-cell set on disk: its files, card, resumption and refusals."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gmsh")
pytest.importorskip("skfem")
pyvista = pytest.importorskip("pyvista")

import yaml  # noqa: E402

from geoops.data import unit_cell  # noqa: E402
from geoops.data.unit_cell import CaseRejected, _make, make, solve_case  # noqa: E402

COARSE = {"void_size": 0.08, "corner_size": 0.12}
SCRIPT = Path(__file__).parents[2] / "datasets" / "unit_cell" / "make.py"


def norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values))


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("unit_cell") / "set", train=2, val=1, test=1, jobs=2, **COARSE)


def test_the_set_has_its_folders_and_card(root):
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    assert names == [
        "dataset.yaml",
        "test/02000.vtu",
        "test_16x/02000.vtu",
        "test_4x/02000.vtu",
        "train/00000.vtu",
        "train/00001.vtu",
        "val/01000.vtu",
    ]
    card = yaml.safe_load((root / "dataset.yaml").read_text())
    assert card["folders"]["train"]["files"] == 2
    assert card["folders"]["test_16x"] == {
        "files": 1,
        "level": 2,
        "point_data": list(unit_cell._files.FIELDS),
    }
    assert card["options"]["load"] == 100.0
    assert card["rejected"] == []


def test_a_file_holds_the_case_made_alone(root):
    case = solve_case(1, **COARSE)
    mesh = pyvista.read(root / "train" / "00001.vtu")
    level = case.levels[0]
    np.testing.assert_allclose(mesh.points[:, :2], level.points, atol=1e-7)
    assert (mesh.points[:, 2] == 0).all()
    np.testing.assert_array_equal(mesh.cells_dict[5], level.triangles)
    assert set(mesh.point_data) == {"displacement", "cauchy", "von_mises", "boundary"}
    for name, dtype in (("displacement", "f4"), ("cauchy", "f4"), ("von_mises", "f4"), ("boundary", "u1")):
        stored, exact = mesh.point_data[name], getattr(level, name)
        assert stored.dtype == np.dtype(dtype)
        assert stored.shape == exact.shape
        assert norm(stored - exact) <= 1e-6 * norm(exact)
    facts = mesh.field_data
    np.testing.assert_allclose(facts["radius"], case.radius, rtol=1e-6)
    np.testing.assert_allclose(facts["coefficients"], case.void.coefficients, rtol=1e-6)
    np.testing.assert_array_equal(facts["traction"], [0, 100])
    assert facts["newton"][-1] < 1e-9
    assert facts["load_steps"].sum() == len(facts["newton"])
    np.testing.assert_array_equal(facts["seed"], [0, 1])
    np.testing.assert_array_equal(facts["counts"], [len(level.points), len(level.triangles), len(case.levels[2].points)])
    assert json.loads(bytes(facts["versions"]))["generator"] == unit_cell._files.GENERATOR


def test_finer_test_files_contain_the_coarse_one(root):
    coarse, middle, fine = (pyvista.read(root / f / "02000.vtu") for f in ("test", "test_4x", "test_16x"))
    assert fine.n_cells == 4 * middle.n_cells == 16 * coarse.n_cells
    for mesh in (coarse, middle):
        np.testing.assert_array_equal(fine.points[: mesh.n_points], mesh.points)
        np.testing.assert_array_equal(fine["von_mises"][: mesh.n_points], mesh["von_mises"])


def test_files_can_be_read_with_meshio(root):
    meshio = pytest.importorskip("meshio")
    mesh = meshio.read(root / "train" / "00000.vtu")
    np.testing.assert_array_equal(mesh.point_data["von_mises"], pyvista.read(root / "train" / "00000.vtu")["von_mises"])


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    root = make(tmp_path, train=2, val=0, test=1, jobs=1, **COARSE)
    before = {p: p.read_bytes() for p in root.rglob("*.vtu")}
    (root / "train" / "00001.vtu").unlink()
    (root / "test_4x" / "02000.vtu").unlink()
    asked = []

    def watched(index, **options):
        asked.append(index)
        return solve_case(index, **options)

    monkeypatch.setattr(_make, "solve_case", watched)
    make(tmp_path, train=2, val=0, test=1, jobs=1, **COARSE)
    assert asked == [1, 2000]
    assert {p: p.read_bytes() for p in root.rglob("*.vtu")} == before
    make(tmp_path, train=2, val=0, test=1, jobs=1, **COARSE)
    assert asked == [1, 2000]
    (root / "train" / "mine.vtu").touch()
    make(tmp_path, train=1, val=0, test=0, jobs=1, overwrite=True, load=50.0, **COARSE)
    assert asked == [1, 2000, 0]
    assert sorted(p.name for p in root.rglob("*.vtu")) == ["00000.vtu", "mine.vtu"]


def test_a_failed_write_leaves_no_file_under_the_final_name(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        unit_cell.write_case(solve_case(0, **COARSE), 0, tmp_path / "00000.vtu")
    assert not list(tmp_path.glob("*.vtu"))


def test_a_rejected_case_is_recorded_and_not_replaced(tmp_path, monkeypatch):
    asked = []

    def sometimes(index, **options):
        asked.append(index)
        if index == 1:
            raise CaseRejected("for a test")
        return solve_case(index, **options)

    monkeypatch.setattr(_make, "solve_case", sometimes)
    for _ in range(2):
        make(tmp_path, train=3, val=0, test=0, jobs=1, **COARSE)
    assert asked == [0, 1, 2]  # the second run does not try again
    assert [p.name for p in sorted((tmp_path / "train").glob("*.vtu"))] == ["00000.vtu", "00002.vtu"]
    card = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    assert card["rejected"] == [{"split": "train", "index": 1, "reason": "for a test"}]


def test_an_impossible_load_is_rejected_with_its_reason(tmp_path):
    with pytest.raises(CaseRejected, match="no equilibrium beyond 0 of the load"):
        solve_case(0, load=1e7, **COARSE)
    make(tmp_path, train=1, val=0, test=0, load=1e7, jobs=1, **COARSE)
    (entry,) = yaml.safe_load((tmp_path / "dataset.yaml").read_text())["rejected"]
    assert entry["index"] == 0
    assert "no equilibrium" in entry["reason"]


def test_a_root_with_other_options_is_refused(root):
    with pytest.raises(ValueError, match="overwrite=True"):
        make(root, train=1, val=0, test=0, load=200.0, jobs=1, **COARSE)
    with pytest.raises(ValueError, match="point data"):
        make(root, train=1, val=0, test=0, only_von_mises=("test",), jobs=1, **COARSE)


def test_arrays_can_be_left_out(tmp_path):
    for _ in range(2):
        make(tmp_path, train=0, val=0, test=1, jobs=1, only_von_mises=("test_16x",), **COARSE)
    assert set(pyvista.read(tmp_path / "test_16x" / "02000.vtu").point_data) == {"von_mises", "boundary"}
    assert "cauchy" in pyvista.read(tmp_path / "test_4x" / "02000.vtu").point_data
    card = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    assert card["left_out_to_save_space"] == {"test_16x": ["displacement", "cauchy"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 1001}, "train=1001"),
        ({"val": -1}, "val=-1"),
        ({"jobs": 0}, "jobs"),
        ({"only_von_mises": ("fine",)}, "only_von_mises"),
    ],
)
def test_bad_arguments_of_make_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "set", **options)
    assert not (tmp_path / "set").exists()


def test_the_script_makes_a_set(tmp_path, monkeypatch):
    argv = ["make.py", "--root", str(tmp_path), "--train", "0", "--val", "0", "--test", "0", "--jobs", "1"]
    monkeypatch.setattr(sys, "argv", argv)
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert (tmp_path / "dataset.yaml").exists()
