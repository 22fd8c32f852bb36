"""What the README and the documentation say about commands, recipes, links and code holds."""

import inspect
import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from geoops import configs
from geoops.cli import FUNCTIONS
from geoops.learning import checkpoint_names

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("[gd]*/*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.S | re.M)


def commands():
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                if line.startswith("geoops "):
                    yield pytest.param(shlex.split(line, comments=True)[1:], id=f"{page.stem}: {line[:60]}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_name_options_and_recipes_that_exist(words):
    words = [word.strip("[]") for word in words]
    if words[0] in ("fit", "validate", "test"):
        assert configs.find(words[1]).is_file()
        return
    known = [key for key in FUNCTIONS if tuple(words[: len(key)]) == key]
    assert known or words == ["--help"], words
    for key in known:
        module, function = FUNCTIONS[key].split(":")
        parameters = inspect.signature(getattr(import_module(module), function)).parameters
        options = [word[2:].partition("=")[0] for word in words if word.startswith("--")]
        assert not set(options) - set(parameters), f"{' '.join(key)} has no such option"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if target.startswith("http") or target.endswith(".png"):
            continue
        # notebooks/ is copied into docs/ when the documentation is built
        path = ROOT / target.removeprefix("../") if "notebooks/" in target else page.parent / target
        assert path.exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_of_packaged_models_and_recipes_exist(page):
    for found in set(re.findall(r"unit-cell/[a-z0-9-]+", page.read_text())):
        assert found in {*configs.names(), *checkpoint_names()}, f"{page.name} mentions {found}"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
@pytest.mark.filterwarnings("ignore:.*finer than trained")
def test_python_examples_run(page, tmp_path, monkeypatch):
    if "unit-cell/enf2enf" not in checkpoint_names():
        pytest.skip("the packaged model is not here")
    (tmp_path / "datasets").symlink_to(ROOT / "datasets")
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "python"):
        exec(compile(block, name(page), "exec"), {})


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_notebooks_are_stored_without_outputs(notebook):
    for cell in json.loads(notebook.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
