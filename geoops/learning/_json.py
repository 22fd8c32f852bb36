"""JSON files that every reader takes."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON, whole or not at all; numbers that are not finite become null, since JSON has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")
    part.replace(path)


def finite(content: Any) -> Any:
    """Returns a copy of nested plain values with None in place of numbers that are not finite."""
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
