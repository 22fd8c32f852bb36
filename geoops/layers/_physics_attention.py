"""Attention among learned slices of the points of a shape."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ._feedforward import mlp


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


@final
class SliceTokens(nn.Module):
    """Learned physics tokens of a shape, latents without a place, that add to what points received elsewhere.

    The nodes of the shape form the tokens; points are assigned to slices by what they know already. In contrast to posed
    latents the tokens can gather what belongs together wherever it lies.

    Args:
        features: channels of a node.
        hidden: channels of the tokens of all heads.
        content: channels of a point, before and after.
        heads: number of heads, must divide `hidden`.
        slices: tokens per head.
    """

    def __init__(self, features: int, hidden: int, content: int, heads: int, slices: int):
        super().__init__()
        if slices < 1 or hidden % heads:
            raise ValueError(f"slices must be positive and heads divide hidden, got {slices}, {heads} and {hidden}")
        self.lift = mlp([features, hidden, hidden])
        self.norm_nodes = nn.LayerNorm(hidden)
        self.norm_points = nn.LayerNorm(content)
        self.project = nn.Linear(content, hidden)
        self.attention = PhysicsAttention(hidden, heads, slices)
        self.expand = nn.Linear(hidden, content)

    def tokens(
        self, nodes: Float[Tensor, "shapes nodes features"], mask: Bool[Tensor, "shapes nodes"]
    ) -> Float[Tensor, "shapes heads slices width"]:
        """Returns the tokens of shapes."""
        h = self.norm_nodes(self.lift(nodes))
        return self.attention.tokens(h, self.attention.weights(h), mask)

    def forward(
        self, y: Float[Tensor, "shapes points content"], tokens: Float[Tensor, "shapes heads slices width"]
    ) -> Float[Tensor, "shapes points content"]:
        """Returns the points with what they read from the tokens."""
        weights = self.attention.weights(self.project(self.norm_points(y)))
        return y + self.expand(self.attention.read(weights, tokens))
