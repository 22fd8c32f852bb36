"""Blocks of graph simulators: messages along edges, gathered at their targets."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from geoops import ops

from ._feedforward import mlp

Spectral = Literal["none", "authors", "ssg"]
Aggregation = Literal["sum", "mean"]

#: Share of a node's own state in simple spectral graph convolution.
RESTART = 0.7


def normal_weights(module: nn.Module) -> None:
    r"""Draws the weights of all linear layers from $N(0, 1 / \mathrm{inputs})$ and sets their biases to 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def simulator_mlp(inputs: int, width: int, outputs: int | None = None) -> nn.Sequential:
    """Returns the network that graph simulators are made of: three linear layers with ReLU, then layer normalisation.

    Args:
        inputs: channels that come in.
        width: channels of the two hidden layers, and those that go out.
        outputs: channels that go out if they are others; there is no normalisation then, as in decoders.
    """
    net = mlp([inputs, width, width, width if outputs is None else outputs], "relu")
    if outputs is None:
        net.append(nn.LayerNorm(width))
    normal_weights(net)
    return net


class InteractionBlock(nn.Module):
    r"""One step of message passing over edges from j to i.

    $$m_{ij} = \phi(h_i, h_j, e_{ij}), \quad \bar m_i = \mathrm{agg}_j\, w_{ij} m_{ij}, \quad
    h_i \leftarrow h_i + \psi(h_i, \bar m_i) + S(h)_i, \quad e_{ij} \leftarrow e_{ij} + m_{ij}$$

    The sum over neighbours with $w = 1$ and without $S$ is the block of graph network simulators (Sanchez-Gonzalez et al. 2020).
    The mean with $w_{ij} = 1 / (1 + |x_j - x_i| / r)$ depends less on how dense the particles are (Viswanath et al. 2024).
    $S$ is meant to be a step of simple spectral graph convolution,
    $S(h) = W (0.7\, h + 0.3\, \tilde D^{-1/2} (A + 1) \tilde D^{-1/2} h)$, which ``ssg`` is; ``authors`` is
    $S(h) = W (0.7\, h)$, which is what the published code computes on any symmetric graph.

    Args:
        width: channels of nodes and of edges.
        aggregation: how messages are gathered; a node without edges gets 0.
        weighted: whether messages have the weight w; without it w = 1.
        spectral: kind of S; "none" for no such term.

    Raises:
        ValueError: an option is not known.

    Source: Viswanath et al. 2024, arXiv 2407.03925; Zhu and Koniusz 2021, "Simple spectral graph convolution".
    """

    def __init__(self, width: int, aggregation: Aggregation = "mean", *, weighted: bool = True, spectral: Spectral = "none"):
        super().__init__()
        if aggregation not in ("sum", "mean"):
            raise ValueError(f'InteractionBlock: expected aggregation "sum" or "mean", got {aggregation!r}')
        if spectral not in ("none", "authors", "ssg"):
            raise ValueError(f'InteractionBlock: expected spectral "none", "authors" or "ssg", got {spectral!r}')
        self.width, self.aggregation, self.weighted, self.spectral = width, aggregation, weighted, spectral
        self.message = simulator_mlp(3 * width, width)
        self.update = simulator_mlp(2 * width, width)
        self.mix = None if spectral == "none" else nn.Linear(width, width)
        if self.mix is not None:
            normal_weights(self.mix)

    def forward(
        self,
        h: Float[Tensor, "nodes width"],
        e: Float[Tensor, "edges width"],
        edge_index: Int[Tensor, "2 edges"],
        distance: Float[Tensor, " edges"] | None = None,
    ) -> tuple[Float[Tensor, "nodes width"], Float[Tensor, "edges width"]]:
        """Returns the new states of nodes and of edges.

        Args:
            h: states of nodes.
            e: states of edges.
            edge_index: source j and target i of each edge, in any order.
            distance: length of each edge in radii, which weighted messages need.

        Raises:
            ValueError: messages are weighted and there is no distance.
        """
        source, target = edge_index
        m = self._messages(h, e, source, target)
        gathered = m
        if self.weighted:
            if distance is None:
                raise ValueError("InteractionBlock: weighted messages need the distance of each edge; pass it, or weighted=False")
            gathered = m / (1 + distance)[:, None]
        gathered = ops.scatter(gathered, target, 0, len(h), self.aggregation, check_indices=False)
        new = h + self.update(torch.cat([h, gathered], -1))
        if self.mix is not None:
            new = new + self.mix(self._smoothed(h, source, target))
        return new, e + m

    def _messages(self, h: Tensor, e: Tensor, source: Tensor, target: Tensor) -> Tensor:
        # The first layer is linear, and there are fewer nodes than edges: it is applied to nodes before they are gathered.
        first, rest = self.message[0], self.message[1:]
        to, of, along = first.weight.split(self.width, 1)
        hidden = torch.addmm(first.bias, e, along.T)
        ends = h @ torch.cat([to, of]).T
        hidden = hidden.add_(ends[:, : self.width].index_select(0, target)).add_(ends[:, self.width :].index_select(0, source))
        return rest(hidden)

    def _smoothed(self, h: Tensor, source: Tensor, target: Tensor) -> Tensor:
        if self.spectral == "authors":
            return RESTART * h
        other = source != target
        source, target = source[other], target[other]
        ones = h.new_ones(len(target))
        degree = 1 + ops.scatter(ones, target, 0, len(h), check_indices=False)
        root = degree.rsqrt()
        near = ops.edge_sum(h, root[source] * root[target], source, target, len(h)) + h / degree[:, None]
        return RESTART * h + (1 - RESTART) * near
