"""One case of the unit-cell set: drawn, meshed, solved and read at the vertices of three nested meshes."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial import KDTree

from geoops.physics import MooneyRivlin, von_mises_plane_stress

from ._mesh import CaseRejected, CellMesh, mesh_cell, require
from ._void import Void

C1, C2 = 1.863e5, 9.79e3  # published constants of the material
SAME_POINT = 1e-12


@final
@dataclass(frozen=True)
class CaseOptions:
    """What all cases of one set share.

    Args:
        load: dead traction on the top edge, per unit of undeformed length, in the units of the material
            constants.
        seed: seed of the set; with the index of a case it fixes the case.
        modes: cosine and sine pairs of the void's shape.
        void_size, corner_size: edge lengths of the level-0 mesh on the void and at the outer corners, in cell
            sides.

    Raises:
        ValueError: if a value is out of range.
    """

    load: float = 100.0
    seed: int = 0
    modes: int = 5
    void_size: float = 0.0245
    corner_size: float = 0.0405

    def __post_init__(self) -> None:
        if not np.isfinite(self.load) or self.load == 0:
            raise ValueError(f"expected a finite load other than 0, got load={self.load}")
        if self.seed < 0 or self.modes < 0:
            raise ValueError(f"expected seed >= 0 and modes >= 0, got seed={self.seed}, modes={self.modes}")
        for name in ("void_size", "corner_size"):
            if not 0 < getattr(self, name) <= 0.2:
                raise ValueError(f"expected 0 < {name} <= 0.2, got {getattr(self, name)}")


@final
@dataclass(frozen=True, eq=False)
class Level:
    """The solution of a case read at the vertices of one mesh, in float64.

    Each triangle is anticlockwise from its lowest vertex number and triangles are sorted by these numbers.
    `cauchy` is (s11, s22, s12); `boundary` is 0 inside, 1 bottom, 2 top, 3 sides, 4 void.
    """

    points: Float[np.ndarray, "n 2"]
    triangles: Int[np.ndarray, "m 3"]
    displacement: Float[np.ndarray, "n 2"]
    cauchy: Float[np.ndarray, "n 3"]
    von_mises: Float[np.ndarray, " n"]
    boundary: UInt8[np.ndarray, " n"]


@final
@dataclass(frozen=True, eq=False)
class Case:
    """A solved case: `levels[0]` is the coarse mesh, each further level has four times as many triangles.

    `residuals` are the relative Newton residuals of each load step. `radius` samples the void at 2 pi i / 41,
    i = 0..41, so its last value repeats the first.
    """

    index: int
    options: CaseOptions
    void: Void
    residuals: tuple[tuple[float, ...], ...]
    levels: tuple[Level, Level, Level]

    @property
    def radius(self) -> Float[np.ndarray, " 42"]:
        return self.void.radius(2 * np.pi * np.arange(42) / 41)


def solve_case(
    index: int,
    *,
    load: float = 100.0,
    seed: int = 0,
    modes: int = 5,
    void_size: float = 0.0245,
    corner_size: float = 0.0405,
) -> Case:
    """Makes case `index` alone: a rubber square with a random void, held below and pulled above.

    The void is drawn from `numpy.random.default_rng([seed, index])`. Quadratic isoparametric triangles on the
    once refined mesh give displacement and stress at the vertices of all three levels: the nodes of that
    solve are the vertices of level 2, which contain those of levels 1 and 0 (checked by position).

    Parameters: see `CaseOptions`. Units: lengths in cell sides, stresses in the units of `load`.

    Raises:
        CaseRejected: if the mesh is not valid, no equilibrium is found, or nodes and vertices do not coincide.
        ImportError: if gmsh or scikit-fem is missing.
        ValueError: if an argument is out of range.
    """
    options = CaseOptions(load, seed, modes, void_size, corner_size)
    if index < 0:
        raise ValueError(f"expected index >= 0, got {index}")
    require("skfem")
    from ._elements import QuadraticElements
    from ._solve import equilibrium, nodal_stress

    void = Void.draw(np.random.default_rng([seed, index]), modes=modes)
    coarse = mesh_cell(void, void_size=void_size, corner_size=corner_size)
    middle = coarse.refined()
    meshes = (coarse, middle, middle.refined())
    elements = QuadraticElements(middle)
    fixed = elements.vector.get_dofs("bottom").flatten()
    law = MooneyRivlin(C1, C2)
    solution = equilibrium(elements, law, elements.top_load(np.array([0.0, load])), fixed)
    stress = nodal_stress(elements, law, solution.displacement)
    if not np.isfinite(stress).all():
        raise CaseRejected("the nodal stress is not finite")
    tree = KDTree(elements.nodes)
    levels = tuple(_read(mesh, tree, solution.displacement[elements.dofs], stress) for mesh in meshes)
    return Case(index, options, void, solution.residuals, levels)  # type: ignore[arg-type]


def _read(mesh: CellMesh, tree: KDTree, displacement: np.ndarray, stress: np.ndarray) -> Level:
    if mesh.areas().min() <= 0:
        raise CaseRejected("a refined mesh has a triangle without positive area")
    distance, node = tree.query(mesh.points)
    if distance.max() >= SAME_POINT:
        raise CaseRejected(f"a mesh vertex lies {distance.max():.1e} from the nearest node of the solve")
    s = stress[node]
    return Level(mesh.points, _sorted(mesh.triangles), displacement[node], s, von_mises_plane_stress(s), mesh.boundary())


def _sorted(triangles: np.ndarray) -> np.ndarray:
    # So that files become smaller: sorted numbers compress better.
    first = triangles.argmin(axis=1)[:, None]
    turned = np.take_along_axis(triangles, (first + np.arange(3)) % 3, axis=1)
    return turned[np.lexsort(turned.T[::-1])]
