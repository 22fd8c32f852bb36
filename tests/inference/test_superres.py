"""Super-resolution errors against numbers computed by hand."""

import json
from io import StringIO

import numpy as np
import pytest
import torch

from geoops import io
from geoops.inference import superres, superres_table
from geoops.inference._superres import outside, parse_regions, relative_l2, resolutions


def _formula(points, normalizer):
    """The network's field in physical units, in float64."""
    mean, std = (np.asarray(v.tolist()) for v in normalizer.target_scale())
    x = (points.double().numpy() - np.asarray(normalizer.center)) / normalizer.scale
    return (x[:, 0] ** 2 + 3 * x[:, 1]) * std + mean


def _relative(prediction, truth):
    return np.sqrt(((prediction - truth) ** 2).sum() / (truth**2).sum())


@pytest.fixture
def report(formula, data):
    with pytest.warns(UserWarning, match="finer than trained"):
        return superres(formula, data, exclude="0,0,0.3", progress=False)


def test_errors_of_the_model_are_those_of_its_formula(report, plate, normalizer):
    for factor, n in ((1, 9), (4, 17), (16, 33)):
        points = plate(n).points
        predicted, truth = _formula(points, normalizer), 1 + points[:, 0].double().numpy()
        expected = [_relative(predicted, scale * truth) for scale in (1, 2)]
        for mode in ("fine", "coarse"):
            row = report.row(factor, mode)
            assert row.mean == pytest.approx(np.mean(expected), rel=1e-5)
            assert row.median == pytest.approx(np.median(expected), rel=1e-5)
            assert row.p95 == pytest.approx(np.quantile(expected, 0.95), rel=1e-5)
            assert (row.meshes, row.points) == (2, len(points))


def test_errors_of_interpolation_are_those_of_averages_of_neighbours(report, plate, normalizer):
    # On the once refined grid every point is a coarse point or the middle of an edge between two.
    points = plate(17).points.double()
    grid = (points * 16).round().long()
    ends = [_formula(fn(grid / 2) / 8, normalizer) for fn in (torch.floor, torch.ceil)]
    interpolated, truth = (ends[0] + ends[1]) / 2, 1 + points[:, 0].numpy()
    expected = np.mean([_relative(interpolated, scale * truth) for scale in (1, 2)])
    assert report.row(4, "interpolation").mean == pytest.approx(expected, rel=1e-5)
    assert report.row(4, "interpolation").mean != pytest.approx(report.row(4, "fine").mean, rel=1e-5)
    assert report.row(1, "interpolation").mean == report.row(1, "fine").mean


def test_excluded_balls_are_left_out(report, plate, normalizer):
    points = plate(33).points
    keep = (points.double().norm(dim=1) > 0.3).numpy()
    predicted, truth = _formula(points, normalizer), 1 + points[:, 0].double().numpy()
    expected = np.mean([_relative(predicted[keep], scale * truth[keep]) for scale in (1, 2)])
    row = report.row(16, "fine", "outside")
    assert row.mean == pytest.approx(expected, rel=1e-5)
    assert row.points == keep.sum()
    assert row.mean != pytest.approx(report.row(16, "fine").mean, rel=1e-5)


def test_the_report_becomes_a_table_and_json(report, tmp_path):
    from rich.console import Console

    stream = StringIO()
    Console(width=200, file=stream).print(report.table())
    text = stream.getvalue()
    assert "formula" in text
    assert "0.3 around (0, 0)" in text
    assert "16x" in text
    assert f"{100 * report.row(4, 'interpolation').mean:.2f} (" in text
    saved = tmp_path / "deep" / "report.json"
    assert report.to_json(saved) == saved.read_text()
    content = json.loads(saved.read_text())
    assert content["kind"] == "geoops.superres"
    assert len(content["rows"]) == 18
    assert content["cases"]["00001"]["u/16/fine/all"] > content["cases"]["00000"]["u/16/fine/all"] * 0
    assert {"torch", "threads", "seconds"} <= set(content["provenance"])
    assert "finer than trained" in content["notes"][0]
    assert [p.name for p in saved.parent.iterdir()] == ["report.json"]


