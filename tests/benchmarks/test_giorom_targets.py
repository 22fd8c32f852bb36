"""The committed measurements of steppers and decoders against what was aimed at; misses are listed, and fail once they are none."""

import json
import math
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "giorom"
FILES = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
SPLITS = ("test", "test_geometry", "test_velocity")
PLANAR = ("jelly", "plasticine", "water")
EXPECTED = {f"{kind}-{name}" for kind in ("rollout", "decoders", "samples") for name in PLANAR}
EXPECTED |= {"rollout-jelly3d", "sparsity", "scale", "ablation"}
#: Records that are still to be made.
LEFT = EXPECTED - {"rollout-water"}
#: What is not reached, by test and case; docs/results.md says by how much.
MISSED: dict[str, set[tuple[str, ...]]] = {
    "better than gns": set(),
    "below free fall": set(),
    "pipeline": set(),
    "speed": set(),
    "own speed": set(),
    "local affine": set(),
    "water": set(),
    "scale": set(),
    "samples": set(),
}


def cases(test, *all_cases):
    """Marks the cases that are known to be missed."""
    marks = pytest.mark.xfail(strict=True, raises=AssertionError, reason="not reached, see docs/results.md")
    return [pytest.param(*case, marks=[marks] if case in MISSED[test] else [], id="-".join(case)) for case in all_cases]


def results(name):
    return json.loads(FILES[name].read_text())["results"]


def materials(kind):
    """Returns the materials that have a record."""
    return [name.partition("-")[2] for name in FILES if name.startswith(f"{kind}-")]


def mean(errors, key, way=None):
    """Returns an error, that of the samples by farthest points where there are several ways; infinite if a roll-out exploded."""
    ways = errors[key]
    value = ways[way or ("fps" if "fps" in ways else "all")]["mean"]
    return math.inf if value is None else value


def rollout_cases():
    return [(material, split) for material in materials("rollout") for split in results(f"rollout-{material}")["motions"]]


def scenes():
    return list(results("sparsity")["scenes"]) if "sparsity" in FILES else []


def test_there_are_records():
    """Nothing passes because its record is missing."""
    assert set(FILES) == EXPECTED - LEFT


@pytest.mark.parametrize("name", FILES)
def test_records_say_how_they_were_made(name):
    record = json.loads(FILES[name].read_text())
    for key in ("command", "date", "seed", "hardware", "threads", "wall_seconds", "versions"):
        assert key in record
    assert " /" not in record["command"].replace("=/", " /"), "paths outside the repository cannot be repeated elsewhere"


@pytest.mark.parametrize("material", materials("rollout"))
def test_records_of_roll_outs_are_complete(material):
    found = results(f"rollout-{material}")
    assert set(found["motions"]) == set(SPLITS)
    assert found["frames"] >= 100
    assert {"ours", "gns"} <= set(found["steppers"])
    ours, gns = (found["steppers"][name] for name in ("ours", "gns"))
    assert gns["samples"] == gns["particles"]
    assert ours["samples"] <= ours["particles"] / 16 + 1
    for split in SPLITS:
        assert len(ours["splits"][split]["mse"]["fps"]["choices"]) >= 3
        assert len(ours["splits"][split]["mse"]["random"]["choices"]) >= 3
    seconds = [stepper["training"]["seconds"] for stepper in (ours, gns)]
    assert max(seconds) <= 1.05 * min(seconds), "trained for different times"


@pytest.mark.parametrize(("material", "split"), cases("better than gns", *rollout_cases()))
def test_few_particles_are_as_good_as_a_simulator_of_all(material, split):
    steppers = results(f"rollout-{material}")["steppers"]
    ours, gns = (steppers[name]["splits"][split] for name in ("ours", "gns"))
    assert math.isfinite(mean(ours, "mse_100"))
    assert mean(ours, "mse_100") <= mean(gns, "mse_100")


