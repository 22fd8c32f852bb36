"""Relative cross-attention in a separable form: exact, translation invariant, and a plain scaled dot product."""

import math
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ._embedding import FourierFeatures
from ._invariants import BiInvariant, Translation
from ._poses import Poses


@final
class SeparableAttention(nn.Module):
    r"""Equivariant cross-attention whose queries and FiLM factors are linear in Fourier features of $r = x_m - p_j$.

    $$\alpha_{mj} = \mathrm{softmax}_j\Big(\frac{\langle W_q \gamma_q(r) + b_q, k_j\rangle}{\sqrt H}
    - \frac{\|r\|^2}{\sigma_j^2}\Big),\qquad
    v_{mj} = v_j\,(1 + s \sin(\omega r) + c \cos(\omega r)) + W_b \gamma_v(r) + b_b$$

    Here each channel of $v$ has one frequency $\omega$ of $\gamma_v$ and learned amplitudes $s, c$. By the addition
    formulas a feature of $x - p$ is a sum of products of features of $x$ and of $p$, and the Gaussian window is an
    inner product of $(x, \|x\|^2, 1)$ with a function of $p$, so that the whole is ordinary scaled dot-product
    attention with rotated keys and values: $O(M Z H + M H^2)$ instead of $O(M Z H^2)$.

    Arguments as in `EquivariantAttention`.

    Args:
        hidden: channels $H$ of latents and of each head, even.
        invariant: must be `Translation`.
        heads: number of heads.
        freq_std: standard deviations of the frequencies of $\gamma_q$ and $\gamma_v$.
        outputs: channels of the result; the default keeps heads apart.
        content: channels of the content of the points, which adds $W_c y_m$ to their query; 0 means none.

    Raises:
        ValueError: if the invariant is not that of translations.
    """

    def __init__(
        self,
        hidden: int,
        invariant: BiInvariant,
        *,
        heads: int = 2,
        freq_std: tuple[float, float] = (0.5, 0.5),
        outputs: int | None = None,
        content: int = 0,
    ):
        super().__init__()
        if not isinstance(invariant, Translation):
            raise ValueError(f"separable attention needs bi_invariant='translation', got {type(invariant).__name__}")
        wide = heads * hidden
        self.hidden, self.heads = hidden, heads
        self.invariant = invariant
        self.query_features = FourierFeatures(invariant.dim, hidden, freq_std[0])
        self.value_features = FourierFeatures(invariant.dim, hidden, freq_std[1])
        self.to_q = nn.Linear(hidden, wide)
        self.to_k = nn.Linear(hidden, wide)
        self.to_v = nn.Linear(hidden, wide)
        self.gain = nn.Parameter(torch.randn(2, heads, 1, hidden) / math.sqrt(2))
        self.shift = nn.Linear(hidden, wide)
        self.to_content = nn.Linear(content, wide) if content else None
        self.out = nn.Linear(wide, wide if outputs is None else outputs)

    def forward(
        self,
        x: Float[Tensor, "points_batch points columns"],
        poses: Poses,
        latents: Float[Tensor, "batch latents hidden"],
        *,
        scale: Float[Tensor, "points_batch points 1"] | None = None,
        mask: Bool[Tensor, "batch latents"] | None = None,
        measure: Float[Tensor, "batch latents 1"] | None = None,
        content: Float[Tensor, "batch points content"] | None = None,
    ) -> Float[Tensor, "batch points outputs"]:
        """Returns what the points receive; arguments as in `EquivariantAttention`."""
        # Windows are differences of squares here, too fine for mixed precision.
        with torch.autocast(x.device.type, enabled=False):
            dtype = self.to_k.weight.dtype
            content = None if content is None else content.to(dtype)
            return self._attend(x, poses, latents.to(dtype), scale, mask, measure, content)

    def _attend(
        self,
        x: Tensor,
        poses: Poses,
        latents: Tensor,
        scale: Tensor | None,
        mask: Tensor | None,
        measure: Tensor | None,
        content: Tensor | None,
    ) -> Tensor:
        # Only differences count, so that the origin may sit among the latents, where squares lose no digits.
        real = torch.ones_like(poses.window) if mask is None else mask[..., None].to(poses.pos)
        origin = (poses.pos * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        p = poses.pos - origin
        space = x[..., : self.invariant.space] - origin
        x = torch.cat([space, x[..., self.invariant.space :].expand(len(space), -1, -1)], -1)
        query = self._queries(x, scale, content)
        key = self._keys(p, None if scale is not None else poses.window, latents, measure, content is not None)
        sine, cosine = self._waves(self.value_features, p)
        value = self.to_v(latents).unflatten(-1, (self.heads, self.hidden)).transpose(1, 2)
        batch, _, points = value.shape[:3]
        full = (batch, self.heads, points, self.hidden // 2)
        waves = [sine.expand(full), cosine.expand(full)]
        value = torch.cat([value, value * _twice(sine), value * _twice(cosine), *waves], -1)
        bias = None if mask is None else torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -math.inf)
        got = F.scaled_dot_product_attention(
            query.expand(batch, -1, -1, -1), key, value, None if bias is None else bias[:, None, None], scale=1.0
        )
        return self.out(self._turn_back(got, x).transpose(1, 2).flatten(2))

    def _queries(self, x: Tensor, scale: Tensor | None, content: Tensor | None) -> Tensor:
        space = x[..., : self.invariant.space]
        square = space.square().sum(-1, keepdim=True)
        one = torch.ones_like(square)
        near = one if scale is None else (1 / scale.square()).expand(one.shape)
        query = torch.cat([self.query_features(x), one, near * space, near, near * square], -1)
        query = query[:, None].expand(-1, self.heads, -1, -1)
        if content is None:
            return query
        extra = self.to_content(content).unflatten(-1, (self.heads, self.hidden)).transpose(1, 2)
        return torch.cat([query.expand(len(extra), -1, -1, -1), extra], -1)

    def _keys(self, p: Tensor, window: Tensor | None, latents: Tensor, measure: Tensor | None, with_content: bool) -> Tensor:
        key = self.to_k(latents).unflatten(-1, (self.heads, self.hidden)).transpose(1, 2) / math.sqrt(self.hidden)
        folded = key @ self.to_q.weight.unflatten(0, (self.heads, self.hidden))
        constant = (key * self.to_q.bias.view(self.heads, 1, self.hidden)).sum(-1, keepdim=True)
        if measure is not None:
            constant = constant + measure.log()[:, None]
        sine, cosine = self._waves(self.query_features, p)
        of_sine, of_cosine = folded.chunk(2, -1)
        square = p.square().sum(-1, keepdim=True)
        near = torch.ones_like(square) if window is None else 1 / window.square()
        shared = torch.cat([2 * near * p, -near * square, -near], -1)[:, None]
        parts = [
            of_sine * cosine + of_cosine * sine,
            of_cosine * cosine - of_sine * sine,
            constant,
            shared.expand(len(key), self.heads, -1, -1),
        ]
        return torch.cat([*parts, key] if with_content else parts, -1)

    def _waves(self, features: FourierFeatures, p: Tensor) -> tuple[Tensor, Tensor]:
        angles = features.angles(F.pad(p, (0, self.invariant.side)))[:, None]
        return angles.sin(), angles.cos()

    def _turn_back(self, got: Tensor, x: Tensor) -> Tensor:
        """Returns the attended values in the frame of the points, per head."""
        plain, with_sine, with_cosine, sine_p, cosine_p = got.split([self.hidden] * 3 + [self.hidden // 2] * 2, -1)
        angles = self.value_features.angles(x)[:, None]
        sine, cosine = angles.sin(), angles.cos()
        gamma = torch.cat([sine * cosine_p - cosine * sine_p, cosine * cosine_p + sine * sine_p], -1)
        sine, cosine = _twice(sine), _twice(cosine)
        plain = plain + self.gain[0] * (sine * with_cosine - cosine * with_sine)
        plain = plain + self.gain[1] * (cosine * with_cosine + sine * with_sine)
        weight = self.shift.weight.unflatten(0, (self.heads, self.hidden))
        return plain + gamma @ weight.mT + self.shift.bias.view(self.heads, 1, self.hidden)


def _twice(values: Tensor) -> Tensor:
    return torch.cat([values, values], -1)
