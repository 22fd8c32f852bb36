"""What graph simulators see of particles: velocities, distances to walls, and displacements along edges."""

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry._particle_graph import ParticleGraph


def velocities(graph: ParticleGraph) -> Float[Tensor, "particles history dim"]:
    r"""Returns $v_k = x_k - x_{k-1}$ of all frames, in length per frame."""
    return graph.positions.diff(dim=1)


def wall_distances(graph: ParticleGraph) -> Float[Tensor, "particles walls"]:
    r"""Returns distances to the lower and then the upper wall along each axis, in radii, clipped to $[-1, 1]$."""
    low, high = graph.bounds[graph.scene].unbind(-1)
    x = graph.newest
    walls = torch.cat([x - low, high - x], -1) / graph.radius[graph.scene, None]
    return walls.clamp(-1, 1)


def node_features(graph: ParticleGraph, velocities: Float[Tensor, "particles history dim"]) -> Float[Tensor, "particles features"]:
    """Returns the velocities of all frames, the oldest first, and the distances to the walls: (history + 2) dim numbers."""
    return torch.cat([velocities.flatten(1), wall_distances(graph)], -1)


def edge_features(graph: ParticleGraph) -> Float[Tensor, "edges features"]:
    r"""Returns $(x_j - x_i) / r$ of each edge from j to i, and its norm: dim + 1 numbers."""
    source, target = graph.edge_index
    x = graph.newest / graph.radius[graph.scene, None]
    away = x.index_select(0, source) - x.index_select(0, target)
    return torch.cat([away, torch.linalg.vector_norm(away, dim=-1, keepdim=True)], -1)
