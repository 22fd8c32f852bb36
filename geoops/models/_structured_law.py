"""A stress law and a return map that are a material by construction: isotropic energy, exact projection on a yield set."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops
from geoops.physics import Law

Matrices = Float[Tensor, "*batch d d"]

LEAST_EXPONENT = 1e-3  # smaller ones count as it: the logarithmic strain to 1e-3 of itself

#: Compressions -tr(strain) between which the yield length is linear.
KNOTS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3)


@final
class IsotropicEnergy(Law):
    r"""A stress law from a learned energy of the invariants of the logarithmic strain.

    $$\psi = \mu\,|E_m|^2 + \tfrac{\lambda}{2}\,e_n^2 + (\mu + \lambda)\,s^2
    \left(N(z) - N(0) - z_1\,\partial_1 N(0)\right), \qquad
    E_m = \frac{\exp(m h) - 1}{m}, \quad e_n = \frac{\exp(n\,\mathrm{tr}\,h) - 1}{n}, \qquad
    z = \left(\frac{i_1}{s}, \frac{i_2}{s^2}, \frac{i_3}{s^3}\right)$$
    $$\tau = 2 \mu\,E_m \exp(m h) + \lambda\,e_n \exp(n\,\mathrm{tr}\,h)\,1
    + (\mu + \lambda)\,s^2 \left(\left(\tfrac{\partial N}{\partial i_1} - \tfrac{\partial N}{\partial i_1}(0)\right) 1
    + 2\,\tfrac{\partial N}{\partial i_2}\,e + \tfrac{\partial N}{\partial i_3}\,\mathrm{dev}(e^2)\right)$$

    with the strain $h = \tfrac12 \log F F^T$, its deviator e, and $i_1 = \mathrm{tr}\,h$, $i_2 = |e|^2$, $i_3 = \det e$ (three
    dimensions only). The first two terms are quadratic in strains of Seth and Hill, whose exponents m and n are learned like
    the moduli; they carry what is extrapolated. N is a network with two hidden layers for what they leave. Moduli are learned
    as logarithms, so that outputs have the scale of the material. By construction the stress is symmetric, derives from an
    energy, is isotropic, turns with the material and vanishes at rest, so angular momentum is conserved.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        modulus: first guess of both moduli, in the unit of stress.
        exponent: first guess of both exponents.
        strain: s, a typical strain.

    Raises:
        ValueError: matrices are of another size, or a constant is out of range.

    Source of the strains: Hill 1968, "On constitutive inequalities for simple materials".
    """

    courant = 0.7  # as `geoops.physics.ElasticLaw.courant`

    def __init__(self, dim: int = 3, hidden: int = 32, modulus: float = 1e5, exponent: float = 0.5, strain: float = 0.1):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"IsotropicEnergy: expected dim of 2 or 3, got {dim}")
        if not (modulus > 0 and strain > 0):
            raise ValueError(f"IsotropicEnergy: expected modulus > 0 and strain > 0, got {modulus} and {strain}")
        self.dim, self.hidden, self.strain = dim, hidden, strain
        self.log_moduli = nn.Parameter(torch.full((2,), modulus).log())
        self.exponents = nn.Parameter(torch.full((2,), exponent))
        self.first, self.second = nn.Linear(dim, hidden), nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1, bias=False)
        nn.init.normal_(self.last.weight, std=1e-2 / hidden**0.5)

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        if F.ndim < 2 or F.shape[-2:] != (self.dim, self.dim):
            raise ValueError(f"IsotropicEnergy: expected F of shape (..., {self.dim}, {self.dim}), got {tuple(F.shape)}")
        mu, lam = self.log_moduli.to(F.dtype).exp()
        h = ops.log_strain(F)
        E, grown, e_n, volume = self._strains(h)
        z, e, square = self._invariants(h)
        slopes = self._slopes(torch.cat([z.reshape(-1, self.dim), z.new_zeros(1, self.dim)]))  # the last is that at rest
        n = (mu + lam) * self.strain * slopes[:-1].view(z.shape)
        pressure = lam * e_n * volume + n[..., 0] - (mu + lam) * self.strain * slopes[-1, 0]
        tau = 2 * (mu * ops.small_matmul(E, grown) + n[..., 1, None, None] * e)
        if self.dim == 3:
            pressure = pressure - n[..., 2] * z[..., 1] / 3  # dev(e^2) = e^2 - |e|^2 / 3
            tau = tau + n[..., 2, None, None] * square
        return tau + _isotropic(pressure, F)

    def energy(self, F: Matrices) -> Float[Tensor, "*batch"]:
        r"""Returns the energy $\psi(F)$ per undeformed volume."""
        mu, lam = self.log_moduli.to(F.dtype).exp()
        h, rest = ops.log_strain(F), F.new_zeros(1, self.dim)
        E, _, e_n, _ = self._strains(h)
        z = self._invariants(h)[0]
        net = self._net(z) - self._net(rest[0]) - z[..., 0] * self._slopes(rest)[0, 0]
        return mu * E.square().sum((-2, -1)) + lam / 2 * e_n.square() + (mu + lam) * self.strain**2 * net

    def wave_speed(self, density: float) -> float:
        r"""Returns the speed of pressure waves at rest, $\sqrt{(\partial\tau_{11}/\partial F_{11})/\rho}$; 0 if there are none."""
        h = 1e-4  # stretch of the central difference: six digits are enough, and no graph is needed
        F = torch.eye(self.dim, dtype=torch.float64, device=self.last.weight.device).repeat(2, 1, 1)
        F[:, 0, 0] += torch.tensor([h, -h], dtype=F.dtype, device=F.device)
        with torch.no_grad():
            up, down = self(F)[:, 0, 0].tolist()
        return (max(up - down, 0.0) / (2 * h) / density) ** 0.5

    @torch.no_grad()
    def relax(self, share: float) -> None:
        """Takes a share of what the network says away, which a training takes back where the motion wants it."""
        self.last.weight *= 1 - share

    def _strains(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns E_m and exp(m h), e_n and exp(n tr h); in double precision on the way, as small exponents cancel digits."""
        m, n = torch.where(self.exponents.abs() < LEAST_EXPONENT, LEAST_EXPONENT, self.exponents).double()
        wide = h.double()
        one = torch.eye(self.dim, dtype=wide.dtype, device=h.device)
        grown = ops.exp_strain(m * wide, one.expand(wide.shape))
        t = n * wide.diagonal(dim1=-2, dim2=-1).sum(-1)
        kind = h.dtype
        return ((grown - one) / m).to(kind), grown.to(kind), (torch.expm1(t) / n).to(kind), torch.exp(t).to(kind)

    def _invariants(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns z, and of the strain in units of s the deviator and (in three dimensions) its square."""
        i1, e = _split(h / self.strain)
        invariants, square = [i1, e.square().sum((-2, -1))], e
        if self.dim == 3:
            square = ops.small_matmul(e, e)
            invariants.append((square * e).sum((-2, -1)) / 3)  # det e = tr(e^3) / 3, as tr e = 0
        return torch.stack(invariants, -1), e, square

    def _net(self, z: Tensor) -> Tensor:
        return (2 * self._halves(z)[1] - 1) @ self.last.weight[0].to(z.dtype)

    def _slopes(self, z: Tensor) -> Tensor:
        """Returns the gradient of the network, written out so that training needs first derivatives only."""
        p, q = self._halves(z)
        back = nn.functional.linear(q - q * q, (4 * self.last.weight.T * self.second.weight).to(z.dtype).T)
        # few rows instead of few columns, which torch multiplies by in a third of the time
        return nn.functional.linear((p - p * p) * back, (4 * self.first.weight).to(z.dtype).T.contiguous())

    def _halves(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (1 + tanh) / 2 in both hidden layers, the logistic function, which takes a ninth of the time of tanh."""
        first, second = self.first, self.second
        p = torch.sigmoid(nn.functional.linear(z, (2 * first.weight).to(z.dtype), (2 * first.bias).to(z.dtype)))
        weight, bias = (4 * second.weight).to(z.dtype), (2 * (second.bias - second.weight.sum(1))).to(z.dtype)
        return p, torch.sigmoid(nn.functional.linear(p, weight, bias))


@final
class YieldProjection(Law):
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

    @torch.no_grad()
    def relax(self, share: float) -> None:
        """Raises the yield length at rest by twice a share, which a training takes back where the motion yields."""
        self.root[0] *= 1 + share

    def length(self, t: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Returns the yield length of traces of the strain."""
        knots, size = self.knots.to(t.dtype), self.root.to(t.dtype).square()
        ramps = torch.minimum((-t[..., None] - knots[:-1]).clamp_min(0), knots.diff())
        return size[0] + ramps @ size[1:]

    def forward(self, F: Matrices) -> Matrices:
        """Returns admissible deformation gradients of trial ones."""
        t, e = _split(ops.log_strain(F))
        length = e.square().sum((-2, -1)).clamp_min(torch.finfo(F.dtype).tiny ** 0.5).sqrt()
        cut = (self.length(t) / length - 1).clamp_max(0)
        drop = self.forgets.to(F.dtype).clamp(0, 1) / F.shape[-1] * t.clamp_min(0)
        return ops.exp_strain(cut[..., None, None] * e - _isotropic(drop, F), F)


def _split(h: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the trace and the deviator."""
    t = h.diagonal(dim1=-2, dim2=-1).sum(-1)
    return t, h - _isotropic(t / h.shape[-1], h)


def _isotropic(value: Tensor, like: Tensor) -> Tensor:
    return value[..., None, None] * torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)
