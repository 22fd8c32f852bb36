"""Stress of elastic materials at finite strain, as functions of the deformation gradient."""

import math
from abc import abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops

from ._law import Law

Matrices = Float[Tensor, "*batch d d"]

#: `ElasticLaw.courant` of laws with and without stiffness against shear.
SOLID, FLUID = 0.7, 0.35


def determinant(F: Matrices) -> Float[Tensor, "*batch"]:
    """Returns det F of 2x2 or 3x3 matrices, expanded along the first row."""
    if F.shape[-1] == 2:
        return F[..., 0, 0] * F[..., 1, 1] - F[..., 0, 1] * F[..., 1, 0]
    return (F[..., 0, :] * torch.linalg.cross(F[..., 1, :], F[..., 2, :])).sum(-1)


def constant(value: float) -> nn.Parameter:
    """Returns a constant of a material: a parameter that is known until `requires_grad_()` makes an unknown of it."""
    return nn.Parameter(torch.tensor(value, dtype=torch.float64), requires_grad=False)


class ElasticLaw(Law):
    r"""A law with the shear modulus $\mu$ and Lame's $\lambda$ that belong to Young's modulus E and Poisson's ratio $\nu$.

    $$\mu = \frac{E}{2 (1 + \nu)}, \qquad \lambda = \frac{E \nu}{(1 + \nu)(1 - 2 \nu)}$$

    Calling a law returns the Kirchhoff stress $\tau = (\partial\psi/\partial F)\,F^T$ of each 2x2 (plane strain) or 3x3
    deformation gradient, in the unit of E. log E and $\nu$ are parameters without gradients; `requires_grad_()` makes them
    unknowns, and positive moduli stay positive. For small strains every law is linear elasticity,
    $\tau = 2 \mu\,\epsilon + \lambda\,\mathrm{tr}(\epsilon)\,1$.

    Args:
        young: Young's modulus E > 0.
        poisson: Poisson's ratio, in [0, 0.5).

    Raises:
        ValueError: a constant is out of range.
    """

    #: Longest stable time step of `MPM`, in times in which pressure waves cross a cell. It is measured, with cubes that were thrown
    #: against walls for two seconds: solids diverged from 0.98 on with a Poisson's ratio of 0.2 and from 0.8 on with 0.4 and 0.45,
    #: fluids from 0.38 (`Tait`) and 0.45 on. Nearly incompressible solids are like fluids: with 0.49 they diverged at 0.7.
    courant = SOLID

    def __init__(self, young: float, poisson: float):
        super().__init__()
        if not (young > 0 and math.isfinite(young)):
            raise ValueError(f"{type(self).__name__}: expected young > 0, got {young}")
        if not 0 <= poisson < 0.5:
            raise ValueError(f"{type(self).__name__}: expected poisson in [0, 0.5), got {poisson}")
        self.log_young = constant(math.log(young))
        self.poisson = constant(poisson)

    @property
    def mu(self) -> Tensor:
        """The shear modulus."""
        return self.log_young.exp() / (2 * (1 + self.poisson))

    @property
    def lam(self) -> Tensor:
        """Lame's first parameter."""
        return self.log_young.exp() * self.poisson / ((1 + self.poisson) * (1 - 2 * self.poisson))

    def wave_speed(self, density: float) -> float:
        r"""Returns the speed of pressure waves at rest, $\sqrt{(\lambda + 2\mu)/\rho}$."""
        return math.sqrt(float((self.lam + 2 * self.mu).detach()) / density)

    @abstractmethod
    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        r"""Returns the energy $\psi(F)$ per undeformed volume."""

    @abstractmethod
    def forward(self, F: Matrices) -> Matrices:
        r"""Returns the Kirchhoff stress $\tau$."""

    def _constants(self, F: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu.to(F.dtype), self.lam.to(F.dtype)


@final
class FixedCorotated(ElasticLaw):
    r"""Fixed corotated elasticity, which turns with the material.

    $$\tau = 2\mu\,(F - R)\,F^T + \lambda J (J - 1)\,1, \qquad \psi = \mu\,|F - R|^2 + \tfrac{\lambda}{2} (J - 1)^2$$

    R is the rotation of the polar decomposition, J = det F.

    Source: Stomakhin et al. 2012, "Energetically consistent invertible elasticity".
    """

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        mu, lam = self._constants(F)
        return mu * (F - ops.polar(F)[0]).square().sum((-2, -1)) + lam / 2 * (determinant(F) - 1).square()

    def forward(self, F: Matrices) -> Matrices:
        mu, lam = self._constants(F)
        stretch = ops.small_matmul(2 * mu * (F - ops.polar(F)[0]), F, transpose_b=True)
        return stretch + isotropic(lam * _swelling(determinant(F)), F)


@final
class StVenantKirchhoff(ElasticLaw):
    r"""Linear elasticity in the Green strain.

    $$\tau = F\,(2\mu\,G + \lambda\,\mathrm{tr}(G)\,1)\,F^T, \qquad \psi = \mu\,|G|^2 + \tfrac{\lambda}{2}\,\mathrm{tr}(G)^2,
    \qquad G = \tfrac12 (F^T F - 1)$$

    It softens under compression and has no resistance to inversion: for moderate strains.
    """

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        mu, lam = self._constants(F)
        G = self._strain(F)
        return mu * G.square().sum((-2, -1)) + lam / 2 * trace(G).square()

    def forward(self, F: Matrices) -> Matrices:
        mu, lam = self._constants(F)
        G = self._strain(F)
        S = 2 * mu * G + isotropic(lam * trace(G), F)
        return ops.small_matmul(ops.small_matmul(F, S), F, transpose_b=True)

    @staticmethod
    def _strain(F: Tensor) -> Tensor:
        return (ops.small_matmul(F, F, transpose_a=True) - torch.eye(F.shape[-1], dtype=F.dtype, device=F.device)) / 2


@final
class NeoHookean(ElasticLaw):
    r"""Compressible rubber.

    $$\tau = \mu\,(F F^T - 1) + \lambda \ln J\,1, \qquad
    \psi = \tfrac{\mu}{2} (|F|^2 - d) - \mu \ln J + \tfrac{\lambda}{2} (\ln J)^2$$

    Infinite as J -> 0, and NaN for J <= 0.
    """

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        mu, lam = self._constants(F)
        log = determinant(F).log()
        return mu / 2 * (F.square().sum((-2, -1)) - F.shape[-1]) - mu * log + lam / 2 * log.square()

    def forward(self, F: Matrices) -> Matrices:
        mu, lam = self._constants(F)
        return mu * ops.small_matmul(F, F, transpose_b=True) + isotropic(lam * determinant(F).log() - mu, F)


@final
class Hencky(ElasticLaw):
    r"""Linear elasticity in the logarithmic strain.

    $$\tau = 2\mu\,h + \lambda\,\mathrm{tr}(h)\,1, \qquad \psi = \mu\,|h|^2 + \tfrac{\lambda}{2}\,\mathrm{tr}(h)^2,
    \qquad h = \tfrac12 \ln F F^T$$

    Quadratic in the logarithmic strain, as the return maps of plasticity want it.
    """

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        mu, lam = self._constants(F)
        h = ops.log_strain(F)
        return mu * h.square().sum((-2, -1)) + lam / 2 * trace(h).square()

    def forward(self, F: Matrices) -> Matrices:
        mu, lam = self._constants(F)
        h = ops.log_strain(F)
        return 2 * mu * h + isotropic(lam * trace(h), F)


@final
class WeaklyCompressible(ElasticLaw):
    r"""A fluid without viscosity whose pressure is quadratic in the volume.

    $$\tau = \lambda J (J - 1)\,1, \qquad \psi = \tfrac{\lambda}{2} (J - 1)^2$$

    $\mu$ is not used. It needs the return map `VolumeOnly`, else F collects shear for ever.
    """

    courant = FLUID

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        return self._constants(F)[1] / 2 * (determinant(F) - 1).square()

    def forward(self, F: Matrices) -> Matrices:
        return isotropic(self._constants(F)[1] * _swelling(determinant(F)), F)

    def wave_speed(self, density: float) -> float:
        r"""Returns the speed of sound at rest, $\sqrt{\lambda/\rho}$."""
        return math.sqrt(float(self.lam.detach()) / density)


@final
class Tait(ElasticLaw):
    r"""A fluid without viscosity with the pressure of Tait.

    $$\tau = -J p\,1, \qquad p = \tfrac{\lambda}{\gamma} (J^{-\gamma} - 1)$$

    $\mu$ is not used. It needs the return map `VolumeOnly`, else F collects shear for ever.

    Args:
        young, poisson: constants that give the bulk modulus $\lambda$.
        exponent: $\gamma > 1$; 7 is usual for water.
    """

    courant = FLUID

    def __init__(self, young: float, poisson: float, exponent: float = 7.0):
        super().__init__(young, poisson)
        if not exponent > 1:
            raise ValueError(f"Tait: expected exponent > 1, got {exponent}")
        self.exponent = exponent

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        J, g = determinant(F), self.exponent
        return self._constants(F)[1] / g * (J ** (1 - g) / (g - 1) + J - g / (g - 1))

    def forward(self, F: Matrices) -> Matrices:
        J, g = determinant(F), self.exponent
        return isotropic(self._constants(F)[1] / g * (J - J ** (1 - g)), F)

    def wave_speed(self, density: float) -> float:
        r"""Returns the speed of sound at rest, $\sqrt{\lambda/\rho}$."""
        return math.sqrt(float(self.lam.detach()) / density)


def _swelling(J: Tensor) -> Tensor:
    return J * (J - 1)


def trace(A: Tensor) -> Tensor:
    """Returns the traces of matrices."""
    return A.diagonal(dim1=-2, dim2=-1).sum(-1)


def isotropic(value: Tensor, F: Tensor) -> Tensor:
    """Returns multiples of the identity, of the size and dtype of F."""
    return value[..., None, None] * torch.eye(F.shape[-1], dtype=F.dtype, device=F.device)
