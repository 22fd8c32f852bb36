"""The committed measurements of the material point method reach what it was built for."""

import json
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "mpm.json"
#: Most CPU milliseconds of a step, by law, particles and pass.
MOST = {
    ("jelly", 1000, "forward"): 0.4,
    ("jelly", 1000, "forward and backward"): 1.5,
    ("neural pair", 1000, "forward"): 1.5,
    ("neural pair", 1000, "forward and backward"): 4.0,
    ("structured pair", 1000, "forward"): 1.5,
    ("structured pair", 1000, "forward and backward"): 4.0,
    ("neural pair", 8000, "forward and backward"): 20.0,
}


@pytest.fixture(scope="module")
def results():
    if not FILE.exists():
        pytest.skip("needs benchmarks/results/mpm.json, which benchmarks/mpm.py writes")
    record = json.loads(FILE.read_text())
    for key in ("command", "seed", "hardware", "wall_seconds", "versions"):
        assert key in record
    assert record["threads"] == 1
    return record["results"]


@pytest.mark.parametrize("case", MOST, ids=lambda case: f"{case[0]}, {case[1]}, {case[2]}")
def test_time_of_a_step(results, case):
    law, particles, kind = case
    (row,) = [
        row
        for row in results["rows"]
        if (row["law"], row["particles"], row["pass"], row["dtype"]) == (law, particles, kind, "float32")
    ]
    assert row["cpu_ms"] <= MOST[case]


def test_every_law_is_measured(results):
    laws = {"jelly", "sand", "plasticine", "water", "neural pair", "structured pair"}
    for particles in (1000, 8000):
        for kind in ("forward", "forward and backward"):
            assert {row["law"] for row in results["rows"] if (row["particles"], row["pass"]) == (particles, kind)} == laws
    assert {row["law"] for row in results["rows"] if row["dtype"] == "float64"} == {"structured pair"}


def test_particles_in_the_plane(results):
    (row,) = [row for row in results["plane"] if row["order"] == "sorted"]
    assert row["particles"] == 100_000
    assert row["million_particle_steps_per_s"] >= 12


def test_growth(results):
    growth = results["growth"]
    assert [row["particles"] for row in growth["rows"]] == [1_000, 10_000, 100_000, 1_000_000]
    assert growth["slope"] <= 1.05
