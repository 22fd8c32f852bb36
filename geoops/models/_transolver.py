"""Transolver: attention among learned slices of the points, made continuous in the query."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes
from geoops.layers import PhysicsAttention, mlp
from geoops.layers import activation as make_activation
from geoops.models._network import Network


class Block(nn.Module):
    """Physics attention and a two-layer network, each after layer normalisation and with a residual."""

    def __init__(self, hidden: int, heads: int, slices: int, mlp_ratio: float, activation: str):
        super().__init__()
        self.norm_attention = nn.LayerNorm(hidden)
        self.attention = PhysicsAttention(hidden, heads, slices)
        self.norm_mlp = nn.LayerNorm(hidden)
        self.mlp = mlp([hidden, round(mlp_ratio * hidden), hidden], activation)

    def forward(
        self,
        h: Float[Tensor, "shapes points hidden"],
        mask: Bool[Tensor, "shapes points"] | None,
        tokens: Float[Tensor, "shapes heads slices width"] | None = None,
    ) -> tuple[Float[Tensor, "shapes points hidden"], Float[Tensor, "shapes heads slices width"]]:
        """Makes tokens from the points where none are given; returns points and tokens."""
        g = self.norm_attention(h)
        weights = self.attention.weights(g)
        if tokens is None:
            tokens = self.attention.tokens(g, weights, mask)
        h = h + self.attention.read(weights, tokens)
        return h + self.mlp(self.norm_mlp(h)), tokens


@final
class Transolver(Network):
    r"""The Transolver of Wu et al. (arXiv 2402.02366), with queries anywhere.

    Nodes run through all layers as published; each layer's slice tokens, after their attention, are the code of the
    shape. Queries run through the same layers and read these tokens, so that they do not see each other, and at the
    nodes the result is the published network's. Without query points both happen in one pass.

    Args:
        sizes: channel counts of the data.
        hidden: channels of the points.
        layers: number of blocks.
        slices: slice tokens per head.
        heads: attention heads, must divide `hidden`.
        mlp_ratio: width of the networks in the blocks over `hidden`.
        query_sdf: append the signed distance to positions, at nodes and at queries.
        node_inputs: let the nodes see the input fields. Queries have none, so that the result at the nodes then differs
            from the one-pass network.
        activation: ``gelu``, ``relu`` or ``silu``.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        hidden: int = 128,
        layers: int = 8,
        slices: int = 64,
        heads: int = 8,
        mlp_ratio: float = 1.0,
        query_sdf: bool = True,
        node_inputs: bool = False,
        activation: str = "gelu",
    ):
        super().__init__(sizes)
        if hidden % heads:
            raise ValueError(f"heads must divide hidden, got hidden={hidden} and heads={heads}")
        self.query_sdf = query_sdf
        features = sizes.dim + query_sdf + sizes.globals
        self.preprocess = nn.Sequential(nn.Linear(features, 2 * hidden), make_activation(activation), nn.Linear(2 * hidden, hidden))
        self.placeholder = nn.Parameter(torch.rand(hidden) / hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads, slices, mlp_ratio, activation) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, sizes.outputs))
        self.apply(_initialise)
        self.node_inputs = nn.Linear(sizes.inputs, hidden, bias=False) if node_inputs else None

    def encode(self, shapes: Shapes) -> dict[str, Tensor]:
        """Returns the slice tokens of all layers, stacked on the second axis, and the global parameters."""
        return {"tokens": torch.stack(self._nodes(shapes)[1], 1), "mu": shapes.mu}

    def decode(
        self,
        code: dict[str, Tensor],
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""
        h = self._lift(pos, sdf, code["mu"])
        for block, tokens in zip(self.blocks, code["tokens"].unbind(1), strict=True):
            h, _ = block(h, None, tokens)
        return self.head(h)

    def forward(
        self,
        shapes: Shapes,
        pos: Float[Tensor, "shapes queries dim"] | None = None,
        sdf: Float[Tensor, "shapes queries 1"] | None = None,
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Encodes and decodes; at the nodes (no query points, or exactly the nodes) in a single pass."""
        at_nodes = pos is None or (torch.equal(pos, shapes.pos) and torch.equal(sdf, shapes.sdf))
        if at_nodes and self.node_inputs is None:
            return self.head(self._nodes(shapes)[0])
        return super().forward(shapes, pos, sdf)

    def _nodes(self, shapes: Shapes) -> tuple[Tensor, list[Tensor]]:
        h = self._lift(shapes.pos, shapes.sdf, shapes.mu)
        if self.node_inputs is not None:
            h = h + self.node_inputs(shapes.x)
        kept = []
        for block in self.blocks:
            h, tokens = block(h, shapes.mask)
            kept.append(tokens)
        return h, kept

    def _lift(self, pos: Tensor, sdf: Tensor, mu: Tensor) -> Tensor:
        parts = [pos, sdf] if self.query_sdf else [pos]
        h = torch.cat([*parts, mu[:, None].expand(-1, pos.shape[1], -1)], -1)
        return self.preprocess(h) + self.placeholder


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
