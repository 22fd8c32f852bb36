"""Incompressible Mooney-Rivlin rubber in plane stress, at finite strain."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float


@final
@dataclass(frozen=True)
class MooneyRivlin:
    r"""Hyperelastic law of an incompressible sheet without stress across its thickness.

    With the in-plane deformation gradient $F$ (2x2), $J = \det F$, $t = F : F$ and the thickness stretch
    $1/J$ that incompressibility dictates, the energy per undeformed volume is

    $$w = c_1 (I_1 - 3) + c_2 (I_2 - 3), \quad I_1 = t + J^{-2}, \quad I_2 = J^2 + t J^{-2}.$$

    The pressure is already eliminated, so displacements are the only unknowns. For small strains the law is
    linear elasticity with shear modulus $2 (c_1 + c_2)$, Young's modulus $6 (c_1 + c_2)$, Poisson ratio 1/2.

    Every method takes arrays of any leading shape and works in the precision it is given.

    Args:
        c1, c2: material constants, in units of stress; `c1 > 0` and `c2 >= 0`.

    Raises:
        ValueError: if the constants do not describe a stable material.

    Source: Mooney (1940), Rivlin (1948); plane stress as in Holzapfel, Nonlinear Solid Mechanics, ch. 6.
    """

    c1: float
    c2: float

    def __post_init__(self) -> None:
        if not (self.c1 > 0 and self.c2 >= 0):
            raise ValueError(f"expected c1 > 0 and c2 >= 0, got c1={self.c1}, c2={self.c2}")

    def energy(self, f: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch"]:
        """Returns the energy $w(F)$ per undeformed volume; `nan` or `inf` where `det F` is zero."""
        j = _determinant(f)
        t = np.einsum("...ij,...ij->...", f, f)
        inverse = 1 / (j * j)
        return np.asarray(self.c1 * (t + inverse - 3) + self.c2 * (j * j + t * inverse - 3))

    def first_piola(self, f: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch 2 2"]:
        r"""Returns $P = \partial w / \partial F = a F + b \,\mathrm{cof} F$, force per undeformed area."""
        a, b = self._coefficients(f)
        return a[..., None, None] * f + b[..., None, None] * _cofactor(f)

    def tangent(self, f: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch 2 2 2 2"]:
        r"""Returns $A_{iJkL} = \partial P_{iJ} / \partial F_{kL}$, which equals $A_{kLiJ}$."""
        a, b = self._coefficients(f)
        g, j = _cofactor(f), _determinant(f)
        t = np.einsum("...ij,...ij->...", f, f)
        mixed = -4 * self.c2 * j**-3
        volume = 6 * (self.c1 + self.c2 * t) * j**-4 + 2 * self.c2
        # h (x) G + G (x) h is symmetric by construction and costs one outer product less.
        h = np.asarray(mixed)[..., None, None] * f + np.asarray(0.5 * volume)[..., None, None] * g
        outer = h[..., :, :, None, None] * g[..., None, None, :, :]
        result = outer + np.moveaxis(outer, (-4, -3, -2, -1), (-2, -1, -4, -3))
        for i in range(2):
            for k in range(2):
                result[..., i, k, i, k] += a
        for i, k, sign in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):  # cof is linear in two dimensions
            result[..., i, k, 1 - i, 1 - k] += sign * b
        return result

    def cauchy(self, f: Float[np.ndarray, "*batch 2 2"]) -> Float[np.ndarray, "*batch 3"]:
        r"""Returns $\sigma = P F^T$ as (s11, s22, s12), force per deformed area (the volume ratio is 1)."""
        a, b = self._coefficients(f)
        # P F^T = a F F^T + b J I
        pressure = b * _determinant(f)
        s11 = a * (f[..., 0, 0] ** 2 + f[..., 0, 1] ** 2) + pressure
        s22 = a * (f[..., 1, 0] ** 2 + f[..., 1, 1] ** 2) + pressure
        s12 = a * (f[..., 0, 0] * f[..., 1, 0] + f[..., 0, 1] * f[..., 1, 1])
        return np.stack((s11, s22, s12), axis=-1)

    def _coefficients(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        j = _determinant(f)
        t = np.einsum("...ij,...ij->...", f, f)
        a = 2 * self.c1 + 2 * self.c2 * j**-2
        b = -2 * (self.c1 + self.c2 * t) * j**-3 + 2 * self.c2 * j
        return np.asarray(a), np.asarray(b)


def von_mises_plane_stress(stress: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch"]:
    r"""Returns $\sqrt{s_{11}^2 - s_{11} s_{22} + s_{22}^2 + 3 s_{12}^2}$ of stresses (s11, s22, s12)."""
    s11, s22, s12 = np.moveaxis(stress, -1, 0)
    return np.asarray(np.sqrt(s11 * s11 - s11 * s22 + s22 * s22 + 3 * s12 * s12))


def _determinant(f: np.ndarray) -> np.ndarray:
    # asarray: products of single numbers are NumPy scalars, which are no arrays to the type checker
    return np.asarray(f[..., 0, 0] * f[..., 1, 1] - f[..., 0, 1] * f[..., 1, 0])


def _cofactor(f: np.ndarray) -> np.ndarray:
    result = np.empty_like(f)
    result[..., 0, 0], result[..., 0, 1] = f[..., 1, 1], -f[..., 1, 0]
    result[..., 1, 0], result[..., 1, 1] = -f[..., 0, 1], f[..., 0, 0]
    return result
