"""The unit cell in scikit-fem: isoparametric quadratic triangles and the forms of the problem."""

from typing import final

import numpy as np
import scipy.sparse as sp
import skfem
from jaxtyping import Float, Int
from skfem.helpers import ddot

from ._mesh import CaseRejected, CellMesh

INTEGRATION_ORDER = 4  # the rule with six points


@skfem.LinearForm
def _internal_force(v, w):
    return ddot(w.stress, v.grad)


@skfem.BilinearForm
def _stiffness(u, v, w):
    return ddot(np.einsum("ijkl...,kl...->ij...", w.tangent, u.grad), v.grad)


@skfem.BilinearForm
def _mass(u, v, _):
    return u * v


@skfem.LinearForm
def _moment(v, w):
    return w.density * v


@final
class QuadraticElements:
    """Quadratic displacement elements over a cell mesh, with one node at each vertex and on each edge.

    `vector` is scikit-fem's basis of displacements, `scalar` that of one component. `dofs` (n, 2) are the
    numbers of both unknowns of each of the `nodes` (n, 2), which are numbered as in `scalar`. Boundaries are
    named `bottom`, `top`, `left` and `right`. Arrays at integration points begin with (triangle, point), as the
    material law has them, and not with the components.

    Raises:
        CaseRejected: if the map from the reference triangle is not positive at an integration point.
    """

    def __init__(self, mesh: CellMesh):
        nodes, triangles, _ = mesh.quadratic()
        self.mesh = skfem.MeshTri2(
            np.ascontiguousarray(nodes.T), np.ascontiguousarray(triangles.T, dtype=np.int32)
        ).with_boundaries(
            {
                "bottom": lambda x: x[1] == 0,
                "top": lambda x: x[1] == 1,
                "left": lambda x: x[0] == 0,
                "right": lambda x: x[0] == 1,
            }
        )
        element = skfem.ElementTriP2()
        mapping = self.mesh.mapping()
        rule = skfem.quadrature.get_quadrature(element.refdom, INTEGRATION_ORDER)
        # Before the basis, which takes the absolute value of the determinant and divides by it.
        (xx, xy), (yx, yy) = mapping.DF(rule[0])
        if (xx * yy - xy * yx).min() <= 0:
            raise CaseRejected("a curved triangle is folded")
        self.vector = skfem.Basis(self.mesh, skfem.ElementVector(element), mapping, quadrature=rule)
        self.scalar = self.vector.with_element(element)
        self.nodes: Float[np.ndarray, "n 2"] = np.ascontiguousarray(self.mesh.doflocs.T)
        self.dofs: Int[np.ndarray, "n 2"] = np.stack(self.vector.split_indices(), axis=1)

    def deformation_gradient(self, u: Float[np.ndarray, " unknowns"]) -> Float[np.ndarray, "m q 2 2"]:
        r"""Returns $F = I + \nabla u$ at the integration points."""
        return np.eye(2) + np.moveaxis(np.asarray(self.vector.interpolate(u).grad), (0, 1), (2, 3))

    def internal_force(self, stress: Float[np.ndarray, "m q 2 2"]) -> Float[np.ndarray, " unknowns"]:
        r"""Returns $\int P : \nabla v$ for each basis function."""
        return _internal_force.assemble(self.vector, stress=np.moveaxis(stress, (2, 3), (0, 1)))

    def stiffness(self, tangent: Float[np.ndarray, "m q 2 2 2 2"]) -> sp.csr_matrix | sp.csr_array:
        r"""Returns the matrix of $\int \nabla v : A : \nabla u$ over all unknowns."""
        components_first = np.ascontiguousarray(np.moveaxis(tangent, (2, 3, 4, 5), (0, 1, 2, 3)))
        return _stiffness.assemble(self.vector, tangent=components_first)

    def mass(self) -> sp.csr_matrix | sp.csr_array:
        """Returns the consistent mass matrix of one component, with unit density."""
        return _mass.assemble(self.scalar)

    def moments(self, values: Float[np.ndarray, "m q c"]) -> Float[np.ndarray, "n c"]:
        r"""Returns $\int f v$ for each component of `values` and each basis function."""
        return np.stack([_moment.assemble(self.scalar, density=f) for f in np.moveaxis(values, 2, 0)], axis=1)

    def top_load(self, traction: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " unknowns"]:
        """Returns the nodal forces of a constant dead traction on the edge y = 1."""
        top = skfem.FacetBasis(self.mesh, self.vector.elem, facets=self.mesh.boundaries["top"])
        return skfem.LinearForm(lambda v, _: traction[0] * v[0] + traction[1] * v[1]).assemble(top)
