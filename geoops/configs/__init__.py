"""Recipes and scenes: YAML files found by names such as `unit-cell/transolver` and `jelly`."""

from pathlib import Path

ROOT = Path(__file__).parent
SCENES = ROOT / "scenes"


def names() -> list[str]:
    """Returns the names of all packaged recipes."""
    return sorted(p.relative_to(ROOT).with_suffix("").as_posix() for p in ROOT.rglob("*.yaml") if SCENES not in p.parents)


def find(name: str) -> Path:
    """Returns the file of a recipe: a path to a YAML file, or the name of a packaged recipe.

    Raises:
        FileNotFoundError: there is neither (the message lists the packaged ones).
    """
    return _find(name, ROOT, names(), "recipe")


def scenes() -> list[str]:
    """Returns the names of all packaged scenes of `geoops simulate`."""
    return sorted(p.stem for p in SCENES.glob("*.yaml"))


def scene(name: str) -> Path:
    """Returns the file of a scene: a path to a YAML file, or the name of a packaged scene.

    Raises:
        FileNotFoundError: there is neither (the message lists the packaged ones).
    """
    return _find(name, SCENES, scenes(), "scene")


def _find(name: str, root: Path, known: list[str], what: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    if (bare := name.removesuffix(".yaml")) in known:
        return root / f"{bare}.yaml"
    raise FileNotFoundError(f"no {what} {name!r}: give a YAML file or one of {', '.join(known)}")
