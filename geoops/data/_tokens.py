"""Boundary tokens: what networks see of the boundary of a shape."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import Facets, Outline, Pieces, farthest_points

from ._fields import Raw


def facet_sizes(raw: Raw) -> Float[Tensor, " facets"]:
    """Returns the measures of the boundary's facets."""
    return _facets(raw).size[:, 0]


def boundary_tokens(raw: Raw, *, size: float, most: int, phases: int = 1) -> Pieces:
    """Returns the tokens of a shape.

    In the plane they are pieces of equal length of its outline, which hardly depend on the mesh: with one phase always the same
    ones, with more also between them. In space they are the facets of the boundary, of a cloud its points; phases repeat them.

    Args:
        raw: of `raw_sample`.
        size: length of a piece.
        most: number of tokens; of more, a farthest-point subset stays and takes over the measure of its neighbours.
        phases: number of ways to cut the outline, evenly spread; one cuts in the middle.
    """
    corners = raw["corners"]
    if corners.shape[1:] == (2, 2) and len(corners):
        outline = Outline.of(_facets(raw))
        length = max(size, outline.length / most)
        tokens = outline.divide(length, (np.arange(phases) + 0.5) / phases)
    else:
        facets = _facets(raw)
        weight = torch.full(facets.index.shape, 1 / facets.index.shape[1], dtype=facets.pos.dtype)
        parts = (facets.pos, facets.normal, facets.size, facets.index, weight)
        tokens = Pieces(*(part[None].expand(phases, *part.shape) for part in parts))
    return tokens if tokens.pos.shape[1] <= most else _thinned(tokens, most)


def _facets(raw: Raw) -> Facets:
    corners, index = raw["corners"], raw["corner_index"]
    if index.shape[1] == 1:
        pos = corners[:, 0]
        return Facets(corners, index, pos, torch.zeros_like(pos), torch.ones_like(pos[:, :1]), index[:, 0])
    measured = Facets.from_index(corners.flatten(0, 1), torch.arange(index.numel()).view(index.shape))
    return Facets(corners, index, measured.pos, measured.normal, measured.size, measured.cell)


def _thinned(tokens: Pieces, most: int) -> Pieces:
    from scipy.spatial import cKDTree

    pos = tokens.pos[0]
    kept = farthest_points(pos, most)
    _, nearest = cKDTree(pos[kept].double().numpy()).query(pos.double().numpy())
    size = torch.zeros_like(tokens.size[:, :most]).index_add_(1, torch.from_numpy(nearest).long(), tokens.size)
    return Pieces(tokens.pos[:, kept], tokens.normal[:, kept], size, tokens.index[:, kept], tokens.weight[:, kept])
