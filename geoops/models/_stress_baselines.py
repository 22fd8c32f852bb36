"""Stress laws that NCLaw is compared with: a network of the principal stretches, and splines of them."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops
from geoops.physics import Law

Matrices = Float[Tensor, "*batch d d"]


@final
class PrincipalStressNet(Law):
    r"""A network from principal stretches to principal stresses, the baseline `neural` of NCLaw.

    $$\tau = U\,\mathrm{diag}(s\,\mathrm{MLP}(\sigma - 1))\,V^T F^T, \qquad F = U\,\mathrm{diag}(\sigma)\,V^T$$

    with rotations U and V. Symmetric and isotropic but for the order of the stretches; the biases leave a stress at rest.
    The published network has no scale s: the same laws, but its last layer has to grow to the size of stresses.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        scale: the stress s of an output of 1.

    Raises:
        ValueError: matrices are of another size.

    Source: after Wang et al. 2020, "Learning elastic constitutive material and damping models".
    """

    def __init__(self, dim: int = 3, hidden: int = 6, scale: float = 1e4):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"PrincipalStressNet: expected dim of 2 or 3, got {dim}")
        if not scale > 0:
            raise ValueError(f"PrincipalStressNet: expected a positive scale, got {scale}")
        self.dim, self.hidden, self.scale = dim, hidden, scale
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, dim))

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        _check_size(self, F, self.dim)
        U, sigma, V = ops.svd(F, rotations=True)
        return _stress(U, self.scale * self.net(sigma - 1), V, F)


@final
class StretchSplines(Law):
    r"""Cubic splines of the principal stretches, the baseline `spline` of NCLaw.

    $$P_i = f(\sigma_i) + \sum_{j \ne i} g(\sigma_i \sigma_j)\,\sigma_j + h(\sigma_1 \sigma_2 \sigma_3) \prod_{j \ne i} \sigma_j,
    \qquad \tau = U\,\mathrm{diag}(P)\,V^T F^T$$

    in three dimensions; in two without g. Each of f, g and h is a Catmull-Rom spline through values at 21 knots, ten
    intervals on [0, 1] and ten on [1, 10], which start on a line from -1e4 to 1e4; beyond the knots it goes on as a line.

    Args:
        dim: 2 or 3.

    Raises:
        ValueError: matrices are of another size.

    Source: after Xu et al. 2015, "Nonlinear material design using principal stretches".
    """

    knots: Tensor

    def __init__(self, dim: int = 3):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"StretchSplines: expected dim of 2 or 3, got {dim}")
        self.dim = dim
        knots = torch.cat([torch.linspace(0, 1, 11), torch.linspace(1, 10, 11)[1:]])
        self.register_buffer("knots", knots, persistent=False)
        self.values = nn.Parameter(torch.linspace(-1, 1, len(knots)).repeat(dim, 1))
        self.scale = 1e4

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        _check_size(self, F, self.dim)
        U, sigma, V = ops.svd(F, rotations=True)
        values = self.scale * self.values.to(F.dtype)
        stress = self._spline(values[0], sigma)
        others = [sigma.roll(-k, -1) for k in range(1, self.dim)]
        whole = sigma.prod(-1, keepdim=True)
        if self.dim == 3:
            for other in others:
                stress = stress + self._spline(values[1], sigma * other) * other
        rest = others[0] if self.dim == 2 else others[0] * others[1]
        stress = stress + self._spline(values[-1], whole) * rest
        return _stress(U, stress, V, F)

    def _spline(self, values: Tensor, at: Tensor) -> Tensor:
        knots = self.knots.to(at.dtype)
        i = (torch.searchsorted(knots, at.detach().contiguous(), right=True) - 1).clamp(0, len(knots) - 2)
        slopes = (values[2:] - values[:-2]) / (knots[2:] - knots[:-2])
        ends = (values.diff() / knots.diff())[[0, -1]]
        slopes = torch.cat([ends[:1], slopes, ends[1:]])
        width = knots[i + 1] - knots[i]
        free = (at - knots[i]) / width
        t = free.clamp(0, 1)
        a, b, p, q = values[i], values[i + 1], slopes[i] * width, slopes[i + 1] * width
        inside = a + t * (p + t * (3 * (b - a) - 2 * p - q + t * (2 * (a - b) + p + q)))
        return inside + (free - t) * torch.where(free > 1, q, p)


def _stress(U: Tensor, principal: Tensor, V: Tensor, F: Tensor) -> Tensor:
    P = ops.small_matmul(U * principal[..., None, :], V, transpose_b=True)
    return ops.small_matmul(P, F, transpose_b=True)


def _check_size(law: nn.Module, F: Tensor, d: int) -> None:
    if F.ndim < 2 or F.shape[-2:] != (d, d):
        raise ValueError(f"{type(law).__name__}: expected F of shape (..., {d}, {d}), got {tuple(F.shape)}")
