"""Does a question stay within what a surrogate was trained on, in position and spacing?"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops.data import Normalizer
from geoops.geometry import Mesh, PointCloud

#: Spacings up to this factor beyond the trained range are not worth a warning.
SPACING_MARGIN = 1.25
#: Positions up to this distance outside of the training box [-1, 1] are not worth a warning.
BOX_MARGIN = 0.02
_SAMPLE = 512


def typical_spacing(points: Float[Tensor, "points dim"]) -> float:
    """Returns the median distance to the nearest other point, over some 512 of the points; NaN for a single point."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return float("nan")
    array = points.detach().cpu().numpy()
    # A balanced tree of a million points takes seconds to build and would be searched only a few hundred times.
    tree = cKDTree(array, balanced_tree=len(array) < 10_000, compact_nodes=len(array) < 10_000)
    distances, _ = tree.query(array[:: max(1, len(array) // _SAMPLE)], k=2)
    return float(np.median(distances[:, 1]))


def spacing_note(spacing: float, trained: tuple[float, float], *, coarser: bool, what: str) -> str | None:
    """Returns a sentence if a spacing lies outside of the trained range, otherwise None.

    Args:
        spacing: distance between neighbouring points.
        trained: smallest and largest spacing in the training set.
        coarser: whether larger spacings count too.
        what: subject of the sentence.
    """
    low, high = trained
    span = f"the training meshes have {low:.3g} to {high:.3g}"
    if 0 < spacing < low / SPACING_MARGIN:
        return f"{what} have a spacing of {spacing:.3g}, {low / spacing:.1f} times finer than trained: {span}"
    if coarser and spacing > high * SPACING_MARGIN:
        return f"{what} have a spacing of {spacing:.3g}, {spacing / high:.1f} times coarser than trained: {span}"
    return None


def box_note(points: Float[Tensor, "points dim"], normalizer: Normalizer, what: str) -> str | None:
    """Returns a sentence if points lie outside of the box of the training set, otherwise None."""
    normal = normalizer.positions(torch.stack([points.amin(0), points.amax(0)]))
    if bool((normal.abs() <= 1 + BOX_MARGIN).all()):
        return None
    box = " x ".join(f"[{c - normalizer.scale:.3g}, {c + normalizer.scale:.3g}]" for c in normalizer.center)
    lows, highs = points.amin(0).tolist(), points.amax(0).tolist()
    here = " x ".join(f"[{a:.3g}, {b:.3g}]" for a, b in zip(lows, highs, strict=True))
    return f"{what} fill {here}, which lies outside of the training meshes' box {box}"


def range_notes(
    shape: Mesh | PointCloud, queries: Float[Tensor, "queries dim"] | None, normalizer: Normalizer, name: str
) -> list[str]:
    """Returns what there is to warn about for a shape and, if they are not its nodes, its query points.

    Query points do not see each other, so that only queries closer together than the training points ask for something
    that was never shown: detail between them.
    """
    nodes = f"the nodes of {name}"
    notes = [
        spacing_note(typical_spacing(shape.points), normalizer.spacing, coarser=True, what=nodes),
        box_note(shape.points, normalizer, nodes),
    ]
    if queries is not None and len(queries):
        notes.append(spacing_note(typical_spacing(queries), normalizer.spacing, coarser=False, what="the query points"))
        notes.append(box_note(queries, normalizer, "the query points"))
    return [note for note in notes if note is not None]
