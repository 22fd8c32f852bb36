"""Values at nodes, continued to any point."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._boundary import boundary_facets, pieces
from ._distance import _queries
from ._mesh import Mesh
from ._nearest import CHUNK, nearest, weights
from ._simplices import simplices
from ._tree import Array, BoxTree, Groups, starts_of

# How far outside a simplex, in barycentric coordinates, a point may lie for rounding.
_SLACK = 1e-10


def interpolate(
    mesh: Mesh, values: Float[Tensor, " nodes *channels"], points: Float[Tensor, "queries dim"]
) -> Float[Tensor, " queries *channels"]:
    r"""Returns $\sum_k \lambda_k(x)\, v_k$ with the barycentric coordinates of x in the triangle or tetrahedron around
    it.

    Other cells are split into triangles or tetrahedra first. A point outside the mesh takes the value of the nearest
    point of its boundary, so the result is continuous and never extrapolates. On curves and surfaces every point takes
    the value of the nearest one. Linear fields are reproduced exactly on meshes with straight edges. Differentiable in
    `values`.

    Raises:
        ValueError: a wrong number of values, another dimension, points with NaN, a mesh without cells.
    """
    if len(values) != len(mesh.points):
        raise ValueError(
            f"values must have one row for each of the {len(mesh.points)} points of the mesh, got shape {tuple(values.shape)}"
        )
    nodes, weight = interpolation_weights(mesh, points)
    flat = values.reshape(len(values), -1)
    total = torch.zeros(len(points), flat.shape[1], dtype=values.dtype)
    for k in range(nodes.shape[1]):
        total = total + weight[:, k, None].to(values.dtype) * flat[nodes[:, k]]
    return total.reshape(len(points), *values.shape[1:])


def interpolation_weights(
    mesh: Mesh, points: Float[Tensor, "queries dim"]
) -> tuple[Int[Tensor, "queries corners"], Float[Tensor, "queries corners"]]:
    """Returns the nodes around each point and their weights (float64, at least 0, sum 1), to interpolate many fields
    at once.
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f"interpolation needs a Mesh with cells, got {type(mesh).__name__}")
    if mesh.cells.dim == 0:
        raise ValueError(f"interpolation needs cells that span something, got {mesh.cells.counts() or 'no cells'}")
    queries = _queries(points, mesh.dim)
    at = mesh.points.detach().to(torch.float64).numpy()
    corners = mesh.dim + 1
    nodes, weight = np.zeros((len(queries), corners), dtype=np.int64), np.zeros((len(queries), corners))
    if mesh.cells.dim == mesh.dim:
        cells = simplices(mesh).numpy()
        found, inside = _containing(at[cells], queries)
        nodes[inside], weight[inside] = cells[found[inside]], _barycentric(at[cells[found[inside]]], queries[inside])
        outside, facets = np.flatnonzero(~inside), None if inside.all() else boundary_facets(mesh).index.numpy()
    else:
        outside, facets = np.arange(len(queries)), pieces(mesh)[0].numpy()
    if facets is not None and len(outside):
        number, _ = nearest(at[facets], queries[outside])
        k = facets.shape[1]
        nodes[outside, :k] = facets[number]
        weight[outside, :k] = weights(at[facets[number]], queries[outside])
    weight = np.maximum(weight, 0)
    return torch.from_numpy(nodes), torch.from_numpy(weight / weight.sum(1, keepdims=True))


def _containing(corners: Array, points: Array) -> tuple[Array, Array]:
    """Returns the simplex around each point, and whether there is one."""
    found, best = np.zeros(len(points), dtype=np.int64), np.full(len(points), -np.inf)
    if not len(points):
        return found, np.zeros(0, dtype=bool)
    groups = Groups.cut(points, 16 if len(points) > 4 * len(corners) else 1)
    offset, inverse = _frames(corners)

    def keep(group: Array, low: Array, high: Array) -> Array:
        return np.asarray(((groups.low[group] <= high) & (low <= groups.high[group])).all(1))

    slack = _SLACK * np.abs(corners).max()
    tree = BoxTree.build(corners.min(1) - slack, corners.max(1) + slack)
    size = groups.order.shape[1]
    for group, item in tree.search(len(groups.low), keep):
        starts = starts_of(group)
        first = 0
        while first < len(starts):
            last = max(first + 1, int(np.searchsorted(starts, starts[first] + max(1, CHUNK // size))))
            a, b = starts[first], starts[last] if last < len(starts) else len(group)
            depth = _depth(offset, inverse, item[a:b], groups.points[:, group[a:b]])
            runs = starts[first:last] - a
            deepest = np.maximum.reduceat(depth, runs, axis=0)
            best_of = np.repeat(deepest, np.diff([*runs, len(depth)]), axis=0)
            hit = np.where(depth == best_of, item[a:b, None], np.iinfo(np.int64).max)
            place = groups.order[group[starts[first:last]]]
            found[place], best[place] = np.minimum.reduceat(hit, runs, axis=0), deepest
            first = last
    return found, np.greater_equal(best, -_SLACK)


def _frames(corners: Array) -> tuple[Array, Array]:
    """Last corners (dim, simplices), and maps (dim, dim, simplices) from offsets to the other barycentric
    coordinates.
    """
    edges = np.swapaxes(corners[:, :-1] - corners[:, -1:], 1, 2)
    flat = np.abs(np.linalg.det(edges)) <= 1e-30 * np.abs(edges).max((1, 2), initial=0) ** edges.shape[1]
    # A simplex without extent contains nothing: NaN never compares as inside.
    edges = np.where(flat[:, None, None], np.eye(edges.shape[1]), edges)
    inverse = np.where(flat[:, None, None], np.nan, np.linalg.inv(edges))
    return np.ascontiguousarray(corners[:, -1].T), np.ascontiguousarray(np.moveaxis(inverse, 0, 2))


def _depth(offset: Array, inverse: Array, item: Array, p: Array) -> Array:
    """Smallest barycentric coordinate, -inf in flat simplices."""
    w = [p_i - o[item][:, None] for p_i, o in zip(p, offset, strict=True)]
    total, least = 0.0, np.inf
    for row in inverse:
        value = sum(entry[item][:, None] * w_i for entry, w_i in zip(row, w, strict=True))
        total, least = total + value, np.minimum(least, value)
    return np.nan_to_num(np.minimum(least, 1 - total), nan=-np.inf)


def _barycentric(corners: Array, p: Array) -> Array:
    offset, inverse = _frames(corners)
    first = np.einsum("ijn,nj->ni", inverse, p - offset.T)
    return np.concatenate([first, 1 - first.sum(1, keepdims=True)], 1)
