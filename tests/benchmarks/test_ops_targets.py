"""The committed measurements of the native ops reach what they were built for; where they do not, the test says so."""

import json
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
#: How many times as fast as torch-scatter, or where both are named as the faster of torch-scatter and torch, forward.
AIMS = {
    "scatter max": (10, ["torch_scatter"]),
    "scatter min": (10, ["torch_scatter"]),
    "softmax": (15, ["torch_scatter"]),
    "scatter sum": (2, ["torch_scatter", "torch"]),
    "scatter mean": (2, ["torch_scatter", "torch"]),
    "segment max": (5, ["torch_scatter"]),
    "segment sum": (1.2, ["torch_scatter", "torch"]),
}
SHORT = {
    ("scatter max", "forward", 1): "9.7, and 10.3 for the minimum, which is the same code: a millisecond varies by a third",
    ("softmax", "forward", 1): "9.0: adding at random places and reading from there again take two thirds of the time",
    ("softmax", "forward and backward", 1): "6.7, for the same reason",
}
GROWTH = {
    "scatter sum": "1.08: up to 316,228 edges all data lie in the caches; from there on a decade takes 10 to 16 times as long",
    "scatter max": "1.10, for the same reason",
    "softmax": "1.09, for the same reason",
    "radius graph": "1.08: a tree is n log n, and so is what it misses in the caches",
}


def results(name):
    record = json.loads((RESULTS / f"{name}.json").read_text())
    for key in ("command", "seed", "hardware", "threads", "wall_seconds", "versions"):
        assert key in record
    return record["results"]


def rows():
    return {(row["op"], row["pass"], row["channels"]): row for row in results("scatter")["rows"]}


@pytest.mark.parametrize("channels", [1, 8, 64])
@pytest.mark.parametrize("kind", ["forward", "forward and backward"])
@pytest.mark.parametrize("op", AIMS)
def test_reductions(op, kind, channels, request):
    if reason := SHORT.get((op, kind, channels)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    aim, packages = AIMS[op]
    times = rows()[op, kind, channels]["times"]
    assert min(times[package] for package in packages) >= (aim if kind == "forward" else aim / 2)


def test_no_reduction_is_slower_than_another_package():
    assert all(min(row["times"].values()) > 1 for row in rows().values())


def test_share_of_the_bandwidth():
    found = rows()
    assert found["segment sum", "forward", 64]["copy_share"] >= 0.6
    assert found["scatter sum", "forward", 64]["copy_share"] >= 0.3


def test_edge_sum_is_three_times_as_fast_and_stores_no_values_of_edges():
    found = results("edge_sum")
    (row,) = [r for r in found["rows"] if (r["op"], r["pass"], r["channels"]) == ("edge_sum", "forward", 64)]
    assert row["times"]["torch_scatter"] >= 3
    assert found["peak_mib"]["geoops"] < found["edges_times_channels_mib"] / 4


def test_searches():
    found = results("neighbours")
    for search, aim in (("radius graph", 1.5), ("knn", 1.5), ("fps, 1 in 100", 8)):
        others = [row["times"] for row in found["rows"] if row["search"] == search and row["package"] != "geoops"]
        assert len(others) >= 1
        assert min(others) >= aim
    assert found["million"]["peak_gib_of_process"] < 8


def test_decompositions():
    found = results("small_dense")
    svd = [row for row in found["rows"] if (row["op"], row["size"]) == ("svd", 3)]
    assert len(svd) == 2
    assert all(row["speedup"] >= 10 for row in svd)
    assert found["error_3"]["singular_values"] < 1e-6
    assert found["error_3"]["product"] < 1e-6


@pytest.mark.parametrize("row", results("growth")["rows"], ids=lambda row: row["op"])
def test_growth(row, request):
    if reason := GROWTH.get(row["op"]):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    assert row["slope"] <= 1.05
