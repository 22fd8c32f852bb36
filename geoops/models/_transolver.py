"""Transolver: attention among learned slices of the points, made continuous in the query."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes
from geoops.layers import activation as make_activation
from geoops.layers import mlp
from geoops.models._network import Network


class PhysicsAttention(nn.Module):
    r"""Attention among $G$ slice tokens per head (Wu et al., arXiv 2402.02366).

    With soft assignments $w_m = \mathrm{softmax}(W_s x_m / \tau)$ of points to slices, the tokens
    $z_g = \sum_m w_{mg} f_m / \sum_m w_{mg}$ attend to each other and go back, $y_m = \sum_g w_{mg} z'_g$.

    Args:
        hidden: channels of the points.
        heads: number of heads, must divide `hidden`.
        slices: tokens per head.
    """

    def __init__(self, hidden: int, heads: int, slices: int):
        super().__init__()
        width = hidden // heads
        self.heads = heads
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), 0.5))
        self.assign = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.slice = nn.Linear(width, slices)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(width, width, bias=False)
        self.to_v = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(hidden, hidden)

    def weights(self, h: Float[Tensor, "shapes points hidden"]) -> Float[Tensor, "shapes heads points slices"]:
        """Returns the soft assignment of each point to the slices."""
        return (self.slice(self._split(self.assign(h))) / self.temperature).softmax(-1)

    def tokens(
        self,
        h: Float[Tensor, "shapes points hidden"],
        weights: Float[Tensor, "shapes heads points slices"],
        mask: Bool[Tensor, "shapes points"],
    ) -> Float[Tensor, "shapes heads slices width"]:
        """Returns the slice tokens of the points where `mask` is True, after their attention."""
        real = weights * mask[:, None, :, None]
        z = real.mT @ self._split(self.value(h)) / (real.sum(2)[..., None] + 1e-5)
        return F.scaled_dot_product_attention(self.to_q(z), self.to_k(z), self.to_v(z))

    def read(
        self,
        weights: Float[Tensor, "shapes heads points slices"],
        tokens: Float[Tensor, "shapes heads slices width"],
    ) -> Float[Tensor, "shapes points hidden"]:
        """Returns what the points receive from the tokens."""
        return self.out((weights @ tokens).transpose(1, 2).flatten(2))

    def _split(self, h: Tensor) -> Tensor:
        return h.unflatten(-1, (self.heads, -1)).transpose(1, 2)


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
