"""Return maps of plasticity: from the trial elastic deformation of a step to the admissible one."""

import math
from typing import final

import torch
from torch import Tensor

from geoops import ops

from ._elastic import ElasticLaw, Matrices, constant, determinant, isotropic, trace
from ._law import Law

LEAST_STRETCH = 0.05  # principal stretches are held above it, so that their logarithms stay moderate


@final
class Unchanged(Law):
    """The return map of a material without plasticity: the trial deformation itself."""

    def forward(self, F: Matrices) -> Matrices:
        return F


@final
class VolumeOnly(Law):
    r"""The return map of a fluid, which keeps the change of volume and forgets the shear: $F \mapsto J^{1/d}\,1$."""

    def forward(self, F: Matrices) -> Matrices:
        d = F.shape[-1]
        return determinant(F)[..., None, None] ** (1 / d) * torch.eye(d, dtype=F.dtype, device=F.device)


@final
class VonMises(Law):
    r"""Perfect plasticity of metals and clay: the deviator e of the logarithmic strain is cut to a length.

    $$h \mapsto h - \max\!\left(0, |e| - \frac{\sigma_y}{2\mu}\right) \frac{e}{|e|}, \qquad
    e = h - \tfrac1d\,\mathrm{tr}(h)\,1, \quad h = \tfrac12 \ln F F^T$$

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
        h, F = ops.raised_strain(F, LEAST_STRETCH)
        e, length = _deviator(h)
        return ops.exp_strain((most - length).clamp_max(0) / length * e, F)


@final
class DruckerPrager(Law):
    r"""Plasticity of sand, whose resistance to shear grows with pressure.

    With t = tr(h) - d c and h, e as in `VonMises`:

    $$h \mapsto \begin{cases} c\,1 & t \ge 0 \\ h - \max\!\left(0, |e| + \frac{d\lambda + 2\mu}{2\mu}\,t\,a\right)
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
        if not 0 <= cohesion < math.inf:
            raise ValueError(f"DruckerPrager: expected cohesion >= 0, got {cohesion}")
        self.elastic, self.cohesion = elastic, cohesion
        self.friction = constant(friction)

    def forward(self, F: Matrices) -> Matrices:
        d, sine = F.shape[-1], torch.deg2rad(self.friction).sin()
        slope = math.sqrt(2 / 3) * 2 * sine / (3 - sine)
        mu, lam = self.elastic.mu, self.elastic.lam
        rise = (slope * (d * lam + 2 * mu) / (2 * mu)).to(F.dtype)

        h, F = ops.raised_strain(F, LEAST_STRETCH)
        e, length = _deviator(h)
        t = trace(h)[..., None, None] - d * self.cohesion
        opened = self.cohesion * torch.eye(d, dtype=F.dtype, device=F.device) - h
        return ops.exp_strain(torch.where(t >= 0, opened, -(length + rise * t).clamp_min(0) / length * e), F)


def _deviator(h: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the deviator and its length, which is kept above zero so that a direction can be told from it."""
    e = h - isotropic(trace(h) / h.shape[-1], h)
    return e, e.square().sum((-2, -1), keepdim=True).clamp_min(torch.finfo(h.dtype).tiny ** 0.5).sqrt()
