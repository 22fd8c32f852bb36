"""Packaged checkpoints by name, and laws of scenes."""

import os
from pathlib import Path

from geoops.data import resolve_material
from geoops.data._materials import MaterialSpec
from geoops.physics import Material

from ._material_bundle import read_material


def checkpoints_folder() -> Path:
    """Returns the folder of the packaged bundles, `<dataset>/<name>.safetensors`."""
    return Path(__file__).parents[1] / "checkpoints"


def checkpoint_names() -> list[str]:
    """Returns the names of the packaged bundles, such as `unit-cell/enf2enf`."""
    root = checkpoints_folder()
    return sorted(p.relative_to(root).with_suffix("").as_posix() for p in root.rglob("*.safetensors"))


def find_checkpoint(path_or_name: str | os.PathLike, folder: str | Path = "") -> Path:
    """Returns the file of a path or a name; a file comes before a name.

    Args:
        path_or_name: a file, or the name of a packaged model.
        folder: where relative paths begin.

    Raises:
        FileNotFoundError: there is neither; the message lists the names there are.
    """
    path = Path(folder) / path_or_name
    if path.is_file():
        return path
    name = str(path_or_name)
    if name in checkpoint_names():
        return checkpoints_folder() / f"{name}.safetensors"
    names = ", ".join(checkpoint_names()) or "none"
    where = f" in {folder}" if str(folder) else ""
    raise FileNotFoundError(f"no checkpoint {name!r}: it is neither a file{where} nor one of the packaged models ({names})")


def resolve_law(spec: MaterialSpec, folder: str | Path = "") -> Material:
    """Returns the material of a description in a scene, also of learned ones.

    Args:
        spec: as `geoops.data.resolve_material` takes it, or `{"law": FILE}` with a file that `export_material` wrote or the
            name of a packaged law such as nclaw/jelly-structured; `name` beside it is a label.
        folder: where relative paths begin, `scene.folder` for those of a scene.

    Raises:
        FileNotFoundError: there is neither such a file nor such a packaged law.
        ValueError: the description is wrong, or the file holds no material.

    Example:
        With a scene: `simulated(scene, partial(resolve_law, folder=scene.folder))`.

        >>> from geoops.learning import resolve_law
        >>> resolve_law("jelly").elastic
        FixedCorotated()
    """
    if isinstance(spec, str) or "law" not in spec:
        return resolve_material(spec)
    if others := [key for key in spec if key not in ("law", "name")]:
        raise ValueError(f"a learned material has no option {others[0]!r}; there are law and name")
    return read_material(find_checkpoint(str(spec["law"]), folder))
