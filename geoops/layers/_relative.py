"""Attention that sees positions only as differences, at the cost of plain attention."""

from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from geoops.ops import PAIR_FEATURES, pair_features, relative_attention


class Rotations(nn.Module):
    r"""Unit complex numbers $e^{i \omega_{hc} \cdot x}$ with learned frequencies $\omega_{hc}$, one per head and pair of channels.

    Rotating queries by $x$ and keys by $y$ makes their product depend on $x - y$ alone (rotary positions, arXiv 2104.09864, in
    space instead of along a sequence; the separable form of an equivariant neural field's Fourier features).

    Args:
        dim: spatial dimension.
        heads: attention heads.
        width: channels of a head, even.
        freq_std: standard deviation of the initial frequencies, in radians per unit of length.
    """

    def __init__(self, dim: int, heads: int, width: int, freq_std: float):
        super().__init__()
        if width % 2:
            raise ValueError(f"rotations need an even number of channels per head, got {width}: change hidden or heads")
        self.heads = heads
        self.freq = nn.Parameter(freq_std * torch.randn(dim, heads * width // 2))

    def forward(self, pos: Float[Tensor, "shapes points dim"]) -> Complex[Tensor, "shapes points heads half"]:
        """Returns the rotations at each point."""
        with torch.autocast(pos.device.type, enabled=False):
            angle = (pos @ self.freq.to(pos.dtype)).unflatten(-1, (self.heads, -1))
            return torch.complex(angle.cos(), angle.sin())


class PairGeometry:
    """Where query points and tokens are: what the bias of `RelativeAttention` may see, see `geoops.ops.pair_features`.

    Args:
        x: query points.
        y: token positions.
        normal: token normals; zero where there is none.
        log_weight: logarithm of the token's weight in the softmax (its measure), shared by all queries.
        mask: True for tokens that exist.
    """

    def __init__(
        self,
        x: Float[Tensor, "shapes queries dim"],
        y: Float[Tensor, "shapes tokens dim"],
        normal: Float[Tensor, "shapes tokens dim"],
        log_weight: Float[Tensor, "shapes tokens"] | None,
        mask: Bool[Tensor, "shapes tokens"],
    ):
        self.x, self.y, self.normal = x, y, normal
        self.offset = torch.where(mask, 0.0 if log_weight is None else log_weight, -1e4).to(x.dtype)

    @cached_property
    def features(self) -> Float[Tensor, "5 pairs"]:
        """Pair features, one row each."""
        with torch.no_grad(), torch.autocast(self.x.device.type, enabled=False):
            return pair_features(self.x, self.y, self.normal).flatten(1)

    @cached_property
    def offsets(self) -> Float[Tensor, "1 pairs"]:
        """Offset of the token of each pair."""
        with torch.no_grad():
            return self.offset[:, None, :].expand(-1, self.x.shape[1], -1).reshape(1, -1)


class RelativeAttention(nn.Module):
    r"""Multi-head attention from points to tokens that depends on positions only through $x - y$.

    $$o(x) = W_o\, R(x)^{-1} \sum_j \alpha_j(x)\, R(y_j) W_v t_j, \qquad
      \alpha(x) = \mathrm{softmax}_j\Big(\frac{\langle R(x) W_q h(x),\, R(y_j) W_k t_j\rangle}{\sqrt{c}}
      + b\cdot g(x - y_j, n_j) + \log s_j\Big)$$

    with rotations R (`Rotations`), pair features g (`PairGeometry`) and token measures s. Keys and values are rotated once
    per token, queries and outputs once per query: no network is evaluated per pair.

    Args:
        queries: channels of h.
        tokens: channels of t.
        width: channels of all heads together.
        heads: number of heads; their windows start at widths from the whole domain down to its details.
    """

    def __init__(self, queries: int, tokens: int, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide the width {width}, got {heads}")
        self.heads, self.channels = heads, width // heads
        self.to_q = nn.Linear(queries, width, bias=False)
        self.to_k = nn.Linear(tokens, width, bias=False)
        self.to_v = nn.Linear(tokens, width, bias=False)
        self.to_out = nn.Linear(width, queries)
        bias = torch.zeros(heads, PAIR_FEATURES)
        bias[:, 0] = -torch.logspace(-0.3, 1.5, heads)
        self.bias = nn.Parameter(bias)

    def forward(
        self,
        h: Float[Tensor, "shapes queries channels"],
        t: Float[Tensor, "shapes tokens features"],
        at_h: Complex[Tensor, "shapes queries heads half"],
        at_t: Complex[Tensor, "shapes tokens heads half"],
        pairs: PairGeometry,
    ) -> Float[Tensor, "shapes queries channels"]:
        """Returns the update of the query features."""
        return self.attend(h, *self.rotated_tokens(t, at_t), at_h, pairs)

    def rotated_tokens(
        self, t: Float[Tensor, "shapes tokens features"], at_t: Complex[Tensor, "shapes tokens heads half"]
    ) -> tuple[Float[Tensor, "shapes heads tokens c"], Float[Tensor, "shapes heads tokens c"]]:
        """Returns keys and values; they serve any number of queries."""
        return _turn(self.to_k(t), at_t).transpose(1, 2), _turn(self.to_v(t), at_t).transpose(1, 2)

    def attend(
        self,
        h: Float[Tensor, "shapes queries channels"],
        keys: Float[Tensor, "shapes heads tokens c"],
        values: Float[Tensor, "shapes heads tokens c"],
        at_h: Complex[Tensor, "shapes queries heads half"],
        pairs: PairGeometry,
    ) -> Float[Tensor, "shapes queries channels"]:
        """Returns the update of the query features from keys and values that were prepared."""
        query = _turn(self.to_q(h), at_h)
        with torch.autocast(h.device.type, enabled=False):
            if torch.is_grad_enabled():
                out = self._attend_by_matrices(query, keys, values, pairs)
            else:
                out = relative_attention(query, keys, values, pairs.x, pairs.y, pairs.normal, pairs.offset, self.bias)
            out = _turn(out.flatten(2), at_h.conj())
        return self.to_out(out.flatten(2))

    def _attend_by_matrices(self, query: Tensor, keys: Tensor, values: Tensor, pairs: PairGeometry) -> Tensor:
        """Does the same with all weights in memory, which makes the derivatives cheaper."""
        shapes, count = query.shape[:2]
        query, keys, values = (_heads_first(part) for part in (query.transpose(1, 2), keys, values))
        bias = torch.addmm(pairs.offsets, self.bias, pairs.features).view(self.heads * shapes, count, keys.shape[1])
        weights = torch.baddbmm(bias, query, keys.mT, alpha=self.channels**-0.5).softmax(-1)
        return torch.bmm(weights, values).view(self.heads, shapes, count, self.channels).permute(1, 2, 0, 3)


class RelativeBlock(nn.Module):
    """Pre-norm transformer block around `RelativeAttention`, with a feed-forward network.

    Args:
        channels: of the points' features.
        tokens: channels of the tokens; None for attention among the points themselves.
        heads: attention heads.
        ratio: hidden width of the feed-forward network over `channels`.
    """

    def __init__(self, channels: int, tokens: int | None, heads: int, ratio: int = 2):
        super().__init__()
        self.norm_in = nn.LayerNorm(channels)
        self.attention = RelativeAttention(channels, tokens or channels, channels, heads)
        self.norm_mid = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, ratio * channels)
        self.narrow = nn.Linear(ratio * channels, channels)

    def forward(
        self,
        h: Float[Tensor, "shapes queries channels"],
        t: Float[Tensor, "shapes tokens features"] | None,
        at_h: Complex[Tensor, "shapes queries heads half"],
        at_t: Complex[Tensor, "shapes tokens heads half"],
        pairs: PairGeometry,
    ) -> Float[Tensor, "shapes queries channels"]:
        """Returns the new features; without tokens the points attend to each other."""
        normed = self.norm_in(h)
        h = h + self.attention(normed, normed if t is None else t, at_h, at_t, pairs)
        return self.mix(h)

    def read(
        self,
        h: Float[Tensor, "shapes queries channels"],
        prepared: tuple[Float[Tensor, "shapes heads tokens c"], Float[Tensor, "shapes heads tokens c"]],
        at_h: Complex[Tensor, "shapes queries heads half"],
        pairs: PairGeometry,
    ) -> Float[Tensor, "shapes queries channels"]:
        """Returns the new features from keys and values that `RelativeAttention.rotated_tokens` prepared."""
        return self.mix(h + self.attention.attend(self.norm_in(h), *prepared, at_h, pairs))

    def mix(self, h: Float[Tensor, "shapes queries channels"]) -> Float[Tensor, "shapes queries channels"]:
        """Applies the feed-forward half."""
        return h + self.narrow(F.gelu(self.wide(self.norm_mid(h)), approximate="tanh"))


def _turn(x: Tensor, by: Tensor) -> Tensor:
    """Rotates channel pairs; x (..., heads * c) becomes (..., heads, c)."""
    # Complex arithmetic has no half precision.
    x = x.to(torch.float64 if by.dtype == torch.complex128 else torch.float32)
    pairs = torch.view_as_complex(x.unflatten(-1, (by.shape[-2], by.shape[-1], 2)))
    return torch.view_as_real(pairs * by).flatten(-2)


def _heads_first(x: Tensor) -> Tensor:
    """Returns (shapes, heads, ...) as one batch, heads first as in the bias."""
    return x.transpose(0, 1).flatten(0, 1)
