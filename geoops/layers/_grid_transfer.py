"""Particles to a lattice and back, by the splines of the material point method."""

import math
from dataclasses import dataclass
from itertools import product
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from geoops import ops


@final
@dataclass(frozen=True)
class Stencil:
    """The lattice nodes around each particle.

    Args:
        node: numbers of the nodes, over all scenes.
        weight: of the splines; they sum to one for each particle.
        offset: from the particle to the node, in cells.
        shape: nodes along each axis, the same for all scenes.
        scenes: how many.
    """

    node: Int[Tensor, "particles nodes"]
    weight: Float[Tensor, "particles nodes"]
    offset: Float[Tensor, "particles nodes dim"]
    shape: tuple[int, ...]
    scenes: int

    @classmethod
    def of(
        cls,
        x: Float[Tensor, "particles dim"],
        scene: Int[Tensor, " particles"],
        bounds: Float[Tensor, "scenes dim 2"],
        resolution: int,
    ) -> "Stencil":
        r"""Returns the stencils of quadratic B-splines on cubic lattices that lie over the bounds with a margin of one cell.

        The weight of a node at the distance s cells along an axis is $3/4 - s^2$ for $|s| \le 1/2$ and $(3/2 - |s|)^2 / 2$ up
        to 3/2. Every particle has 3^d nodes; those outside the bounds use the nodes at the border.

        Args:
            x: positions.
            scene: of each particle.
            bounds: lower and upper walls.
            resolution: cells along the longest axis.
        """
        d, scenes = x.shape[1], len(bounds)
        cell = (bounds[..., 1] - bounds[..., 0]).amax(1) / resolution
        # as long along all axes: the lattice of a scene must not depend on the boxes of the others
        shape = (resolution + 3,) * d
        origin = bounds[..., 0] - cell[:, None]
        at = (x - origin[scene]) / cell[scene, None]
        top = x.new_tensor(shape) - 1.5 - 1e-3
        at = torch.minimum(at.clamp_min(0.5 + 1e-3), top)
        base = (at - 0.5).detach().floor()
        s = at - base  # in [0.5, 1.5), from the first of the three nodes
        each = torch.stack([0.5 * (1.5 - s).square(), 0.75 - (s - 1).square(), 0.5 * (s - 0.5).square()], -1)
        corner = torch.tensor(list(product(range(3), repeat=d)), device=x.device)
        weight = math.prod([each[:, a, corner[:, a]] for a in range(d)], start=x.new_ones(()))
        offset = corner.to(x.dtype) - s[:, None]
        index, node = base.long()[:, None] + corner, scene[:, None]
        for a in range(d):
            node = node * shape[a] + index[..., a]
        return cls(node, weight, offset, shape, scenes)

    @property
    def nodes(self) -> int:
        """Nodes of all lattices."""
        return self.scenes * math.prod(self.shape)


@final
class ToLattice(nn.Module):
    r"""A weighted mean around each node with a learned kernel, and how full its surroundings are.

    $$z_m = \frac{\sum_j w_{jm}\,\kappa(y_m - x_j) \odot f_j}{\sum_j w_{jm}}, \qquad \rho_m = \sum_j w_{jm} V_j / h^d$$

    Nodes without particles get zeros.

    Args:
        dim: 2 or 3.
        channels: of the particles and of the lattice, which has one more, the density.
        hidden: width of the kernel's hidden layer.
    """

    def __init__(self, dim: int, channels: int, hidden: int = 32):
        super().__init__()
        self.kernel = _kernel(dim, channels, hidden)

    def forward(
        self, f: Float[Tensor, "particles channels"], fill: Float[Tensor, " particles"], stencil: Stencil
    ) -> Float[Tensor, "scenes channels+1 *lattice"]:
        """Returns the lattices of features f; `fill` is the volume of each particle in cells."""
        w = stencil.weight
        value = (w[..., None] * self.kernel(stencil.offset) * f[:, None]).flatten(0, 1)
        node = stencil.node.flatten()
        weight = torch.cat([w.flatten()[:, None], (w * fill[:, None]).flatten()[:, None]], 1)
        total = ops.scatter(torch.cat([value, weight], 1), node, 0, stencil.nodes)
        mean = total[:, :-2] / (total[:, -2:-1] + 1e-3)
        out = torch.cat([mean, total[:, -1:]], 1).unflatten(0, (stencil.scenes, math.prod(stencil.shape)))
        return out.mT.unflatten(2, stencil.shape)


@final
class FromLattice(nn.Module):
    r"""A weighted mean of the nodes around each particle with a learned kernel.

    $$u_i = \sum_m w_{im}\,\kappa(y_m - x_i) \odot z_m$$

    Args:
        dim: 2 or 3.
        channels: of the lattice and of the particles.
        hidden: width of the kernel's hidden layer.
    """

    def __init__(self, dim: int, channels: int, hidden: int = 32):
        super().__init__()
        self.kernel = _kernel(dim, channels, hidden)

    def forward(self, z: Float[Tensor, "scenes channels *lattice"], stencil: Stencil) -> Float[Tensor, "particles channels"]:
        """Returns the features at the particles."""
        rows = z.flatten(2).mT.flatten(0, 1)
        near = rows.index_select(0, stencil.node.flatten()).unflatten(0, stencil.node.shape)
        return (stencil.weight[..., None] * self.kernel(stencil.offset) * near).sum(1)


def _kernel(dim: int, channels: int, hidden: int) -> nn.Sequential:
    kernel = nn.Sequential(nn.Linear(dim, hidden), nn.SiLU(), nn.Linear(hidden, channels))
    nn.init.normal_(kernel[2].weight, std=0.1 / hidden**0.5)
    nn.init.ones_(kernel[2].bias)
    return kernel
