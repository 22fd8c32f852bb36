"""The committed measurements of the unit cell are what the documentation promises; what is not committed is not promised."""

import json
from pathlib import Path
from statistics import fmean

import pytest

import geoops

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "unit_cell"


def results(name):
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not committed")
    record = json.loads(path.read_text())
    for key in ("command", "seed", "hardware", "threads", "wall_seconds", "versions"):
        assert key in record
    return record


def outside(name):
    return results(f"compare/{name}")["results"]["test"]["outside"]["mean"]


def test_data_are_made_within_45_minutes():
    record = results("data")
    assert record["wall_seconds"] < 45 * 60
    files = record["results"]["files"]
    rejected = len(record["results"]["rejected"])
    assert files["train"] + files["val"] + files["test"] + rejected == 1300


@pytest.mark.xfail(strict=True, reason="0.38 since Transolver has the default's optimiser too, see docs/guide/models.md, Controls")
def test_default_has_a_third_of_the_error_of_transolver_at_equal_time():
    errors = [outside(f"enf2enf-{seed}") for seed in range(3)]
    assert max(errors) < outside("transolver-0") / 3


def test_default_has_a_third_of_the_error_of_transolver_with_the_optimiser_of_its_authors():
    errors = [outside(f"enf2enf-{seed}") for seed in range(3)]
    assert max(errors) < outside("transolver-adamw-0") / 3


def test_all_trainings_of_the_comparison_had_the_same_time():
    for name in (
        "enf2enf-0",
        "enf2enf-1",
        "enf2enf-2",
        "enf2enf-faithful-compact-0",
        "transolver-0",
        "transolver-adamw-0",
        "pointnet-0",
        "mlp-0",
    ):
        found = results(f"compare/{name}")["results"]
        assert found["training"]["threads"] == 1
        assert found["training"]["seconds"] < 31 * 60


def test_acceptance_check_13_learning_beats_what_learns_nothing():
    found = results("compare/baselines")["results"]
    trivial = min(found[name]["test"]["outside"]["mean"] for name in ("nearest_shape", "mean_field", "constant"))
    for name in ("enf2enf-0", "enf2enf-faithful-compact-0"):
        assert outside(name) < min(trivial, outside("mlp-0"))


def test_default_after_an_hour():
    found = results("default")["results"]
    assert found["training"]["threads"] == 2
    assert found["training"]["seconds"] < 61 * 60
    assert found["test"]["outside"]["mean"] < 0.012
    assert len(found["cases"]["outside"]) == 200


def test_packaged_model_is_the_measured_one():
    found = results("default")["results"]
    packaged = geoops.load("unit-cell/enf2enf").metadata["results"]
    assert packaged["test/rel_l2"] == pytest.approx(found["test"]["all"]["mean"], rel=1e-3)


def superres():
    rows = results("superres")["results"]["rows"]
    return {(row["factor"], row["mode"]): row["mean"] for row in rows if row["region"] == "outside"}


def test_error_hardly_grows_at_4x_and_is_below_interpolation():
    error = superres()
    assert error[4, "fine"] <= 1.15 * error[1, "fine"]
    for factor in (4, 16):
        assert error[factor, "fine"] < error[factor, "interpolation"]


@pytest.mark.xfail(strict=True, reason="not reached: the labels themselves are less alike at 16x, see docs/results.md")
def test_error_hardly_grows_at_16x():
    error = superres()
    assert error[16, "fine"] <= 1.3 * error[1, "fine"]


def test_error_against_solutions_twice_as_fine_hardly_grows():
    rows = {row["factor"]: row["model_against_finer"] for row in results("labels")["results"]["rows"]}
    assert rows[4] <= 1.15 * rows[1]
    assert rows[16] <= 1.3 * rows[1]


def test_decoding_a_million_points():
    record = results("decode")
    assert record["threads"] == 2
    assert record["results"]["points"] == 1_000_000
    for row in record["results"]["rows"]:
        assert row["points_per_second"] >= 150_000
        assert row["within_budget"]
    assert max(record["results"]["chunks"].values()) < 1e-6


def test_latency_of_one_shape():
    rows = {row["model"]: row for row in results("latency")["results"]["rows"]}
    assert rows["default, one-shot"]["whole_ms"] <= 30
    for size in ("published size", "faithful-compact"):
        assert rows[f"{size}, one-shot encoder"]["network_ms"] < rows[f"{size}, inner loop"]["network_ms"]


def test_seeds_agree():
    errors = [outside(f"enf2enf-{seed}") for seed in range(3)]
    assert max(errors) < 1.25 * fmean(errors)
