"""The table of cell kinds: VTK's codes and node order, meshio's names."""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Kind:
    """One kind of cell.

    Args:
        name: meshio's name.
        code: VTK's type code.
        dim: topological dimension.
        nodes: number of nodes, or None where it differs from cell to cell.
        loop: for 2D cells, the nodes around the boundary, mid-side nodes included.
        faces: for 3D cells, the loops of the faces, seen from outside anticlockwise in VTK's orientation.
        centres: for 3D cells, the node in the middle of each face, or None.
        corners: the first `corners` nodes are vertices, the others sit on edges, faces and inside.
        edges: for 1D cells, the chain of nodes.
    """

    name: str
    code: int
    dim: int
    nodes: int | None
    corners: int | None = None
    loop: tuple[int, ...] = ()
    centre: int | None = None
    faces: tuple[tuple[int, ...], ...] = ()
    centres: tuple[int | None, ...] = ()

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Pairs of vertices joined by an edge (fixed-size kinds only)."""
        if self.dim == 1:
            return ((0, 1),)
        found: dict[tuple[int, int], None] = {}
        for loop in self.faces if self.dim == 3 else (self.loop,):
            ring = [v for v in loop if v < (self.corners or 0)]
            for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
                found[min(a, b), max(a, b)] = None
        return tuple(found)


def _volume(name: str, code: int, nodes: int, corner_faces, mids=None, centres=None) -> Kind:
    mids, centres = mids or {}, centres or {}
    faces, middle = [], []
    for face in corner_faces:
        loop: list[int] = []
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            loop.append(a)
            if (min(a, b), max(a, b)) in mids:
                loop.append(mids[min(a, b), max(a, b)])
        # A fan must start at a mid-side node: one started at a vertex has triangles without area.
        first_mid = next((i for i, v in enumerate(loop) if v not in face), 0)
        faces.append(tuple(loop[first_mid:] + loop[:first_mid]))
        middle.append(centres.get(frozenset(face)))
    corners = len({v for face in corner_faces for v in face})
    return Kind(name, code, 3, nodes, corners, faces=tuple(faces), centres=tuple(middle))


def _mids(start: int, *pairs: tuple[int, int]) -> dict[tuple[int, int], int]:
    return {(min(p), max(p)): start + i for i, p in enumerate(pairs)}


_TETRA = ((0, 2, 1), (0, 1, 3), (1, 2, 3), (0, 3, 2))
_HEXA = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
_VOXEL = tuple(tuple((0, 1, 3, 2, 4, 5, 7, 6)[v] for v in face) for face in _HEXA)
_WEDGE = ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (1, 4, 5, 2), (2, 5, 3, 0))
_PYRAMID = ((0, 3, 2, 1), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4))
_HEXA_MIDS = _mids(
    8, (0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)
)  # fmt: skip
_WEDGE_MIDS = _mids(6, (0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5))
_PYRAMID_MIDS = _mids(5, (0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4))
_TETRA_MIDS = _mids(4, (0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))


def _centres(start: int, *faces: tuple[int, ...]) -> dict[frozenset, int]:
    return {frozenset(f): start + i for i, f in enumerate(faces)}


def _prism(name: str, code: int, sides: int) -> Kind:
    bottom, top = tuple(range(sides)), tuple(range(2 * sides - 1, sides - 1, -1))
    around = tuple((i, i + sides, (i + 1) % sides + sides, (i + 1) % sides) for i in range(sides))
    return _volume(name, code, 2 * sides, (bottom, top, *around))


# fmt: off
_HIGHER_ORDER = (
    ("CURVE", 1), ("TRIANGLE", 2), ("QUADRILATERAL", 2), ("TETRAHEDRON", 3), ("HEXAHEDRON", 3), ("WEDGE", 3),
    ("PYRAMID", 3),
)
_TABLE = (
    Kind("vertex", 1, 0, 1, 1),
    Kind("poly_vertex", 2, 0, None),
    Kind("line", 3, 1, 2, 2),
    Kind("poly_line", 4, 1, None),
    Kind("triangle", 5, 2, 3, 3, (0, 1, 2)),
    Kind("triangle_strip", 6, 2, None),
    Kind("polygon", 7, 2, None),
    Kind("pixel", 8, 2, 4, 4, (0, 1, 3, 2)),
    Kind("quad", 9, 2, 4, 4, (0, 1, 2, 3)),
    _volume("tetra", 10, 4, _TETRA),
    _volume("voxel", 11, 8, _VOXEL),
    _volume("hexahedron", 12, 8, _HEXA),
    _volume("wedge", 13, 6, _WEDGE),
    _volume("pyramid", 14, 5, _PYRAMID),
    _prism("penta_prism", 15, 5),
    _prism("hexa_prism", 16, 6),
    Kind("line3", 21, 1, 3, 2),
    Kind("triangle6", 22, 2, 6, 3, (3, 1, 4, 2, 5, 0)),
    Kind("quad8", 23, 2, 8, 4, (4, 1, 5, 2, 6, 3, 7, 0)),
    _volume("tetra10", 24, 10, _TETRA, _TETRA_MIDS),
    _volume("hexahedron20", 25, 20, _HEXA, _HEXA_MIDS),
    _volume("wedge15", 26, 15, _WEDGE, _WEDGE_MIDS),
    _volume("pyramid13", 27, 13, _PYRAMID, _PYRAMID_MIDS),
    Kind("quad9", 28, 2, 9, 4, (4, 1, 5, 2, 6, 3, 7, 0), centre=8),
    _volume(
        "hexahedron27", 29, 27, _HEXA, _HEXA_MIDS,
        _centres(20, (0, 3, 7, 4), (1, 2, 6, 5), (0, 1, 5, 4), (3, 2, 6, 7), (0, 1, 2, 3), (4, 5, 6, 7)),
    ),
    Kind("quad6", 30, 2, 6, 4, (4, 1, 2, 5, 3, 0)),
    _volume("wedge12", 31, 12, _WEDGE, dict(list(_WEDGE_MIDS.items())[:6])),
    _volume("wedge18", 32, 18, _WEDGE, _WEDGE_MIDS, _centres(15, (0, 1, 4, 3), (1, 2, 5, 4), (2, 0, 3, 5))),
    _volume(
        "hexahedron24", 33, 24, _HEXA, _HEXA_MIDS,
        _centres(20, (0, 3, 7, 4), (1, 2, 6, 5), (0, 1, 5, 4), (3, 2, 6, 7)),
    ),
    Kind("triangle7", 34, 2, 7, 3, (3, 1, 4, 2, 5, 0), centre=6),
    Kind("line4", 35, 1, 4, 2),
    # Kinds below are kept through files and conversions; functions that need their shape refuse them by name.
    *(Kind(f"VTK_{family}_{name}", first + i, dim, None) for family, first in (("LAGRANGE", 68), ("BEZIER", 75))
      for i, (name, dim) in enumerate(_HIGHER_ORDER)),
)
# fmt: on

KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}
CODES: dict[int, Kind] = {kind.code: kind for kind in _TABLE}


def kind_named(name: str) -> Kind:
    """Returns the row of a kind.

    Raises:
        ValueError: there is no such kind.
    """
    if name not in KINDS:
        raise ValueError(f"unknown kind of cell {name!r}; geoops knows {', '.join(KINDS)}")
    return KINDS[name]
