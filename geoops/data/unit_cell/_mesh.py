"""Triangle meshes of the unit cell: an unstructured coarse one and its nested refinements."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int, UInt8

from ._void import CENTRE, Void

INSIDE, BOTTOM, TOP, SIDES, VOID = range(5)


class CaseRejected(RuntimeError):
    """A case that cannot be made; its message is recorded and the case is never drawn again."""


@final
@dataclass(frozen=True, eq=False)
class CellMesh:
    """Triangles of the unit square without its void.

    Args:
        points: vertices, in cell sides.
        triangles: corners of each triangle, anticlockwise.
        angles: angle of each void vertex about the centre, `nan` for all other vertices.
        void: the curve that void vertices lie on; `None` for a cell without a void.
    """

    points: Float[np.ndarray, "n 2"]
    triangles: Int[np.ndarray, "m 3"]
    angles: Float[np.ndarray, " n"]
    void: Void | None

    def boundary(self) -> UInt8[np.ndarray, " n"]:
        """Returns 0 inside, 1 bottom, 2 top, 3 sides, 4 void; bottom and top win at the corners."""
        x, y = self.points.T
        code = np.full(len(x), INSIDE, dtype=np.uint8)
        code[(x == 0) | (x == 1)] = SIDES
        code[y == 1] = TOP
        code[y == 0] = BOTTOM
        code[~np.isnan(self.angles)] = VOID
        return code

    def quadratic(self) -> tuple[Float[np.ndarray, "k 2"], Int[np.ndarray, "m 6"], Float[np.ndarray, " k"]]:
        """Returns nodes, six-node triangles and node angles of the quadratic mesh over this one.

        Vertices come first and keep their numbers, then one node per edge. A node of a void edge lies on the
        curve at the middle angle of the edge, others halfway. Corner order: v0 v1 v2, then edges 01, 12, 20.
        """
        n = len(self.points)
        corners = self.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
        low, high = corners.min(1).astype(np.int64), corners.max(1)
        key, number, count = np.unique(low * n + high, return_inverse=True, return_counts=True)
        a, b = key // n, key % n
        middle = 0.5 * (self.points[a] + self.points[b])
        angle = np.full(len(a), np.nan)
        # An interior edge may join two void vertices, so both ends and a single neighbour are required.
        curved = (count == 1) & ~np.isnan(self.angles[a]) & ~np.isnan(self.angles[b])
        if self.void is not None and curved.any():
            start, end = self.angles[a[curved]], self.angles[b[curved]]
            turn = (end - start + np.pi) % (2 * np.pi) - np.pi
            angle[curved] = start + 0.5 * turn
            middle[curved] = self.void.curve(angle[curved])
        six = np.concatenate((self.triangles, n + number.reshape(-1, 3)), axis=1)
        return np.concatenate((self.points, middle)), six, np.concatenate((self.angles, angle))

    def refined(self) -> "CellMesh":
        """Splits each triangle in four; old vertices keep their numbers, new void vertices join the curve."""
        points, six, angles = self.quadratic()
        children = six[:, [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]].reshape(-1, 3)
        return CellMesh(points, children, angles, self.void)

    def areas(self) -> Float[np.ndarray, " m"]:
        """Returns the signed area of each triangle, in squared cell sides."""
        a, b, c = np.moveaxis(self.points[self.triangles], 1, 0)
        u, v = b - a, c - a
        return 0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def require(module: str) -> Any:
    """Returns a module of the extra `geoops[data]`, imported only where it is used (gmsh is under the GPL)."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"generating unit cells needs {module}: pip install geoops[data]") from error


def mesh_cell(void: Void | None, *, void_size: float = 0.0245, corner_size: float = 0.0405) -> CellMesh:
    """Meshes the cell with gmsh, edges about `void_size` long on the void and `corner_size` at the corners.

    Void vertices are equally spaced along the arc length of the exact curve.

    Raises:
        CaseRejected: if gmsh fails or a triangle is not positive.
        ImportError: if gmsh is missing.
    """
    gmsh = require("gmsh")
    started = not gmsh.isInitialized()
    if started:
        gmsh.initialize(readConfigFiles=False, interruptible=False)
    previous = None if started else gmsh.model.getCurrent()
    try:
        for option, value in _OPTIONS.items():
            gmsh.option.setNumber(option, value)
        gmsh.model.add("geoops unit cell")
        try:
            points, triangles, angles = _generate(gmsh, void, void_size, corner_size)
        finally:
            gmsh.model.remove()
    except CaseRejected:
        raise
    except Exception as error:  # gmsh raises plain Exception
        raise CaseRejected(f"gmsh: {error}") from error
    finally:
        if started:
            gmsh.finalize()
        elif previous:
            gmsh.model.setCurrent(previous)
    mesh = CellMesh(points, triangles, angles, void)
    if mesh.areas().min() <= 0:
        raise CaseRejected("level-0 mesh has a triangle without positive area")
    return mesh


_OPTIONS = {
    "General.Terminal": 0,
    "General.NumThreads": 1,
    "Mesh.Algorithm": 6,  # frontal Delaunay
    "Mesh.RandomSeed": 1,
    "Mesh.MeshSizeMin": 0,
    "Mesh.MeshSizeMax": 1,
}


def _generate(gmsh, void: Void | None, void_size: float, corner_size: float):
    geo = gmsh.model.geo
    corners = [geo.addPoint(x, y, 0, corner_size) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    loops = [_loop(geo, corners)]
    theta = np.zeros(0) if void is None else void.equally_spaced(void_size)
    rim = [] if void is None else [geo.addPoint(x, y, 0, void_size) for x, y in void.curve(theta).tolist()]
    lines: list[int] = []
    if rim:
        loops.append(_loop(geo, rim, lines))
    geo.addPlaneSurface(loops)
    geo.synchronize()
    for line in lines:  # keep the given spacing: no further points between two void points
        gmsh.model.mesh.setTransfiniteCurve(line, 2)
    gmsh.model.mesh.generate(2)

    tags, flat, _ = gmsh.model.mesh.getNodes()
    kinds, _, nodes = gmsh.model.mesh.getElements(2)
    if list(kinds) != [2]:
        raise CaseRejected(f"gmsh made element types {list(kinds)}, expected triangles only")
    used, triangles = np.unique(nodes[0], return_inverse=True)
    order = np.argsort(tags)
    place = order[np.searchsorted(tags, used, sorter=order)]
    points = flat.reshape(-1, 3)[place, :2].copy()
    points[np.abs(points) < 1e-10] = 0.0  # straight sides exactly on 0 and 1
    points[np.abs(points - 1) < 1e-10] = 1.0
    angles = np.full(len(points), np.nan)
    if void is not None:
        tag = np.array([gmsh.model.mesh.getNodes(0, p)[0][0] for p in rim])
        index = np.searchsorted(used, tag)
        angles[index] = theta
        points[index] = void.curve(theta)
    triangles = triangles.reshape(-1, 3).astype(np.int64)
    if void is not None and np.isnan(angles[_near_void(points, void)]).any():
        raise CaseRejected("gmsh added vertices on the void")
    return points, triangles, angles


def _loop(geo, points: list[int], lines: list[int] | None = None) -> int:
    made = [geo.addLine(a, b) for a, b in zip(points, points[1:] + points[:1], strict=True)]
    if lines is not None:
        lines.extend(made)
    return geo.addCurveLoop(made)


def _near_void(points: np.ndarray, void: Void) -> np.ndarray:
    offset = points - CENTRE
    theta = np.arctan2(offset[:, 1], offset[:, 0])
    return np.hypot(*offset.T) < void.radius(theta) + 1e-9
