"""Equilibrium of the loaded cell by Newton's method, and nodal stresses."""

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
import skfem
from jaxtyping import Float, Int

from geoops.physics import MooneyRivlin

from ._elements import QuadraticElements
from ._mesh import CaseRejected

TOLERANCE = 1e-9
MOST_STEPS = 12
SMALLEST_LOAD_STEP = 1 / 64


@final
@dataclass(frozen=True, eq=False)
class Equilibrium:
    """Converged displacement and the way there.

    Args:
        displacement: displacement of every unknown, in cell sides; `displacement[elements.dofs]` is by node.
        residuals: relative residuals of each converged load step, from its start to below the tolerance.
        reactions: internal force on every unknown; on fixed ones it is the force of the support.
    """

    displacement: Float[np.ndarray, " unknowns"]
    residuals: tuple[tuple[float, ...], ...]
    reactions: Float[np.ndarray, " unknowns"]


def factorise(matrix: sp.csr_matrix | sp.csr_array) -> spla.SuperLU:
    """Factorises a symmetric matrix without row exchanges, minimum degree ordering of A + A^T."""
    return spla.splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def equilibrium(
    elements: QuadraticElements,
    law: MooneyRivlin,
    load: Float[np.ndarray, " unknowns"],
    fixed: Int[np.ndarray, " fixed"],
    *,
    prescribed: Float[np.ndarray, " unknowns"] | None = None,
    start: Float[np.ndarray, " unknowns"] | None = None,
    reuse: float = 0.02,
    tolerance: float = TOLERANCE,
) -> Equilibrium:
    r"""Finds $u$ with $\int P(u) : \nabla v = f(v)$ for all $v$ that vanish on the fixed unknowns.

    The residual is the free part of load minus internal force, divided by the norm of the load (of the
    internal force if there is no load), and must fall below `tolerance`. A load step that does not get there
    in 12 iterations, or turns an element inside out, is halved, down to 1/64 of the load; after success it is
    doubled.

    Args:
        elements: the discretised cell.
        law: its material.
        load: nodal forces at full load.
        fixed: numbers of the unknowns that are held.
        prescribed: displacement of the fixed unknowns, applied in proportion to the load; zero if absent.
        start: first guess of the displacement; zero if absent.
        reuse: a factorised tangent is kept while an iteration with it multiplies the residual by less than this;
            0 is Newton's method proper.
        tolerance: largest relative residual; rounding allows about 1e-9 / load for loads below 1 and the
            published law.

    Raises:
        CaseRejected: if the smallest load step fails.
    """
    u = np.zeros_like(load) if start is None else start.copy()
    goal = np.zeros_like(load) if prescribed is None else prescribed
    free = elements.vector.complement_dofs(fixed)
    history: list[tuple[float, ...]] = []
    done, step = 0.0, 1.0
    while done < 1:
        level = min(1.0, done + step)
        guess = level * goal
        guess[free] = u[free]
        try:
            u, residuals, force = _newton(elements, law, level * load, free, guess, reuse, tolerance)
        except _StepFailed as failure:
            step = (level - done) / 2
            if step < SMALLEST_LOAD_STEP:
                raise CaseRejected(f"no equilibrium beyond {done:.4g} of the load: {failure}") from failure
            continue
        history.append(residuals)
        done, step = level, 2 * step
    return Equilibrium(u, tuple(history), force)


class _StepFailed(RuntimeError):
    pass


def _newton(elements, law, load, free, u, reuse, tolerance):
    factor, residuals = None, []
    for _ in range(MOST_STEPS + 1):
        f = elements.deformation_gradient(u)
        if not (np.linalg.det(f) > 0).all():
            raise _StepFailed("an element turned inside out")
        force = elements.internal_force(law.first_piola(f))
        rest = (load - force)[free]
        scale = np.linalg.norm(load) or np.linalg.norm(force) or 1.0
        residuals.append(float(np.linalg.norm(rest) / scale))
        if not np.isfinite(residuals[-1]):
            raise _StepFailed("the residual is not finite")
        if residuals[-1] < tolerance:
            return u, tuple(residuals), force
        slow = len(residuals) < 2 or residuals[-1] > reuse * residuals[-2]
        if factor is None or slow:
            matrix = elements.stiffness(law.tangent(f))
            try:
                factor = factorise(skfem.condense(matrix, I=free, expand=False))
            except RuntimeError as error:  # SuperLU: exactly singular
                raise _StepFailed(str(error)) from error
        u = u.copy()
        u[free] += factor.solve(rest)
    raise _StepFailed(f"residual {residuals[-1]:.1e} after {MOST_STEPS} iterations")


def nodal_stress(
    elements: QuadraticElements, law: MooneyRivlin, displacement: Float[np.ndarray, " unknowns"]
) -> Float[np.ndarray, "n 3"]:
    """Returns the Cauchy stress (s11, s22, s12) at the nodes, projected in L2 on continuous quadratics."""
    stress = law.cauchy(elements.deformation_gradient(displacement))
    return factorise(elements.mass()).solve(elements.moments(stress))
