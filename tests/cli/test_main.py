import subprocess
import sys
from pathlib import Path

import pytest

import geoops


def test_help_and_version(geoops_main, capfd):
    assert geoops_main(["--help"]) == 0
    assert "geoops predict" not in capfd.readouterr().err
    assert geoops_main(["data", "make", "--help"]) == 0
    assert "data make unit-cell ROOT" in capfd.readouterr().out
    assert geoops_main([]) == 2
    assert geoops_main(["--version"]) == 0
    assert capfd.readouterr().out.endswith(f"geoops {geoops.__version__}\n")


def test_unknown_commands_list_the_known(geoops_main, capfd):
    assert geoops_main(["fti", "x"]) == 2
    assert "unknown command 'fti x'; there are fit, validate, test, predict" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("bad\n  thing"), 1, "geoops: error: bad thing\n"),
        (KeyError("no 'x'"), 1, "geoops: error: no 'x'\n"),
        (RuntimeError("odd"), 1, "geoops: error: RuntimeError: odd (GEOOPS_TRACEBACK=1 shows where)\n"),
        (KeyboardInterrupt(), 130, "geoops: interrupted\n"),
    ],
)
def test_errors_are_one_line(geoops_main, monkeypatch, capfd, error, code, words):
    import geoops.cli

    def fail(args):
        raise error

    monkeypatch.setattr(geoops.cli, "_dispatch", fail)
    monkeypatch.delenv("GEOOPS_TRACEBACK", raising=False)
    assert geoops_main(["fit"]) == code
    assert capfd.readouterr().err == words
    if code == 1:
        monkeypatch.setenv("GEOOPS_TRACEBACK", "1")
        assert geoops_main(["fit"]) == 1
        assert "Traceback" in capfd.readouterr().err


def test_module_runs_without_heavy_imports():
    """`geoops --version` imports neither torch nor Lightning."""
    code = "import sys; from geoops.cli import main; main(['--version']); print({'torch', 'lightning'} & set(sys.modules))"
    root = Path(geoops.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=root, stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.fixture
def geoops_main():
    from geoops.cli import main

    return main
