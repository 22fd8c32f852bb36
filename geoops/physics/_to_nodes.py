"""Averages of what particles carry at the nodes of a grid."""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from ._mpm import Box


def to_nodes(
    x: Float[Tensor, "scenes particles d"],
    value: Float[Tensor, "scenes particles channels"],
    mass: Float[Tensor, "*#scenes particles"],
    box: Box,
) -> Float[Tensor, "scenes nodes channels"]:
    r"""Returns $\sum_p w_{ip} m_p a_p / \sum_p w_{ip} m_p$ at the nodes i of a box, with quadratic B-splines w; 0 where there
    is no mass.

    Args:
        x: positions inside of the box.
        value: a, what particles carry; differentiable.
        mass: m.
        box: its nodes are counted from -1 to cells + 1 along each axis.
    """
    d = x.shape[-1]
    with torch.no_grad():
        s = x / box.dx
        base = (s - 0.5).floor()
        f = s - base
        spline = torch.stack([0.5 * (1.5 - f).square(), 0.75 - (f - 1).square(), 0.5 * (f - 0.5).square()], -2)
        near = torch.tensor(list(product(range(3), repeat=d)), device=x.device)
        weight = mass.expand(x.shape[:-1])[..., None]
        for a in range(d):
            weight = weight * spline[..., near[:, a], a]
        node = torch.arange(len(x), device=x.device)[:, None, None]
        for a in range(d):
            node = node * (box.cells[a] + 3) + base[..., None, a].long() + near[:, a] + 1
        count = 1
        for n in box.cells:
            count *= n + 3
        total = x.new_zeros(len(x) * count).index_add_(0, node.flatten(), weight.flatten())
    brings = weight[..., None] * value[..., None, :]
    sums = x.new_zeros(len(x) * count, value.shape[-1]).index_add(0, node.flatten(), brings.flatten(0, 2))
    return (sums / torch.where(total > 0, total, 1.0)[:, None]).view(len(x), count, -1)
