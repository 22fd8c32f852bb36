"""Return maps of plasticity: from the trial elastic deformation of a step to the admissible one."""

import math
from typing import final

import torch
from torch import Tensor, nn

from geoops import ops

from ._elastic import ElasticLaw, Matrices, constant, determinant

LEAST_STRETCH = 0.05  # principal stretches are held above it, so that their logarithms stay moderate


@final
class Unchanged(nn.Module):
    """The return map of a material without plasticity: the trial deformation itself."""

    def forward(self, F: Matrices) -> Matrices:
        return F


@final
class VolumeOnly(nn.Module):
    r"""The return map of a fluid, which keeps the change of volume and forgets the shear: $F \mapsto J^{1/d}\,1$."""

    def forward(self, F: Matrices) -> Matrices:
        d = F.shape[-1]
        return determinant(F)[..., None, None] ** (1 / d) * torch.eye(d, dtype=F.dtype, device=F.device)


@final
class VonMises(nn.Module):
    r"""Perfect plasticity of metals and clay: the deviator e of the logarithmic strain is cut to a length.

    $$\epsilon \mapsto \epsilon - \max\!\left(0, |e| - \frac{\sigma_y}{2\mu}\right) \frac{e}{|e|}, \qquad
    e = \epsilon - \mathrm{mean}(\epsilon), \quad \epsilon_i = \ln\sigma_i$$

    so that the Hencky stress satisfies $|\mathrm{dev}\,\tau| \le \sigma_y$. The volume stays as it is. Stretches below 0.05
    are first raised to it.

    Args:
        elastic: the law whose shear modulus applies.
        yield_stress: $\sigma_y > 0$, in the unit of E. Its logarithm is a parameter, without gradients until
            `requires_grad_()`.

    Raises:
        ValueError: the yield stress is not positive.
    """

    def __init__(self, elastic: ElasticLaw, yield_stress: float):
        super().__init__()
        if not (yield_stress > 0 and math.isfinite(yield_stress)):
            raise ValueError(f"VonMises: expected yield_stress > 0, got {yield_stress}")
        self.elastic = elastic
        self.log_yield = constant(math.log(yield_stress))

    def forward(self, F: Matrices) -> Matrices:
        most = (self.log_yield.exp() / (2 * self.elastic.mu)).to(F.dtype)

        def cut(sigma: Tensor) -> Tensor:
            strain = _strain(sigma)
            e, length = _deviator(strain)
            return (strain - (length - most).clamp_min(0) * e / length).exp()

        sigma = ops.svd(F)[1].detach()
        yields = (_deviator(_strain(sigma))[1] > most) | (sigma < LEAST_STRETCH).any(-1, keepdim=True)
        return torch.where(yields[..., None], ops.singular_value_map(F, cut), F)


@final
class DruckerPrager(nn.Module):
    r"""Plasticity of sand, whose resistance to shear grows with pressure.

    With t = tr(strain) - d c:

    $$\epsilon \mapsto \begin{cases} c\,1 & t \ge 0 \\ \epsilon - \max\!\left(0, |e| + \frac{d\lambda + 2\mu}{2\mu}\,t\,a\right)
    \frac{e}{|e|} & t < 0 \end{cases}, \qquad a = \sqrt{\tfrac23}\,\frac{2 \sin\varphi}{3 - \sin\varphi}$$

    Under tension it comes apart without stress (for c = 0). Stretches below 0.05 are first raised to it.

    Args:
        elastic: the law whose moduli apply.
        friction: the friction angle $\varphi$ in degrees, in (0, 90); a parameter without gradients until
            `requires_grad_()`.
        cohesion: the strain c >= 0 up to which each direction holds together.

    Raises:
        ValueError: a constant is out of range.

    Source: Klar et al. 2016, "Drucker-Prager elastoplasticity for sand animation".
    """

    def __init__(self, elastic: ElasticLaw, friction: float, cohesion: float = 0.0):
        super().__init__()
        if not 0 < friction < 90:
            raise ValueError(f"DruckerPrager: expected a friction angle in (0, 90) degrees, got {friction}")
        if not cohesion >= 0:
            raise ValueError(f"DruckerPrager: expected cohesion >= 0, got {cohesion}")
        self.elastic, self.cohesion = elastic, cohesion
        self.friction = constant(friction)

    def forward(self, F: Matrices) -> Matrices:
        d, sine = F.shape[-1], torch.deg2rad(self.friction).sin()
        slope = math.sqrt(2 / 3) * 2 * sine / (3 - sine)
        mu, lam = self.elastic.mu, self.elastic.lam
        rise = (slope * (d * lam + 2 * mu) / (2 * mu)).to(F.dtype)

        def cut(sigma: Tensor) -> Tensor:
            strain = _strain(sigma)
            e, length = _deviator(strain)
            t = strain.sum(-1, keepdim=True) - d * self.cohesion
            held = strain - (length + rise * t).clamp_min(0) * e / length
            return torch.where(t >= 0, self.cohesion, held).exp()

        return ops.singular_value_map(F, cut)


def _strain(sigma: Tensor) -> Tensor:
    return sigma.clamp_min(LEAST_STRETCH).log()


def _deviator(strain: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the deviator and its length, which is kept above zero so that a direction can be told from it."""
    e = strain - strain.mean(-1, keepdim=True)
    return e, e.square().sum(-1, keepdim=True).clamp_min(torch.finfo(strain.dtype).tiny ** 0.5).sqrt()
