"""What was trained and comes with geoops: bundles by name."""

import os
from pathlib import Path


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