@pytest.mark.parametrize(("material", "split"), cases("below free fall", *rollout_cases()))
def test_roll_outs_are_far_below_free_fall(material, split):
    errors = results(f"rollout-{material}")["steppers"]["ours"]["splits"][split]
    assert mean(errors, "mse_100") <= mean(errors, "fall_mse_100") / 5


@pytest.mark.parametrize(("material", "split"), cases("pipeline", *[c for c in rollout_cases() if c[0] == "jelly"]))
def test_decoding_adds_little(material, split):
    errors = results(f"rollout-{material}")["steppers"]["ours"]["splits"][split]
    assert mean(errors, "full_over_samples_at_100") <= 1.5


@pytest.mark.skipif("rollout-jelly" not in FILES, reason="needs benchmarks/results/giorom/rollout-jelly.json")
def test_a_quarter_of_an_hour_is_enough_to_learn():
    """Check 9, on validation motions: 250 of 4,000 particles, the roll-out of 195 frames, and free fall that the walls stop.

    The training is that of half an hour, read after a quarter.
    """
    rows = [row for row in results("rollout-jelly")["steppers"]["ours"]["history"] if row["elapsed"] <= 900]
    assert rows[-1]["val/one_step"] < 0.3
    assert rows[-1]["val/rollout_mse"] <= rows[-1]["val/free_fall_mse"] / 5


REFERENCES = ("GNS, 64 x 5", "GNS, 128 x 10")


def at(scene, kept, model="ours"):
    (row,) = [r for r in results("sparsity")["scenes"][scene]["rows"] if r["model"] == model and r["kept"] == kept]
    return row


@pytest.mark.skipif("sparsity" not in FILES, reason="needs benchmarks/results/giorom/sparsity.json")
def test_a_scene_of_many_particles_in_space_is_swept():
    found = results("sparsity")["scenes"].values()
    assert any(scene["dim"] == 3 and scene["particles"] >= 16_000 for scene in found)
    assert any(scene["dim"] == 2 for scene in found)
    for scene in found:
        assert {row["kept"] for row in scene["rows"]} >= {2.0**-k for k in range(7)}
        assert len(scene["radii"]) >= 5


@pytest.mark.parametrize(("scene", "reference"), cases("speed", *[(s, r) for s in scenes() for r in REFERENCES]))
def test_a_step_of_a_thirty_second_of_the_particles_is_fast(scene, reference):
    """15 times as fast as the simulator of all particles; 25 was hoped for."""
    assert at(scene, 1 / 32)["speedup"][reference] >= 15


@pytest.mark.parametrize("scene", cases("own speed", *[(s,) for s in scenes() if results("sparsity")["scenes"][s]["dim"] == 3]))
def test_thinning_makes_the_same_network_fast(scene):
    assert at(scene, 1 / 32)["step_ms"] <= at(scene, 1.0)["step_ms"] / 10


def decoder(material, name):
    (row,) = [row for row in results(f"decoders-{material}")["rows"] if row["name"] == name]
    return mean(row, "displacement")


@pytest.mark.parametrize("material", materials("decoders"))
def test_all_decoders_are_measured(material):
    found = results(f"decoders-{material}")
    assert {row["class"] for row in found["rows"]} >= {
        *("Nearest", "InverseDistance", "MovingLeastSquares", "ThinPlate", "POD", "CROM", "LiCROM"),
        *("IntegralKernel", "GridSplat", "LocalAffine", "FlowMap"),
    }
    assert found["keep"] == 1 / 16
    assert len(found["rows"][0]["displacement"]["fps"]["choices"]) >= 3
    assert {"IntegralKernel, published", "GridSplat, published"} <= {row["name"] for row in found["rows"]}
    seconds = [row["training"]["seconds"] for row in found["rows"] if row["trained"] and row["class"] != "POD"]
    assert max(seconds) <= 1.1 * min(seconds), "trained for different times"