def test_two_models_share_a_table(report, shifted, data):
    with pytest.warns(UserWarning, match="finer"):
        other = superres(shifted, data, limit=1, progress=False)
    table = superres_table([report, other], brief=True)
    assert table.columns[0].header == "model"
    assert table.row_count == 6 + 3
    with pytest.raises(KeyError, match=r"resolutions are \[1, 4, 16\]"):
        other.row(64)


def test_the_warning_comes_once(formula, data):
    with pytest.warns(UserWarning, match="finer than trained") as caught:
        superres(formula, data, progress=False)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2
    assert "test_4x" in texts[0]
    assert "test_16x" in texts[1]


def test_fewer_modes_and_a_progress_bar(formula, data, capsys):
    with pytest.warns(UserWarning, match="finer"):
        report = superres(formula, data, modes=("fine",))
    assert {row.mode for row in report.rows} == {"fine"}
    assert "super-resolution, formula" in capsys.readouterr().out


def test_finer_folders_are_found_by_name(data):
    (data / "test_coarse").mkdir()
    (data / "val_4x").mkdir()
    assert {k: sorted(v) for k, v in resolutions(data).items()} == {k: ["00000", "00001"] for k in (1, 4, 16)}


def test_missing_folders_and_files_are_named(data, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'val'.*test, test_16x, test_4x"):
        resolutions(data, "val")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        resolutions(tmp_path / "gone")
    (data / "test_4x" / "00001.vtu").unlink()
    with pytest.raises(FileNotFoundError, match=r"test_4x lacks 1 .*'00001'"):
        resolutions(data)
    (tmp_path / "empty" / "test").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="holds no mesh files"):
        resolutions(tmp_path / "empty")


def test_a_mesh_without_the_target_is_named(formula, data):
    mesh = io.read(data / "test" / "00000.vtu")
    io.write(data / "test" / "00000.vtu", type(mesh)(mesh.points, mesh.cells, {"kind": mesh.point_fields["kind"]}))
    with pytest.raises(KeyError, match=r"00000\.vtu: no point field 'u'.*kind"):
        superres(formula, data)


@pytest.mark.parametrize("region", ["0,0", "a,b,c", "0,0,0", "0,0,-1", "1,2,3,4,5", ""])
def test_regions_are_centre_and_radius(region):
    with pytest.raises(ValueError, match="centre and radius"):
        parse_regions([region])


def test_regions_come_one_by_one_or_in_one_text():
    balls = ((0.0, 0.0, 0.1), (1.0, 0.0, 0.1))
    assert parse_regions("0,0,0.1 1,0,0.1") == parse_regions(["0,0,0.1", "1,0,0.1"]) == parse_regions(balls) == balls


def test_regions_must_fit_the_meshes(formula, data):
    assert outside(torch.tensor([[0.0, 0], [1, 0]]), [(0.0, 0.0, 0.5)]).tolist() == [False, True]
    with pytest.raises(ValueError, match="2 coordinates and a radius"):
        superres(formula, data, exclude="0,0,0,1")
    with pytest.raises(ValueError, match="hold all of its points"):
        superres(formula, data, exclude=["0,0,5"])


def test_bad_arguments_are_refused(formula, data, unchecked):
    with pytest.raises(ValueError, match="limit must be at least 1"):
        superres(formula, data, limit=0)
    with pytest.raises(ValueError, match="modes are fine, coarse, interpolation; got best"):
        superres(formula, data, modes=("best",))
    with pytest.raises(ValueError, match="memory must"):
        superres(formula, data, memory="a lot")


def test_relative_l2_of_a_zero_field_is_finite():
    assert relative_l2(torch.zeros(3, 1), torch.zeros(3, 1)) == 0
