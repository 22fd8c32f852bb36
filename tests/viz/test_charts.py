"""Charts of errors."""

import json

import numpy as np
import pytest
import torch

from geoops.viz import plot_history, plot_superres, rollout_chart, sweep_chart

HISTORY = {"history": [{"elapsed": 60.0 * i, "val/rel_l2": 1 / (1 + i)} for i in range(5)]}


def _row(factor, mode, mean, region="all"):
    return {"field": "u", "factor": factor, "mode": mode, "region": region, "mean": mean}


MODES = ("fine", "coarse", "interpolation")
REPORT = {
    "model": "net",
    "rows": [_row(k, m, 0.01 * k, r) for k in (1, 4, 16) for m in MODES for r in ("all", "outside")],
}


def test_history_is_drawn_against_minutes_in_percent(tmp_path):
    file = tmp_path / "run7" / "metrics.json"
    file.parent.mkdir()
    file.write_text(json.dumps(HISTORY))
    picture = tmp_path / "out" / "history.png"
    figure = plot_history(file, HISTORY, labels=None, output=picture)
    axes = figure.axes[0]
    assert axes.lines[0].get_xdata()[-1] == pytest.approx(4)
    assert axes.lines[0].get_ydata()[0] == pytest.approx(100)
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["run7", "run 2"]
    assert picture.stat().st_size > 5000
    assert axes.get_yscale() == "log"
    flat = {"history": [{"elapsed": 60.0 * i, "val/rel_l2": 0.5} for i in range(5)], "name": "flat"}
    axes = plot_history(flat).axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0


def test_a_history_without_the_number_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"'elapsed' and 'val/mse'"):
        plot_history(HISTORY, key="val/mse")
    with pytest.raises(FileNotFoundError, match="gone"):
        plot_history(tmp_path / "gone.json")
    with pytest.raises(ValueError, match="at least one"):
        plot_history()
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(ValueError, match="not a JSON file"):
        plot_history(bad)


def test_superres_has_one_line_per_way_to_predict(tmp_path):
    figure = plot_superres(REPORT, output=tmp_path / "s.png")
    axes = figure.axes[0]
    assert len(axes.lines) == 3
    assert list(axes.lines[0].get_xdata()) == [1, 4, 16]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([1, 4, 16])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1x", "4x", "16x"]
    assert "net" in axes.get_legend().get_texts()[0].get_text()


def test_superres_needs_a_report():
    with pytest.raises(ValueError, match=r"'rows'.*got keys history"):
        plot_superres(HISTORY)
    with pytest.raises(ValueError, match="at least one"):
        plot_superres()


def test_errors_of_rollouts_have_lines_and_bands(tmp_path):
    frames = torch.arange(6, 16.0)
    three = torch.stack([frames, 2 * frames, 4 * frames])
    broken = frames.numpy() ** 2
    broken[7:] = np.inf
    figure = rollout_chart({"ours": three, "broken": broken}, 0.5, tmp_path / "r.png", start=6, label="error")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["ours", "broken"]
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "error")
    ours, other = axes.lines
    assert ours.get_xdata() == pytest.approx(0.5 * frames.numpy())
    assert ours.get_ydata() == pytest.approx(2 * frames.numpy())
    assert other.get_xdata() == pytest.approx(0.5 * frames[:7].numpy())
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    assert [corners[:, 1].min(), corners[:, 1].max()] == pytest.approx([6, 60])
    assert (tmp_path / "r.png").stat().st_size > 5000


def test_rollouts_that_cannot_be_drawn(unchecked):
    with pytest.raises(ValueError, match="at least one method"):
        rollout_chart({}, 0.1)
    for options in ({"spacing": 0.0}, {"spacing": np.inf}, {"spacing": 0.1, "start": -1}):
        with pytest.raises(ValueError, match="expected spacing > 0 and start >= 0"):
            rollout_chart({"a": np.ones(3)}, **options)
    with pytest.raises(ValueError, match=r"'a' has errors of shape \(1, 2, 3\)"):
        rollout_chart({"a": np.ones((1, 2, 3))}, 0.1)
    with pytest.raises(ValueError, match="rollout_chart: 'a' has no time at which all errors are positive and finite"):
        rollout_chart({"a": np.zeros(3)}, 0.1)


def test_a_sweep_has_three_panels(tmp_path):
    rows = [{"kept": 1 / k, "seconds": 0.1 / k, "bytes": 1e9 / k, "error": [1.0, 2.0, 4.0 * k]} for k in (1, 4, 2, 32)]
    published = [{"kept": 1.0, "seconds": 0.9, "bytes": None}, {"kept": 0.5, "seconds": 0.6}]
    figure = sweep_chart({"ours": rows, "published": published}, tmp_path / "s.svg", label="MSE")
    time, memory, error = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["time per step [ms]", "peak memory [MB]", "MSE"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1, 1]
    assert [t.get_text() for t in time.get_legend().get_texts()] == ["ours", "published"]
    assert time.lines[0].get_xdata() == pytest.approx([1 / 32, 1 / 4, 1 / 2, 1])
    assert time.lines[0].get_ydata() == pytest.approx([100 / 32, 25, 50, 100])
    assert memory.lines[0].get_ydata()[-1] == pytest.approx(1000)
    assert error.lines[0].get_ydata() == pytest.approx([2, 2, 2, 2])
    (band,) = error.collections
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(128)
    assert {time.get_xscale(), time.get_yscale()} == {"log"}
    write = time.xaxis.get_major_formatter()
    assert [write(1.0), write(0.25), write(1 / 64), write(0.3)] == ["1", "1/4", "1/64", "0.3"]
    assert (tmp_path / "s.svg").stat().st_size > 5000


def test_sweeps_that_cannot_be_drawn():
    for nothing in ({}, {"a": []}):
        with pytest.raises(ValueError, match="at least one method to draw, and at least one row"):
            sweep_chart(nothing)
    for row in ({"seconds": 1.0}, {"kept": 0.0, "seconds": 1.0}, {"kept": 2.0, "seconds": 1.0}):
        with pytest.raises(ValueError, match=r"'a': expected rows with a share `kept` in \(0, 1\]"):
            sweep_chart({"a": [row]})
    for wrong in (0.0, float("nan"), [1.0, -1.0], []):
        with pytest.raises(ValueError, match=r"'a': expected error > 0 and finite, got .* at kept = 0\.5"):
            sweep_chart({"a": [{"kept": 0.5, "error": wrong}]})
