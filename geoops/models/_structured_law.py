"""A stress law and a return map that are a material by construction: isotropic energy, exact projection on a yield set."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops

Matrices = Float[Tensor, "*batch d d"]

#: Compressions -tr(strain) between which the yield length is linear.
KNOTS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3)


@final
class IsotropicEnergy(nn.Module):
    r"""A stress law from a learned energy of the invariants of the logarithmic strain.

    $$\psi = \mu\,i_2 + \tfrac{\kappa}{2} i_1^2 + (\mu + \kappa)\,s^2 \left(N(z) - N(0) - z_1\,\partial_1 N(0)\right), \qquad
    z = \left(\frac{i_1}{s}, \frac{i_2}{s^2}, \frac{i_3}{s^3}\right)$$
    $$\tau = \frac{\partial\psi}{\partial i_1}\,1 + 2\,\frac{\partial\psi}{\partial i_2}\,e
    + \frac{\partial\psi}{\partial i_3}\,\mathrm{dev}(e^2)$$

    with the strain $h = \tfrac12 \log F F^T$, its deviator e, and $i_1 = \mathrm{tr}\,h$, $i_2 = |e|^2$, $i_3 = \det e$ (three
    dimensions only). N is a network with two hidden layers; $\mu$ and $\kappa$ are learned too, as logarithms, so that
    outputs have the scale of the material. By construction the stress is symmetric, derives from an energy, is isotropic,
    turns with the material and vanishes at rest, so angular momentum is conserved.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        modulus: first guess of both moduli, in the unit of stress.
        strain: s, a typical strain.

    Raises:
        ValueError: matrices are of another size, or a constant is out of range.
    """

    def __init__(self, dim: int = 3, hidden: int = 32, modulus: float = 1e5, strain: float = 0.1):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"IsotropicEnergy: expected dim of 2 or 3, got {dim}")
        if not (modulus > 0 and strain > 0):
            raise ValueError(f"IsotropicEnergy: expected modulus > 0 and strain > 0, got {modulus} and {strain}")
        self.dim, self.hidden, self.strain = dim, hidden, strain
        self.log_moduli = nn.Parameter(torch.full((2,), modulus).log())
        self.first, self.second = nn.Linear(dim, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1, bias=False)
        nn.init.normal_(self.last.weight, std=1e-2 / hidden**0.5)

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        if F.ndim < 2 or F.shape[-2:] != (self.dim, self.dim):
            raise ValueError(f"IsotropicEnergy: expected F of shape (..., {self.dim}, {self.dim}), got {tuple(F.shape)}")
        mu, kappa = self.log_moduli.to(F.dtype).exp()
        one = torch.eye(self.dim, dtype=F.dtype, device=F.device)
        i1, e, i = _invariants(ops.log_strain(F), one)
        s, scale = self.strain, mu + kappa
        powers = s ** torch.arange(1, self.dim + 1, device=F.device, dtype=F.dtype)
        slope = scale * s * s / powers * (self._slope(i / powers) - self._slope_at_rest())
        tau = (kappa * i1 + slope[..., 0])[..., None, None] * one + 2 * (mu + slope[..., 1, None, None]) * e
        if self.dim == 3:
            tau = tau + slope[..., 2, None, None] * _deviator(ops.small_matmul(e, e), one)
        return tau

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        r"""Returns the energy $\psi(F)$ per undeformed volume."""
        mu, kappa = self.log_moduli.to(F.dtype).exp()
        one = torch.eye(self.dim, dtype=F.dtype, device=F.device)
        i1, _, i = _invariants(ops.log_strain(F), one)
        s = self.strain
        z = i / s ** torch.arange(1, self.dim + 1, device=F.device, dtype=F.dtype)
        net = self._net(z) - self._net(torch.zeros_like(z)) - (z * self._slope_at_rest()).sum(-1)
        return mu * i[..., 1] + kappa / 2 * i1.square() + (mu + kappa) * s * s * net

    def wave_speed(self, density: float) -> float:
        r"""Returns the speed of pressure waves at rest, $\sqrt{(\kappa + \frac{2 (d - 1)}{d} \mu)/\rho}$."""
        mu, kappa = (float(m) for m in self.log_moduli.detach().exp())
        return ((kappa + 2 * (self.dim - 1) / self.dim * mu) / density) ** 0.5

    def _net(self, z: Tensor) -> Tensor:
        return self.last(self._layer(self.second, self._layer(self.first, z)))[..., 0]

    def _slope(self, z: Tensor) -> Tensor:
        """Returns the gradient of the network, written out so that training needs first derivatives only."""
        u = self._layer(self.first, z)
        w = self._layer(self.second, u)
        back = ((1 - w * w) * self.last.weight[0].to(z.dtype)) @ self.second.weight.to(z.dtype)
        return ((1 - u * u) * back) @ self.first.weight.to(z.dtype)

    def _slope_at_rest(self) -> Tensor:
        at = self._slope(torch.zeros(1, self.dim, dtype=self.last.weight.dtype, device=self.last.weight.device))[0]
        return at * (torch.arange(self.dim, device=at.device) == 0)

    @staticmethod
    def _layer(linear: nn.Linear, x: Tensor) -> Tensor:
        return torch.tanh(nn.functional.linear(x, linear.weight.to(x.dtype), linear.bias.to(x.dtype)))


@final
class YieldProjection(nn.Module):
    r"""A return map onto a learned yield set in the logarithmic strain.

    With the deviator e of the strain h, t = tr h and $[x]_+ = \max(x, 0)$:

    $$h \mapsto h - \left[1 - \frac{y(t)}{|e|}\right]_+ e - \frac{g\,[t]_+}{d}\,1, \qquad
    y(t) = a_0^2 + \sum_k a_k^2\,\mathrm{clamp}(-t - b_k,\, 0,\, b_{k+1} - b_k)$$

    The yield length y does not fall with compression -t, and $g \in [0, 1]$ is how much of an expansion is forgotten. With
    g of 0 or 1 the map is a projection: applied again it changes nothing. Elastic materials (y beyond all strains), von
    Mises (y constant), Drucker-Prager (y proportional to compression, g = 1) and fluids (y = 0) are members.

    Args:
        start: first guess of the yield length at rest, a strain.
        slope: first guess of its growth with compression.
    """

    knots: Tensor

    def __init__(self, start: float = 0.01, slope: float = 0.1):
        super().__init__()
        if not (start > 0 and slope > 0):
            raise ValueError(f"YieldProjection: expected start > 0 and slope > 0, got {start} and {slope}")
        self.root = nn.Parameter(torch.tensor([start, *[slope] * len(KNOTS)]).sqrt())
        self.forgets = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("knots", torch.tensor([*KNOTS, float("inf")]), persistent=False)

    def length(self, t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Returns the yield length of traces of the strain."""
        knots, size = self.knots.to(t.dtype), self.root.to(t.dtype).square()
        ramps = torch.minimum((-t[..., None] - knots[:-1]).clamp_min(0), knots.diff())
        return size[0] + ramps @ size[1:]

    def forward(self, F: Matrices) -> Matrices:
        """Returns admissible deformation gradients of trial ones."""
        one = torch.eye(F.shape[-1], dtype=F.dtype, device=F.device)
        t, e, i = _invariants(ops.log_strain(F), one)
        length = i[..., 1].clamp_min(torch.finfo(F.dtype).tiny ** 0.5).sqrt()
        cut = (1 - self.length(t) / length).clamp_min(0)
        drop = self.forgets.to(F.dtype).clamp(0, 1) * t.clamp_min(0) / F.shape[-1]
        return ops.exp_strain(-cut[..., None, None] * e - drop[..., None, None] * one, F)


def _invariants(h: Tensor, one: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns tr h, the deviator e, and tr h, |e|^2 and (in three dimensions) det e in one tensor."""
    t = h.diagonal(dim1=-2, dim2=-1).sum(-1)
    e = h - (t / h.shape[-1])[..., None, None] * one
    parts = [t, e.square().sum((-2, -1))]
    if h.shape[-1] == 3:
        parts.append((e[..., 0, :] * torch.linalg.cross(e[..., 1, :], e[..., 2, :])).sum(-1))
    return t, e, torch.stack(parts, -1)


def _deviator(a: Tensor, one: Tensor) -> Tensor:
    return a - (a.diagonal(dim1=-2, dim2=-1).sum(-1) / a.shape[-1])[..., None, None] * one
