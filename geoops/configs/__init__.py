"""Recipes: one YAML file per experiment, found by names such as `unit-cell/transolver`."""

from pathlib import Path

ROOT = Path(__file__).parent


def names() -> list[str]:
    """Returns the names of all packaged recipes."""
    return sorted(p.relative_to(ROOT).with_suffix("").as_posix() for p in ROOT.rglob("*.yaml"))


def find(name: str) -> Path:
    """Returns the file of a recipe: a path to a YAML file, or the name of a packaged recipe.

    Raises:
        FileNotFoundError: there is neither (the message lists the packaged ones).
    """
    path = Path(name)
    if path.is_file():
        return path
    if (bare := name.removesuffix(".yaml")) in names():
        return ROOT / f"{bare}.yaml"
    raise FileNotFoundError(f"no recipe {name!r}: give a YAML file or one of {', '.join(names())}")
