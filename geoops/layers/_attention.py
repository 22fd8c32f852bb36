"""Cross-attention from points to posed latents that sees positions only through a bi-invariant."""

import math
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ._blocks import Blocks
from ._embedding import FourierEmbedding
from ._feedforward import FFN
from ._invariants import BiInvariant
from ._poses import Poses


class Pairs(NamedTuple):
    """What attention needs to know of points and poses; contents of latents play no part, so that it can be reused.

    The second axis counts latents, or the listed neighbours of each point where `index` is given, and `blocks` sorts
    long lists by latent. The batch axis is 1 where points and poses are shared by all shapes.
    """

    query: Float[Tensor, "batch latents points hidden"]
    value: Float[Tensor, "batch latents points hidden"]
    bias: Float[Tensor, "batch latents points 1"]
    index: Int[Tensor, "batch latents points"] | None
    blocks: Blocks | None


@final
class EquivariantAttention(nn.Module):
    r"""Equivariant cross-attention of arXiv 2406.05753, with heads of full width.

    With $r_{mj} = a(x_m, p_j)$ and embeddings $E_q, E_v$,

    $$q_{mj} = W_q E_q(r_{mj}),\quad k_j = W_k a_j,\quad v_j = W_v a_j,$$
    $$\alpha_{mj} = \mathrm{softmax}_j\Big(\frac{\langle q_{mj}, k_j\rangle}{\sqrt H}
    - \frac{\|x_m - p_j\|^2}{\sigma_j^2}\Big)$$

    and $y_m = W_o\,\mathrm{concat}_h \sum_j \alpha_{mj} v_{mj}$. The values are

    * ``film_mlp``: $v_{mj} = \mathrm{Mixer}(v_j (1 + g_{mj}) + b_{mj})$ with $(g, b) = \mathrm{FFN}(E_v(r_{mj}))$,
    * ``film_linear``: $v_{mj} = v_j\,(W_s E_v(r_{mj})) + W_b E_v(r_{mj})$.

    All of it is plain differentiable arithmetic, so that gradients of gradients exist. Linear maps that follow each
    other are multiplied first, and linear maps behind the softmax are applied to the sum over latents, whose weights
    sum to one: the same function for a third of the work.

    With `nearest_k` each point attends to its nearest latents only. A weight that falls to zero at the distance of the
    first latent left out keeps the field continuous, except where a point is as far from its nearest latent as from the
    first one left out (choose at least $2^{dim}$ on grids). Many points are sorted by latent, so that each latent's share is
    one dense product (block-sparse attention); the lists remain those of each point, and the result the same.

    Args:
        hidden: channels $H$ of latents and of each head.
        invariant: the attribute $a$.
        heads: number of heads.
        freq_std: standard deviations of the frequencies of $E_q$ and $E_v$.
        value_mode: ``film_mlp`` or ``film_linear``.
        outputs: channels that $W_o$ returns; the default keeps heads apart, heads times `hidden`.
        nearest_k: number of latents that a point attends to; the default is all.
        activation: of the embeddings.
        content: channels of the content of the points, which adds $W_c y_m$ to their query; 0 means none.

    Raises:
        ValueError: if `value_mode` is unknown or `nearest_k` is not positive.
    """

    def __init__(
        self,
        hidden: int,
        invariant: BiInvariant,
        *,
        heads: int = 2,
        freq_std: tuple[float, float] = (0.5, 0.5),
        value_mode: str = "film_mlp",
        outputs: int | None = None,
        nearest_k: int | None = None,
        activation: str = "gelu",
        content: int = 0,
    ):
        super().__init__()
        if value_mode not in ("film_mlp", "film_linear"):
            raise ValueError(f"value_mode must be 'film_mlp' or 'film_linear', got {value_mode!r}")
        if nearest_k is not None and nearest_k < 1:
            raise ValueError(f"nearest_k must be positive or None, got {nearest_k}")
        wide = heads * hidden
        self.hidden, self.heads, self.nearest_k = hidden, heads, nearest_k
        self.invariant = invariant
        self.query_embedding = FourierEmbedding(invariant.dim, hidden, freq_std[0], activation)
        self.value_embedding = FourierEmbedding(invariant.dim, hidden, freq_std[1], activation)
        self.to_q = nn.Linear(hidden, wide)
        self.to_k = nn.Linear(hidden, wide)
        self.to_v = nn.Linear(hidden, wide)
        if value_mode == "film_mlp":
            self.film = FFN(hidden, hidden, 2 * wide)
            self.mixer = FFN(hidden, hidden, hidden)
        else:
            self.film = nn.Linear(hidden, 2 * wide)
            self.mixer = None
        self.to_content = nn.Linear(content, wide) if content else None
        self.out = nn.Linear(wide, wide if outputs is None else outputs)

    def pairs(
        self,
        x: Float[Tensor, "batch points columns"],
        poses: Poses,
        *,
        axis: Float[Tensor, "batch points space"] | None = None,
        scale: Float[Tensor, "batch points 1"] | None = None,
    ) -> Pairs:
        r"""Returns the part of the attention that depends on geometry only.

        Args:
            x: points, with their side channels behind the spatial columns.
            poses: of the latents.
            axis: orientations of the points, where the bi-invariant needs them.
            scale: windows of the points, in place of those of the latents.
        """
        at, pos, window, frame = x[:, None], poses.pos[:, :, None], poses.window[:, :, None], poses.frame
        index = blocks = None
        frame = None if frame is None else frame[:, :, None]
        square = self.invariant.difference(at, pos).square().sum(-1, keepdim=True)
        bias = -square / (window.square() if scale is None else scale[:, None].square())
        if self.nearest_k is not None and self.nearest_k < pos.shape[1]:
            reach, order = square[..., 0].topk(self.nearest_k + 1, dim=1, largest=False)
            index = order[:, :-1]
            if self.nearest_k * x.shape[1] > self.hidden * pos.shape[1]:
                blocks = Blocks.of(index, pos.shape[1])
            bias = bias.gather(1, index[..., None]) + _taper(reach)[..., None]
            pos = _rows(poses.pos, index)
            frame = None if frame is None else _rows(poses.frame, index)
        r = self.invariant(at, pos, frame, None if axis is None else axis[:, None])
        query = self.query_embedding.hidden_features(r)
        value = self.value_embedding.hidden_features(r)
        if self.mixer is not None:
            weight, offset = _compose(self.film.first, self.value_embedding.second)
            value = F.layer_norm(F.gelu(F.linear(value, weight, offset)), (self.hidden,), eps=self.film.norm.eps)
        return Pairs(query, value, bias, index, blocks)

    def forward(
        self,
        x: Float[Tensor, "points_batch points columns"],
        poses: Poses,
        latents: Float[Tensor, "batch latents hidden"],
        *,
        axis: Float[Tensor, "points_batch points space"] | None = None,
        scale: Float[Tensor, "points_batch points 1"] | None = None,
        mask: Bool[Tensor, "batch latents"] | None = None,
        measure: Float[Tensor, "batch latents 1"] | None = None,
        content: Float[Tensor, "batch points content"] | None = None,
        pairs: Pairs | None = None,
    ) -> Float[Tensor, "batch points outputs"]:
        """Returns what the points receive.

        Args:
            x: points, with their side channels behind the spatial columns.
            poses: of the latents.
            latents: normalised contents of the latents.
            axis: orientations of the points, where the bi-invariant needs them.
            scale: windows of the points, in place of those of the latents.
            mask: True for real latents.
            measure: positive weights of the latents before the softmax, for example sizes of facets.
            content: contents of the points.
            pairs: the result of `pairs` for the same points and poses, where it is known.
        """
        pairs = self.pairs(x, poses, axis=axis, scale=scale) if pairs is None else pairs
        alpha = self.weights(pairs, latents, mask, measure, content)
        value = self.to_v(latents).unflatten(-1, (self.heads, self.hidden))
        many = pairs.value.shape[2] > self.hidden if pairs.index is None else _sorted(pairs, latents)
        mixed = self._values_by_matrix(pairs, value) if many else self._values_by_pair(pairs, value)
        if self.mixer is None:
            y = (alpha[..., None] * mixed).sum(1)
        else:
            mixed = F.layer_norm(F.gelu(mixed), (self.hidden,), eps=self.mixer.norm.eps)
            norm = self.mixer.norm
            y = self.mixer.second((alpha[..., None] * mixed).sum(1) * norm.weight + norm.bias)
        return self.out(y.flatten(-2))

    def weights(
        self,
        pairs: Pairs,
        latents: Float[Tensor, "batch latents hidden"],
        mask: Bool[Tensor, "batch latents"] | None = None,
        measure: Float[Tensor, "batch latents 1"] | None = None,
        content: Float[Tensor, "batch points content"] | None = None,
    ) -> Float[Tensor, "batch listed points heads"]:
        r"""Returns the weights $\alpha$; they sum to one over the second axis."""
        key = self.to_k(latents).unflatten(-1, (self.heads, self.hidden)) / math.sqrt(self.hidden)
        weight, offset = _compose(self.to_q, self.query_embedding.second)
        weight = weight.unflatten(0, (self.heads, self.hidden))
        folded = torch.einsum("bzho,hoi->bzhi", key, weight)
        constant = (key * offset.view(self.heads, self.hidden)).sum(-1)
        if pairs.index is None:
            logits = pairs.query @ folded.mT + constant[:, :, None] + pairs.bias
        elif _sorted(pairs, latents):
            logits = pairs.blocks.multiply(pairs.query, folded.mT, constant) + pairs.bias
        else:
            near = _rows(folded, pairs.index)
            logits = (pairs.query[..., None, :] * near).sum(-1) + _rows(constant, pairs.index) + pairs.bias
        if content is not None:
            extra = self.to_content(content).unflatten(-1, (self.heads, self.hidden))
            extra = torch.einsum("bmho,bzho->bzmh", extra, key)
            if pairs.index is not None:
                extra = extra.gather(1, pairs.index[..., None].expand(*extra.shape[:1], -1, -1, self.heads))
            logits = logits + extra
        if measure is not None:
            logits = logits + _listed(measure.log(), pairs.index)
        if mask is not None:
            logits = logits.masked_fill(~_listed(mask[..., None], pairs.index), -math.inf)
        return logits.softmax(1)

    def _film(self) -> tuple[Tensor, Tensor]:
        """Returns matrix and offset from the values of pairs to scales and shifts."""
        if self.mixer is None:
            return _compose(self.film, self.value_embedding.second)
        norm, second = self.film.norm, self.film.second
        return second.weight * norm.weight, second.bias + second.weight @ norm.bias

    def _values_by_pair(self, pairs: Pairs, value: Tensor) -> Tensor:
        """Scale and shift each pair: right for few points or listed neighbours."""
        scale, shift = F.linear(pairs.value, *self._film()).unflatten(-1, (2, self.heads, self.hidden)).unbind(-3)
        value = _listed(value, pairs.index)
        if self.mixer is None:
            return value * scale + shift
        return self.mixer.first(value * (1 + scale) + shift)

    def _values_by_matrix(self, pairs: Pairs, value: Tensor) -> Tensor:
        """One matrix per latent and head takes pairs to mixed values: right for many points."""
        weight, offset = self._film()
        scale, shift = weight.unflatten(0, (2, self.heads, self.hidden)).unbind(0)
        scale_0, shift_0 = offset.unflatten(0, (2, self.heads, self.hidden)).unbind(0)
        if self.mixer is None:
            matrix = value[..., None] * scale + shift
            constant = value * scale_0 + shift_0
        else:
            first = self.mixer.first
            matrix = (first.weight * value[..., None, :]) @ scale + first.weight @ shift
            constant = F.linear(value * (1 + scale_0) + shift_0, first.weight, first.bias)
        matrix, constant = matrix.flatten(2, 3).mT, constant.flatten(2)
        if pairs.blocks is None:
            mixed = pairs.value @ matrix + constant[:, :, None]
        else:
            mixed = pairs.blocks.multiply(pairs.value, matrix, constant)
        return mixed.unflatten(-1, (self.heads, self.hidden))


