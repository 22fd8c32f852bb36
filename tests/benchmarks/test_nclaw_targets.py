"""The committed records of learned materials against the published errors and what was aimed at."""

import json
from pathlib import Path

import pytest

from geoops.learning import read_material

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "nclaw"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import _report_nclaw

    return _report_nclaw


def records(tables, material, law):
    found = tables.runs(RESULTS.parent, material, law)
    if not found:
        pytest.skip(f"no record of {material} by {law}")
    return found


MATERIALS = ("jelly", "plasticine", "sand", "water")
MOTIONS = ("reconstruction", "time", "velocity")


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_structured_law_is_ten_times_better_than_published(tables, material, motion):
    published = tables.PUBLISHED[material][MOTIONS.index(motion)]
    for record in records(tables, material, "structured"):
        assert tables.errors(record)[motion] <= published / 10


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_published_networks_reach_the_published_errors(tables, material, motion):
    """On the published schedule to what roll-outs leave to chance, and at most that with the weak form first."""
    published = tables.PUBLISHED[material][MOTIONS.index(motion)]
    for record in records(tables, material, "faithful"):
        assert tables.errors(record)[motion] <= 1.2 * published
    for record in tables.runs(RESULTS.parent, material, "warm"):
        assert tables.errors(record)[motion] <= published


@pytest.mark.parametrize("law", ["structured", "faithful", "warm"])
@pytest.mark.parametrize("material", MATERIALS)
def test_trainings_take_half_an_hour_at_most(tables, material, law):
    for record in records(tables, material, law):
        assert record["results"]["training"]["seconds"] <= 1800
        assert record["results"]["training"]["threads"] == 1


def test_the_structured_law_is_better_than_the_network_of_stretches(tables):
    neural = tables.errors(records(tables, "jelly", "neural")[0])["reconstruction"]
    assert all(tables.errors(r)["reconstruction"] < neural for r in records(tables, "jelly", "structured"))


@pytest.mark.parametrize(
    ("material", "constant", "truth", "close"),
    [
        ("jelly", "elastic.log_young", 11.512925, 0.01),
        ("sand", "plastic.friction", 25.0, 0.25),
        ("plasticine", "plastic.log_yield", 8.517193, 0.02),
    ],
)
def test_unknown_constants_are_found(tables, material, constant, truth, close):
    (record,) = records(tables, material, "sysid")
    assert record["results"]["constants"][constant] == pytest.approx(truth, abs=close)
    assert material != "jelly" or tables.errors(record)["reconstruction"] < 1e-7


def test_packaged_materials_are_small_and_belong_to_records():
    paths = sorted((ROOT / "geoops" / "checkpoints" / "nclaw").glob("*.safetensors"))
    assert paths
    for path in paths:
        assert path.stat().st_size < 1e6
        assert (RESULTS / f"{path.stem}-0.json").is_file()
        read_material(path)


def test_the_unseen_mesh():
    path = RESULTS.parent / "nclaw_unseen.json"
    if not path.is_file():
        pytest.skip("no record")
    found = json.loads(path.read_text())["results"]
    assert found["particles"] >= 8000
    assert found["position_mse"]["learned"] < 1e-3 * found["position_mse"]["untrained"]
