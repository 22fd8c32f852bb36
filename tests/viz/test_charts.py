"""Charts of errors."""

import json

import pytest

from geoops.viz import plot_history, plot_superres

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
