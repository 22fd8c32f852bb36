"""How dense samples lie, and moving them apart where they lie too densely."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops import ops

EVEN = {2: math.pi / 3, 3: 32 * math.pi / 105}  # integral of W over the unit disc and ball
FAR = 0.1  # spacings that a sample is moved in a sweep at most
MOST = 96  # neighbours that are looked at


def sample_density(
    x: Float[Tensor, "particles dim"],
    radius: Float[Tensor, " scenes"],
    spacing: Float[Tensor, " scenes"],
    scene: Int[Tensor, " particles"] | None = None,
) -> Float[Tensor, " particles"]:
    r"""Returns how dense the samples around each are: 1 on average where they lie at random in a body, 0.8 where they are even.

    $$\rho_i = \frac{1 + \sum_{j \ne i} W(|x_j - x_i| / r)}{1 + (r / s)^d \int W}, \qquad W(q) = (1 - q^2)^2$$

    Args:
        x: positions.
        radius: r of each scene, up to which others are neighbours.
        spacing: s of each scene, between samples that fill their bodies evenly.
        scene: of each particle, ascending; all are in one unless given.
    """
    r = _of(radius, scene, x)
    return _Pairs(x / r, scene).density(x / r) / _full(x, r, spacing, scene)


def relax_density(
    x: Float[Tensor, "particles dim"],
    most: Float[Tensor, " particles"],
    radius: Float[Tensor, " scenes"],
    spacing: Float[Tensor, " scenes"],
    scene: Int[Tensor, " particles"] | None = None,
    bounds: Float[Tensor, "scenes dim 2"] | None = None,
    sweeps: int = 4,
) -> Float[Tensor, "particles dim"]:
    r"""Moves particles apart where their density is above what is allowed, and returns their positions.

    Each sweep is a step of Newton for the constraints $C_i = \rho_i - \rho_i^{\max} \le 0$, all at once,

    $$\Delta x_i = -\textstyle\sum_j (\lambda_i + \lambda_j) \nabla_i W_{ij}, \qquad
    \lambda_i = C_i^+ / \big(\textstyle\sum_k |\nabla_k C_i|^2 + \epsilon\big),$$

    so that pairs move by the same distance in opposite directions, and the centre of mass stays where walls do not hold particles.
    With `sample_density`, densities are relative.

    Args:
        x: positions.
        most: largest density of each particle.
        radius: of neighbours, one for each scene.
        spacing: between samples that fill their bodies evenly, one for each scene.
        scene: of each particle, ascending; all are in one unless given.
        bounds: lower and upper walls along each axis, behind which no particle is moved.
        sweeps: how many.

    Source: Macklin and Mueller, "Position Based Fluids", ACM Transactions on Graphics 32 (2013).
    """
    r = _of(radius, scene, x)
    full, far = _full(x, r, spacing, scene), FAR * (_of(spacing, scene, x) / r)[:, 0]
    y, pairs = x / r, _Pairs(x / r, scene)
    low, high = (None, None) if bounds is None else (_of(bounds, scene, x) / r[..., None]).unbind(-1)
    for _ in range(sweeps):
        y = pairs.apart(y, full, most, far)
        y = y if low is None else torch.minimum(torch.maximum(y, low), high)
    return y * r


def _of(value: Tensor, scene: Tensor | None, x: Tensor) -> Tensor:
    """Returns what belongs to the scene of each particle."""
    which = value[:1].expand(len(x), *value.shape[1:]) if scene is None else value[scene]
    return which[:, None] if which.ndim == 1 else which


def _full(x: Tensor, r: Tensor, spacing: Tensor, scene: Tensor | None) -> Tensor:
    d = x.shape[1]
    return (1 + EVEN[d] * (r / _of(spacing, scene, x)).pow(d))[:, 0]


class _Pairs:
    """Neighbours in units of the radius, which stay the same during the sweeps."""

    def __init__(self, y: Tensor, scene: Tensor | None):
        self.source, self.target = ops.radius_graph(y, 1.0, scene, loop=False, max_num_neighbors=MOST)

    def _gaps(self, y: Tensor) -> tuple[Tensor, Tensor]:
        gap = y.index_select(0, self.source) - y.index_select(0, self.target)
        return gap, (1 - gap.square().sum(1, keepdim=True)).clamp_min(0)

    def density(self, y: Tensor) -> Tensor:
        """Returns the sum of the weights around each particle."""
        return 1 + ops.scatter(self._gaps(y)[1].square(), self.target, 0, len(y))[:, 0]

    def apart(self, y: Tensor, full: Tensor, most: Tensor, far: Tensor) -> Tensor:
        """Returns positions after one sweep."""
        gap, near = self._gaps(y)
        n, target = len(y), self.target
        density = (1 + ops.scatter(near.square(), target, 0, n)[:, 0]) / full
        excess = (density - most).clamp_min(0)
        slope = 4 * near * gap / full.index_select(0, target)[:, None]
        own = ops.scatter(slope, target, 0, n).square().sum(1)
        size = own + ops.scatter(slope.square().sum(1, keepdim=True), target, 0, n)[:, 0]
        push = excess / (size + 1e-3)
        move = (push.index_select(0, target) + push.index_select(0, self.source))[:, None] * slope
        length = ops.scatter(move, target, 0, n).norm(dim=1)
        fit = (far / length.clamp_min(1e-12)).clamp_max(1)
        fit = torch.minimum(fit.index_select(0, target), fit.index_select(0, self.source))
        return y - ops.scatter(fit[:, None] * move, target, 0, n)
