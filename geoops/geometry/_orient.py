"""Curves in the plane and surfaces in space: one sense of turn, outwards where they are closed."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ._mesh import Mesh
from ._tree import Array
from ._winding import winding_2d, winding_3d


def oriented(
    mesh: Mesh, index: Int[Tensor, "pieces corners"], cell: Int[Tensor, " pieces"]
) -> tuple[Int[Tensor, "pieces corners"], Int[Tensor, " pieces"]]:
    """Turns segments or triangles so that neighbours agree and closed parts bound material.

    In each connected part the minority follows the majority. A closed part faces outwards, but inwards if it lies
    inside an odd number of others: there it is the wall of a void. Open parts keep the sense of their majority.
    """
    found = index.numpy().copy()
    points = mesh.points.detach().to(torch.float64).numpy()
    ridge, sign = ridges(merged(points)[found])
    part = _agree(found, ridge, sign)
    ridge, sign = ridges(merged(points)[found])
    balance = np.abs(np.bincount(ridge.ravel(), sign.ravel(), ridge.max() + 1))
    open_parts = np.unique(part[(balance[ridge] != 0).any(1)])
    closed = np.setdiff1d(np.unique(part), open_parts)
    corners = points[found]
    winding = winding_2d if found.shape[1] == 2 else winding_3d
    for k in closed:
        here = part == k
        if signed_content(corners[here]) < 0:
            found[here] = found[here][:, ::-1]
    corners = points[found]
    for k in closed if len(closed) > 1 else ():
        probes = corners[part == k][:5].mean(1)
        depth = sum(float(np.median(winding(corners[part == other], probes)) > 0) for other in closed if other != k)
        if depth % 2:
            found[part == k] = found[part == k][:, ::-1]
    return torch.from_numpy(found), cell


def merged(points: Array) -> Array:
    """Returns a number for each point; points at the same place have the same."""
    return np.unique(points, axis=0, return_inverse=True)[1].reshape(-1)


def ridges(index: Array) -> tuple[Array, Array]:
    """Returns numbers (pieces, corners) and senses (+1, -1) of what pieces share: ends of segments, edges of
    triangles.
    """
    if index.shape[1] == 2:
        number, sign = index, np.tile([-1, 1], (len(index), 1))
    else:
        a, b = index, np.roll(index, -1, 1)
        number = np.minimum(a, b) * (int(index.max(initial=0)) + 1) + np.maximum(a, b)
        # An edge from a point to itself (a flat triangle) bounds nothing.
        sign = np.sign(b - a)
    return np.unique(number, return_inverse=True)[1].reshape(number.shape), sign


def open_ridges(index: Array) -> Array:
    """Returns the pieces next to a ridge that is not used as often in one sense as in the other: none if closed."""
    ridge, sign = ridges(index)
    balance = np.bincount(ridge.ravel(), sign.ravel(), ridge.max(initial=-1) + 1)
    return np.flatnonzero((balance[ridge] != 0).any(1))


def signed_content(corners: Array) -> float:
    """Returns the area or volume enclosed by closed segments or triangles, negative if they face inwards."""
    c = corners - corners.reshape(-1, corners.shape[2]).mean(0)
    if c.shape[1] == 2:
        return float((c[:, 0, 0] * c[:, 1, 1] - c[:, 0, 1] * c[:, 1, 0]).sum() / 2)
    return float(np.einsum("ij,ij->i", np.cross(c[:, 0], c[:, 1]), c[:, 2]).sum() / 6)


def _agree(found: Array, ridge: Array, sign: Array) -> Array:
    """Turns the minority of each connected part in place; returns the part of each piece."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(found)
    use = np.bincount(ridge.ravel())
    order = np.argsort(ridge.ravel(), kind="stable")
    pair = order[use[ridge.ravel()[order]] == 2].reshape(-1, 2)
    piece, sense = pair // found.shape[1], sign.ravel()[pair]
    same = sense[:, 0] != sense[:, 1]
    # Each piece stands twice in the graph, as it is (i) and turned over (i + count); edges join what agrees.
    f, g = piece[:, 0], piece[:, 1] + np.where(same, 0, count)
    f2, g2 = piece[:, 0] + count, piece[:, 1] + np.where(same, count, 0)
    graph = coo_array((np.ones(2 * len(f)), (np.r_[f, f2], np.r_[g, g2])), shape=(2 * count, 2 * count))
    _, side = connected_components(graph, directed=False)
    as_is, over = side[:count], side[count:]
    part = np.unique(np.minimum(as_is, over), return_inverse=True)[1]
    # Where both stand in one component (a Moebius strip) there is nothing to agree on.
    votes = np.bincount(part, np.where(as_is == over, 0, np.where(as_is < over, 1, -1)))
    turned = np.where(votes[part] >= 0, as_is > over, as_is < over) & (as_is != over)
    found[turned] = found[turned][:, ::-1]
    return part
