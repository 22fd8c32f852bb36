"""Writing pictures and pages: all or nothing."""

import os
import tempfile
from pathlib import Path


def ending(path: str | os.PathLike, *known: str) -> str:
    """Returns the ending of a file name, in lower case and with its dot.

    Raises:
        ValueError: it is not one of the endings that are known.
    """
    found = Path(path).suffix.lower()
    if found not in known:
        raise ValueError(f"the name of the file must end in {' or '.join(known)}; got {Path(path).name!r}")
    return found


def write(path: str | os.PathLike, content: bytes) -> Path:
    """Writes all or nothing: a temporary file beside the target is renamed at the end."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=target.suffix)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target
