"""Relative errors of the von Mises stress on unit cells, with and without the clamped corners."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

import geoops
from geoops.geometry import Mesh
from geoops.learning import MetricRegion, summarise

#: The exact stress is infinite where the clamped edge meets the free sides; points this close to it are left out.
CORNERS = ((0.0, 0.0, 0.1), (1.0, 0.0, 0.1))
OUTSIDE = MetricRegion("outside", [[0.0, 0.0], [1.0, 0.0]], 0.1)
FIELD = "von_mises"

Errors = dict[str, dict[str, float]]


def read_split(folder: Path) -> list[tuple[str, Mesh]]:
    """Returns the cells of a folder with their names."""
    files = sorted(folder.glob("*.vtu"))
    if not files:
        raise FileNotFoundError(f"no .vtu files in {folder}")
    return [(path.stem, mesh) for path in files if isinstance(mesh := geoops.read(path), Mesh)]


def errors(
    predict: Callable[[Mesh], Tensor],
    cells: Iterable[tuple[str, Mesh]],
    field: str = FIELD,
) -> Errors:
    r"""Returns $\|\hat u - u\|_2 / \|u\|_2$ of each cell: over all points, and outside of the corners."""
    found: Errors = {"outside": {}, "all": {}}
    for name, mesh in cells:
        truth = mesh.point_fields[field].double()
        wrong = predict(mesh).double() - truth
        keep = OUTSIDE.contains(mesh.points)
        for region, mask in (("outside", keep), ("all", torch.ones_like(keep))):
            found[region][name] = round(float(wrong[mask].norm() / truth[mask].norm()), 7)
    return found


def summary(found: Errors) -> dict[str, dict[str, float]]:
    """Returns mean, median and 95th percentile of each region."""
    tensors = {region: torch.tensor(list(values.values()), dtype=torch.double) for region, values in found.items()}
    return {region: summarise(values) for region, values in tensors.items()}
