import json
import math

import pytest

from geoops.learning import FitProgress, HistoryWriter, Surrogate, provenance, write_json
from geoops.learning._record import hardware

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]


def run(trainer, surrogate, data, **options):
    t = trainer(**options)
    t.fit(surrogate, datamodule=data, weights_only=True)
    return t


def test_history_is_written_at_each_validation(trainer, data, tiny, tmp_path):
    surrogate = Surrogate(tiny)
    t = run(trainer, surrogate, data(), callbacks=[HistoryWriter(tmp_path / "r" / "metrics.json")])
    rows = json.loads((tmp_path / "r" / "metrics.json").read_text())["history"]
    assert [row["step"] for row in rows] == [5, 10]
    assert rows == surrogate.history
    facts = provenance(surrogate, t, "geoops fit x")
    json.dumps(facts)
    assert facts["command"] == "geoops fit x"
    assert (facts["steps"], facts["seed"], facts["train_files"], facts["processes"]) == (10, 1, 6, 1)
    assert "cores" in hardware()


def test_json_has_no_infinity(tmp_path):
    path = tmp_path / "a" / "b.json"
    write_json(path, {"a": [1.5, math.inf, {"b": math.nan}], "c": (1, None, "inf")})
    assert json.loads(path.read_text()) == {"a": [1.5, None, {"b": None}], "c": [1, None, "inf"]}
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_progress_writes_lines_where_there_is_no_terminal(trainer, data, tiny, capfd):
    run(trainer, Surrogate(tiny), data(), callbacks=[FitProgress(interval=0.0)], enable_progress_bar=True)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("fit ")]
    assert lines[0].startswith("fit  10 % · step 1 · loss ")
    assert "val rel L2" in lines[-1]
    assert lines[-1].startswith("fit 100 % · step 10")


def test_progress_draws_a_bar_on_a_terminal(trainer, data, tiny, monkeypatch, capfd):
    from rich.console import Console

    bar = FitProgress()
    bar.console = Console(force_terminal=True, stderr=True, width=120)
    run(trainer, Surrogate(tiny), data(), callbacks=[bar], enable_progress_bar=True)
    text = capfd.readouterr().err
    assert "100%" in text
    assert "val rel L2" in text
    silent = FitProgress()
    silent.disable()
    run(trainer, Surrogate(tiny), data(), callbacks=[silent], enable_progress_bar=True)
    assert "fit" not in capfd.readouterr().err.replace("Trainer.fit", "")
