"""Lattices of the unit cube: which nodes are around a point, and with which weights."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def lattice_nodes(
    x: Float[Tensor, "*points dim"], resolution: int
) -> tuple[Int[Tensor, "*points corners"], Float[Tensor, "*points corners"]]:
    """Returns the numbers of the 2^d nodes around each point of the unit cube, and the weights of multilinear interpolation.

    Nodes are numbered row by row, the last axis fastest. Points outside are moved to the nearest face.

    Raises:
        ValueError: there are fewer than two nodes along an axis.
    """
    if resolution < 2:
        raise ValueError(f"lattice_nodes: expected a resolution of at least 2 nodes along each axis, got {resolution}")
    dim = x.shape[-1]
    at = x.clamp(0, 1) * (resolution - 1)
    low = at.detach().floor().clamp(max=resolution - 2)
    part, low = at - low, low.long()
    index, weight = torch.zeros_like(low[..., :1]), torch.ones_like(part[..., :1])
    for axis in range(dim):
        a, t = low[..., axis, None], part[..., axis, None]
        index = torch.cat([index * resolution + a, index * resolution + a + 1], -1)
        weight = torch.cat([weight * (1 - t), weight * t], -1)
    return index, weight


def lattice_points(dim: int, resolution: int) -> Float[Tensor, "nodes {dim}"]:
    """Returns the nodes of the unit cube in the order of `lattice_nodes`, in float64."""
    line = torch.linspace(0, 1, resolution, dtype=torch.float64)
    return torch.stack(torch.meshgrid(*[line] * dim, indexing="ij"), -1).reshape(-1, dim)
