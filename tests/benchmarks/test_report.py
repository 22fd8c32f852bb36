"""The tables of the README come from JSON files and from nothing else."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "before\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\nafter\n"
ERRORS = {"outside": {"mean": 0.02, "median": 0.0195, "p95": 0.03}, "all": {"mean": 0.05, "median": 0.04, "p95": 0.1}}


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("report", ROOT / "benchmarks" / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(DOCUMENT)
    (tmp_path / "docs" / "results.md").write_text(DOCUMENT)
    return tmp_path


def record(root, name, results, seed=0):
    path = root / "benchmarks" / "results" / "unit_cell" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"hardware": "a machine", "threads": 1, "wall_seconds": 61.0, "date": "2000-01-01", "versions": {}}
    path.write_text(json.dumps({"command": "python x.py", "seed": seed, **about, "results": results}))


def training(model, mean, seed=0):
    test = {region: {**values, "mean": mean} for region, values in ERRORS.items()}
    history = [{"elapsed": 60.0 * i, "val/rel_l2/away_from_corners": 0.5 / i} for i in (1, 2, 3)]
    facts = {"steps": 1234, "seconds": 180.0, "threads": 1}
    results = {"model": model, "recipe": f"unit-cell/{model}", "minutes": 30.0, "parameters": 1000, "test": test}
    return {**results, "training": facts, "history": history, "cases": {"outside": {"1": mean}}}


def test_tables_hold_the_numbers_of_the_files(report, root):
    record(root, "compare/enf2enf-0", training("enf2enf", 0.021))
    record(root, "compare/enf2enf-1", training("enf2enf", 0.023, seed=1), seed=1)
    record(root, "compare/transolver-0", training("transolver", 0.123))
    record(root, "compare/baselines", {"mean_field": {"test": ERRORS, "validation": {"k=64": 0.4}}})
    assert report.main([], root) == 0
    text = (root / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    (row,) = [line for line in text.splitlines() if "enf2enf, default" in line and line.startswith("|")]
    assert "mean of 2 seeds" in row
    assert "| 2.20 % (" in row
    assert "2.10 % to 2.30 %" in text
    assert "12.3 %" in text
    assert "mean field" in text
    assert (root / "docs" / "images" / "unit_cell_time.png").stat().st_size > 1000
    assert report.main(["--check"], root) == 0


def test_all_sections_appear_in_the_documentation(report, root):
    record(root, "default", training("enf2enf", 0.0098))
    rows = [
        {"factor": f, "mode": mode, "region": region, "mean": 0.01 * f, "points": 900.0 * f}
        for f in (1, 4, 16)
        for mode in ("fine", "coarse", "interpolation")
        for region in ("outside", "all")
    ]
    record(root, "superres", {"rows": rows}, seed=None)
    better = [
        {"factor": f, "cells": 24, "labels": 0.001 * f, "model_against_labels": 0.01 * f, "model_against_finer": 0.011 + 0.002 * f}
        for f in (1, 4)
    ]
    record(root, "labels", {"checkpoint": "x", "rows": better}, seed=None)
    speed = [{"budget": "1GB", "points_per_second": 200000, "peak_mb": 123.4}]
    record(root, "decode", {"checkpoint": "x", "points": 10**6, "rows": speed, "chunks": {"7": 1e-7}})
    latency = [{"model": "default", "parameters": 5, "network_ms": 12.3, "whole_ms": 20.0}]
    record(root, "latency", {"rows": latency})
    report.main([], root)
    text = (root / "docs" / "results.md").read_text()
    for expected in (
        "0.980 %",
        "24 test cells",
        "1.46 at 4x",
        "16x (14,400 points)",
        "16.0 %",
        "200,000",
        "1.0e-07",
        "12.3",
        "1,234",
    ):
        assert expected in text, expected


def test_check_finds_a_document_that_is_out_of_date(report, root, capsys):
    record(root, "compare/mlp-0", training("mlp", 0.4))
    assert report.main(["--check"], root) == 1
    assert "README.md is out of date" in capsys.readouterr().out
    assert (root / "README.md").read_text() == DOCUMENT


def test_without_results_the_tables_say_so(report, root):
    report.main([], root)
    assert report.NOTHING in (root / "README.md").read_text()


def test_missing_markers_are_named(report, root):
    (root / "README.md").write_text("no markers")
    with pytest.raises(ValueError, match=r"README\.md needs the lines <!-- results:begin -->"):
        report.main([], root)


def test_committed_tables_are_those_of_the_committed_files(report):
    assert report.main(["--check"]) == 0, "run python benchmarks/report.py"
