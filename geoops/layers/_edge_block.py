"""A message passing block that does not see how densely a body is sampled."""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor, nn

from geoops import ops


@final
class EdgeBlock(nn.Module):
    r"""A weighted mean of messages from the neighbours, and a point-wise network, each beside the identity.

    $$m_i = W \sum_j \frac{w_{ij}}{\sum_k w_{ik}}\, \phi(A\,n_i + B\,n_j + C\,e_{ij}), \qquad n = \mathrm{LN}(h)$$
    $$h_i \leftarrow h_i + m_i, \qquad h_i \leftarrow h_i + \psi(\mathrm{LN}(h_i))$$

    The mean makes the block insensitive to the number of neighbours; the last layer of the messages works on their mean,
    once for each node instead of each edge.

    Args:
        width: channels of the nodes.
        edges: features of an edge.
    """

    def __init__(self, width: int, edges: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.target, self.source = nn.Linear(width, width), nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(edges, width, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.mix = nn.Linear(width, width)
        self.update = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(
        self,
        h: Float[Tensor, "nodes width"],
        e: Float[Tensor, "edges features"],
        weight: Float[Tensor, " edges"],
        edge_index: Int[Tensor, "2 edges"],
    ) -> Float[Tensor, "nodes width"]:
        """Returns the nodes; weights of the edges of each node sum to one, or to zero where there are none."""
        source, target = edge_index
        n = self.norm(h)
        z = self.target(n).index_select(0, target) + self.source(n).index_select(0, source) + self.edge(e)
        h = h + self.mix(ops.scatter(weight[:, None] * self.message(z), target, 0, len(h)))
        return h + self.update(h)
