"""Text files of points and faces: what OBJ and OFF share."""

from pathlib import Path

import numpy as np
import torch

from geoops.geometry import Cells
from geoops.geometry._kinds import KINDS


def read_text(path: Path) -> str:
    """Reads a text file.

    Raises:
        ValueError: it is binary.
    """
    data = path.read_bytes()
    if b"\0" in data:
        raise ValueError("it is a binary file, expected text")
    return data.decode("utf-8", errors="replace")


def floats(words: list[str], number: int) -> list[float]:
    """Reads coordinates from line `number`."""
    try:
        return [float(word) for word in words]
    except ValueError:
        raise ValueError(f"line {number} holds no numbers: {' '.join(words)!r}") from None


def cells_of(kinds: list[str], nodes: list[list[int]]) -> Cells:
    """Returns cells from their kinds and nodes."""
    if not nodes:
        return Cells.empty()
    sizes = np.array([len(row) for row in nodes], dtype=np.int64)
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)]))
    codes = torch.tensor([KINDS[kind].code for kind in kinds], dtype=torch.uint8)
    return Cells(codes, offsets, torch.tensor([v for row in nodes for v in row], dtype=torch.int64))


def face_kind(size: int) -> str:
    """Returns the kind of a face with `size` nodes."""
    return {3: "triangle", 4: "quad"}.get(size, "polygon")


def coordinate_lines(points: np.ndarray, prefix: str = "") -> list[str]:
    """Returns one line for each point, with enough digits for float64 to come back the same."""
    return [prefix + " ".join(map(repr, row)) for row in points.astype(np.float64).tolist()]
