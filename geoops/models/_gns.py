"""The graph network simulator, the reference among steppers (Sanchez-Gonzalez et al. 2020)."""

from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers._interaction import InteractionBlock, simulator_mlp
from geoops.layers._particle_features import edge_features, node_features, velocities

from ._stepper import Stepper, StepperSizes


@final
class GNS(Stepper):
    r"""Encodes particles and edges, passes messages by sums, and decodes accelerations.

    $$a = \sigma_a\,\mathrm{dec}(h^{(L)}) + \mu_a, \qquad m_{ij} = \phi(h_i, h_j, e_{ij}), \quad
    h_i \leftarrow h_i + \psi\Big(h_i, \sum_j m_{ij}\Big), \quad e_{ij} \leftarrow e_{ij} + m_{ij}$$

    A particle is described by its normalised velocities, its clipped distances to walls in radii, and an embedding of its
    material; an edge by its displacement in radii and its length. Accelerations do not change when particles and walls are
    moved together.

    Args:
        sizes: what the data fixes.
        width: channels of nodes and edges, and of all hidden layers.
        layers: steps of message passing.
        embedding: channels of the embedding of a material.
        classes: rows of the table of materials; without it as many as there are materials.
        block: "sum" as above; "giorom" takes the mean of messages over 1 + distance and adds W (0.7 h) to a node, which is what
            the authors of GIOROM call GNS in their comparisons.

    Raises:
        ValueError: there are fewer classes than materials, or an option is negative or not known.

    Source: Sanchez-Gonzalez et al. 2020, "Learning to simulate complex physics with graph networks", arXiv 2002.09405.
    """

    def __init__(
        self,
        sizes: StepperSizes,
        *,
        width: int = 128,
        layers: int = 10,
        embedding: int = 16,
        classes: int | None = None,
        block: Literal["sum", "giorom"] = "sum",
    ):
        super().__init__(sizes)
        classes = len(sizes.materials) if classes is None else classes
        if classes < len(sizes.materials):
            raise ValueError(f"GNS: expected at least {len(sizes.materials)} classes, one for each material, got {classes}")
        if width < 1 or layers < 0 or embedding < 0:
            raise ValueError(f"GNS: expected width >= 1, layers >= 0 and embedding >= 0, got {width}, {layers} and {embedding}")
        if block not in ("sum", "giorom"):
            raise ValueError(f'GNS: expected block "sum" or "giorom", got {block!r}')
        self.embedding = nn.Embedding(classes, embedding)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.encode_nodes = simulator_mlp(embedding + (sizes.history + 2) * sizes.dim, width)
        self.encode_edges = simulator_mlp(sizes.dim + 1, width)
        self.blocks = nn.ModuleList(
            InteractionBlock(width, "sum", weighted=False) if block == "sum" else InteractionBlock(width, spectral="authors")
            for _ in range(layers)
        )
        self.decode = simulator_mlp(width, width, sizes.dim)

    def forward(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the acceleration of each particle."""
        seen = node_features(graph, self.scale.velocities(velocities(graph)))
        h = self.encode_nodes(torch.cat([self.embedding(graph.material), seen], -1))
        along = edge_features(graph)
        e = self.encode_edges(along)
        for block in self.blocks:
            h, e = block(h, e, graph.edge_index, along[:, -1])
        return self.decode(h) * self.scale.acceleration_size + self.scale.acceleration_mean
