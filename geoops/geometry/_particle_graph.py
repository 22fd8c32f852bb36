"""Particles with their last positions and the edges between them: what steppers see."""

import copy
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Data

from geoops import ops


@final
class ParticleGraph(Data):
    """Particles of one scene, or of several as a batch of torch_geometric (`Batch.from_data_list`).

    Args:
        positions: last positions, the newest at the end.
        rest: positions at the start of the motion.
        material: a number of the material of each particle.
        radius: edges join particles at most this far from each other, one number for each scene.
        spacing: distance between particles that fill their bodies evenly, one for each scene.
        bounds: lower and upper walls along each axis.
        gravity: change of velocity in a frame, in length per frame squared.
        edge_index: numbers of source and target of each edge, loops included; `joined` finds them.
    """

    positions: Float[Tensor, "particles frames dim"]
    rest: Float[Tensor, "particles dim"]
    material: Int[Tensor, " particles"]
    radius: Float[Tensor, " scenes"]
    spacing: Float[Tensor, " scenes"]
    bounds: Float[Tensor, "scenes dim 2"]
    gravity: Float[Tensor, "scenes dim"]
    edge_index: Int[Tensor, "2 edges"]

    @property
    def newest(self) -> Float[Tensor, "particles dim"]:
        """Positions in the last frame."""
        return self.positions[:, -1]

    @property
    def scenes(self) -> int:
        """How many scenes there are."""
        return len(self.radius)

    @property
    def scene(self) -> Int[Tensor, " particles"]:
        """The scene of each particle, ascending."""
        batch = self.get("batch")
        return batch if batch is not None else self.material.new_zeros(len(self.material))

    def joined(self, most: int | None = None) -> "ParticleGraph":
        """Returns the graph with the edges of its newest positions: all pairs within the radius of their scene, and loops.

        Args:
            most: neighbours of a particle, the nearest, itself among them; None for all.
        """
        graph = self._copy()
        x = self.newest.detach() / self.radius[self.scene, None]
        graph.edge_index = ops.radius_graph(x, 1.0, self.get("batch"), loop=True, max_num_neighbors=most)
        return graph

    def moved(self, newest: Float[Tensor, "particles dim"], most: int | None = None) -> "ParticleGraph":
        """Returns the graph one frame later, with new positions at the end and new edges, as `joined` finds them."""
        graph = self._copy()
        graph.positions = torch.cat([self.positions[:, 1:], newest[:, None]], 1)
        return graph.joined(most)

    def _copy(self) -> "ParticleGraph":
        """Returns a copy that shares its tensors."""
        return copy.copy(self)