def _compose(after: nn.Linear, before: nn.Linear) -> tuple[Tensor, Tensor]:
    """Returns matrix and offset of `after` applied to the result of `before`."""
    return after.weight @ before.weight, after.bias + after.weight @ before.bias


def _sorted(pairs: Pairs, latents: Tensor) -> bool:
    """Says whether lists of latents are sorted, for these shapes and not for one that stands for all."""
    return pairs.blocks is not None and len(pairs.index) == len(latents)


def _taper(reach: Tensor) -> Tensor:
    """Returns the logarithm of a smooth weight, 1 for near latents, 0 at the distance of the first one left out."""
    last = reach[:, -1:]
    room = ((last - reach[:, :-1]) / (0.25 * last).clamp_min(torch.finfo(reach.dtype).tiny)).clamp(0, 1)
    # Where all listed latents are at that distance the floor gives them equal weights.
    return (room * room * (3 - 2 * room)).clamp_min(1e-12).log()


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Returns the rows of (batch, latents, ...) listed in (batch, listed, points); either batch may be 1."""
    batch = max(len(values), len(index))
    start = torch.arange(batch, device=index.device) * (values.shape[1] if len(values) > 1 else 0)
    flat = (index + start[:, None, None]).flatten()
    # Unlike indexing, this has a fast backward.
    return values.flatten(0, 1).index_select(0, flat).unflatten(0, (batch, *index.shape[1:]))


def _listed(values: Tensor, index: Tensor | None) -> Tensor:
    """Returns (batch, latents, ...) with an axis for points, of length 1 where all latents are attended to."""
    return values[:, :, None] if index is None else _rows(values, index)
