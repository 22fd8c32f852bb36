import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from rich.table import Table

from geoops.cli._call import run_function


def predict(
    checkpoint: str | Path,
    meshes: list[str | Path] | str,
    output: str | Path,
    at: str | None = None,
    memory: str = "1GB",
    mode: Literal["a", "b"] = "a",
    quick_look: bool = False,
    size: tuple[int, int] | None = None,
) -> list[Path]:
    """Predicts on files.

    Args:
        memory: the budget.
    """
    calls.append((checkpoint, meshes, str(output), at, memory, mode, quick_look, size))
    return [Path("x.vtu"), Path("y.vtu")]


@dataclass
class Report:
    def table(self):
        table = Table("errors")
        table.add_row("4x")
        return table


def superres(data: str) -> Report:
    """Reports."""
    return Report()


calls: list = []


@pytest.fixture
def call(monkeypatch, capfd):
    module = types.ModuleType("somewhere")
    module.predict, module.superres = predict, superres
    monkeypatch.setitem(sys.modules, "somewhere", module)
    calls.clear()

    def run(name, *args):
        code = run_function(f"somewhere:{name}", list(args), prog=f"geoops {name}")
        return code, *capfd.readouterr()

    return run


def test_positionals_lists_and_short_options(call):
    code, out, _ = call("predict", "model", "a.vtu", "b.vtu", "-o", "out", "--memory", "2GB")
    assert code == 0
    assert out == "x.vtu\ny.vtu\n"
    assert calls == [("model", ["a.vtu", "b.vtu"], "out", None, "2GB", "a", False, None)]


def test_flags_dashes_and_types(call):
    call("predict", "model", "a.vtu", "-o", "out", "--quick-look", "--mode=b", "--size", "[3, 4]")
    call("predict", "model", "a.vtu", "--output", "out", "--quick_look", "false")
    assert calls[0][5:] == ("b", True, (3, 4))
    assert calls[1][6] is False


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["model", "a.vtu", "-o", "out", "--memry", "2GB"], "memry"),
        (["model", "a.vtu"], "output"),
        (["model"], "meshes"),
        ([], "checkpoint"),
        (["model", "a.vtu", "-o", "out", "--mode", "c"], "mode"),
    ],
)
def test_misuse_names_the_option(call, args, words):
    code, _, err = call("predict", *args)
    assert code == 2
    assert err.startswith("geoops: error: ")
    assert words in err
    assert err.count("\n") == 1
    assert not calls


def test_help_tells_of_short_options(call, capfd):
    with pytest.raises(SystemExit):
        call("predict", "--help")
    assert "-o is short for --output" in capfd.readouterr().out


def test_tables_are_printed(call):
    code, out, _ = call("superres", "folder")
    assert code == 0
    assert "4x" in out


def test_real_functions_parse():
    """The commands that exist build their parsers; the functions themselves are tested elsewhere."""
    from geoops.cli import FUNCTIONS

    for words, target in FUNCTIONS.items():
        with pytest.raises(SystemExit) as stop:
            run_function(target, ["--help"], prog=" ".join(words))
        assert stop.value.code == 0