@pytest.mark.parametrize(
    ("material", "other"),
    cases(
        "local affine",
        *[
            (material, other)
            for material in materials("decoders")
            if material in ("jelly", "plasticine")
            for other in ("InverseDistance", "MovingLeastSquares")
        ],
    ),
)
def test_local_affine_beats_interpolation(material, other):
    share = {"InverseDistance": 0.8, "MovingLeastSquares": 1.0}[other]
    assert decoder(material, "LocalAffine") <= share * decoder(material, other)


@pytest.mark.parametrize("material", cases("water", *[(m,) for m in materials("decoders") if m == "water"]))
def test_a_learned_decoder_of_fluids_beats_interpolation(material):
    learned = [row for row in results(f"decoders-{material}")["rows"] if row["trained"] and row["class"] != "POD"]
    assert min(mean(row, "displacement") for row in learned) < decoder(material, "MovingLeastSquares")


SCALE = ("seconds", "memory", "slope", "share")


@pytest.mark.parametrize("what", cases("scale", *[(what,) for what in SCALE]))
@pytest.mark.skipif("scale" not in FILES, reason="needs benchmarks/results/giorom/scale.json")
def test_many_points_from_few(what):
    """100,000 points from 1,000 samples by our decoder, and growth to a million."""
    found = results("scale")
    ours = found["decoders"]["LocalAffine"]
    (row,) = [row for row in ours["rows"] if row["points"] == 100_000]
    assert found["samples"] == 1000
    assert json.loads(FILES["scale"].read_text())["threads"] == 2
    if what == "seconds":
        assert row["seconds_per_frame"] <= 0.8
    elif what == "memory":
        assert row["peak_bytes"] < 1e9
    elif what == "slope":
        assert ours["rows"][-1]["points"] == 1_000_000
        assert ours["slope"] <= 1.1
    else:
        (dense,) = [row for row in found["dense"] if row["layers"] == 10]
        assert dense["points"] == 100_000
        assert dense["share"]["LocalAffine"] <= 0.1


@pytest.mark.parametrize("material", cases("samples", *[(m,) for m in materials("samples")]))
def test_errors_do_not_depend_on_the_number_of_samples(material):
    found = results(f"samples-{material}")
    assert {row["samples"] for row in found["rows"]} >= {250, 500, 1000, 2000}
    assert (found["ratio"]["displacement"]["fps"]["numbers"] or math.inf) <= 1.5


@pytest.mark.skipif("ablation" not in FILES, reason="needs benchmarks/results/giorom/ablation.json")
def test_defects_of_the_published_code_show():
    found = results("ablation")
    shown = found["mechanisms"]
    assert len(shown) >= 6
    assert shown["1"]["published"] < 1 < 1.6 <= shown["1"]["ours"]
    assert shown["3"]["published"] == 0 < shown["3"]["ours"]
    assert shown["4"]["published"] > 10 * shown["4"]["ours"]
    assert shown["5, 6"]["published, 2D"] == pytest.approx(0.43, abs=0.02)
    assert shown["5, 6"]["published, 3D large"] == pytest.approx(0.09, abs=0.02)
    assert shown["5, 6"]["ours"] == 1
    assert shown["7"]["published"] < 0.5
    assert shown["9"]["published"] < 0.5 < shown["9"]["ours"] == 1
    assert shown["15"]["published"] == pytest.approx(2 ** (-2 / 3), abs=0.03)
    assert shown["19"]["ours"] < shown["19"]["published"]


@pytest.mark.skipif("ablation" not in FILES, reason="needs benchmarks/results/giorom/ablation.json")
def test_trainings_with_one_defect_each_are_there():
    variants = results("ablation")["variants"]
    assert {"mended", "published", "ours", "raw_velocities", "source_coords", "shared_lattice", "fixed_lattice"} <= set(variants)
    seconds = [row["training"]["seconds"] for row in variants.values()]
    assert max(seconds) <= 1.1 * min(seconds), "trained for different times"
