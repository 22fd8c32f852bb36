"""Distance to a shape, and its sign."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ._boundary import Facets, boundary_facets, pieces
from ._mesh import Mesh
from ._nearest import nearest, weights
from ._orient import merged, open_ridges
from ._pointcloud import PointCloud
from ._winding import winding_2d, winding_3d


def signed_distance(shape: Mesh | Facets, points: Float[Tensor, "queries dim"]) -> Float[Tensor, " queries"]:
    r"""Returns the distance from points to the boundary of a shape, negative inside the material.

    $$d(x) = \pm \min_{f} \min_{y \in f} \|x - y\|$$ over the facets f of the boundary, exact up to rounding (computed
    in float64). The sign is that of the winding number of the boundary around x, so several outlines, voids and
    islands need no special care. On two threads a million points a second for 250 facets in the plane, and 160,000 points
    a second for 5,000 facets in space.

    Args:
        shape: a mesh (its `boundary_facets` are used), or facets computed before.
        points: any points, in the same units as the shape.

    Raises:
        ValueError: the boundary is not closed, so that inside has no meaning (use `distance`); another dimension;
            points with NaN.
    """
    facets = shape if isinstance(shape, Facets) else boundary_facets(shape)
    queries, corners = _queries(points, facets.points.shape[2]), _corners(facets)
    _check_closed(facets, corners)
    _, squared = nearest(corners, queries)
    inside = (winding_2d if corners.shape[2] == 2 else winding_3d)(corners, queries) > 0
    distance = np.sqrt(squared)
    return torch.from_numpy(np.where(inside & (distance > 0), -distance, distance)).to(points.dtype)


def distance(shape: Mesh | PointCloud | Facets, points: Float[Tensor, "queries dim"]) -> Float[Tensor, " queries"]:
    """Returns the distance from points to a shape, open or closed, without a sign.

    For a mesh of areas in the plane or of solids this is the distance to the boundary; for curves and surfaces to the
    cells themselves; for a cloud to the nearest point.

    Raises:
        ValueError: another dimension; points with NaN; a mesh without cells.
    """
    if isinstance(shape, PointCloud):
        from scipy.spatial import cKDTree

        found, _ = cKDTree(shape.points.detach().numpy()).query(_queries(points, shape.dim))
        return torch.from_numpy(np.asarray(found)).to(points.dtype)
    if isinstance(shape, Facets):
        corners = _corners(shape)
    elif shape.cells.dim == shape.dim:
        corners = _corners(boundary_facets(shape))
    elif shape.cells.dim == 0:
        raise ValueError("the mesh has no edges, faces or solids to measure the distance to; use mesh.to_cloud() for its points")
    else:
        corners = shape.points.detach().to(torch.float64).numpy()[pieces(shape)[0].numpy()]
    if not len(corners):
        raise ValueError("the shape has no boundary: every face is shared by two cells")
    _, squared = nearest(corners, _queries(points, corners.shape[2]))
    return torch.from_numpy(np.sqrt(squared)).to(points.dtype)


def closest_points(shape: Mesh | Facets, points: Float[Tensor, "queries dim"]) -> Float[Tensor, "queries dim"]:
    r"""Returns the point of the boundary of a shape closest to each point, $\arg\min_{y} \|x - y\|$; one of them at ties.

    Args:
        shape: a mesh (its `boundary_facets` are used), or facets computed before.
        points: any points, in the same units as the shape.

    Raises:
        ValueError: the shape has no boundary; another dimension; points with NaN.
    """
    corners = _corners(shape if isinstance(shape, Facets) else boundary_facets(shape))
    if not len(corners):
        raise ValueError("the shape has no boundary: every face is shared by two cells")
    queries = _queries(points, corners.shape[2])
    near = corners[nearest(corners, queries)[0]]
    found = (weights(near, queries)[..., None] * near).sum(1)
    return torch.from_numpy(found).to(points.dtype)


def _corners(facets: Facets) -> np.ndarray:
    return facets.points.detach().to(torch.float64).numpy()


def _queries(points: Tensor, dim: int) -> np.ndarray:
    if points.ndim != 2 or points.shape[1] != dim:
        raise ValueError(f"points must have shape (n, {dim}) like the shape, got {tuple(points.shape)}")
    queries = points.detach().to(torch.float64).numpy()
    if not np.isfinite(queries).all():
        bad = np.flatnonzero(~np.isfinite(queries).all(1))
        raise ValueError(f"{len(bad)} points have NaN or infinite coordinates, first point {bad[0]}")
    return queries


def _check_closed(facets: Facets, corners: np.ndarray) -> None:
    if not len(facets):
        raise ValueError("the shape has no boundary, so there is no inside")
    index = facets.index.numpy()
    if not len(open_ridges(index)):
        return
    # Files without shared points (STL) are closed only when points at the same place count as one.
    loose = open_ridges(merged(corners.reshape(-1, corners.shape[2])).reshape(index.shape))
    if len(loose):
        raise ValueError(
            f"the boundary is not closed: {len(loose)} of {len(facets)} facets end freely, one near "
            f"{np.round(corners[loose[0]].mean(0), 6).tolist()}; close the gap or use distance() without a sign"
        )
