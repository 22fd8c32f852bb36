"""Local affine fits of the motion of samples, with learned weights and a learned remainder."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from geoops import ops
from geoops.geometry import Neighbourhood, nearest_samples, neighbourhood, spline_shape
from geoops.layers import mlp

from ._decoder import Decoder, DecoderStart, learned_weights


class _Around(NamedTuple):
    around: Neighbourhood
    centred: Float[Tensor, "queries k dim"]
    spline: Float[Tensor, "queries k"]


@final
class LocalAffine(Decoder):
    r"""Places a query by the affine motion of the samples around it, plus learned parts that vanish where the motion is affine.

    $$u_q = \sum_i w_i\,[u_i + G_q (X_q - X_i)] + \gamma_q \sum_i t_i\,e_i + h_q\,s_q\,R_q\,r_q, \qquad
      (\gamma_q, r_q) = \mathrm{MLP}(\textstyle\sum_i b_i\,p_i,\ \log(1 + s_q))$$

    with samples near at the start, the smooth weights $b_i$ and the gradient $G_q$ of `Neighbourhood`, the spline $t_i$ of
    `spline_shape`, and

    - $e_i$, what the affine fit leaves of the displacement of sample i, and $s_q = (\sum_i b_i |e_i|^2)^{1/2} / h_q$,
    - $p_i = \mathrm{MLP}((X_i - X_q) / h_q,\ R_q^T e_i / (h_q s_q))$, with the rotation $R_q$ of $1 + G_q$,
    - weights $w_i \propto b_i\,\mathrm{softplus}(a \cdot p_i + c)$, positive and with the sum 1.

    Before training $w_i = b_i$ and the MLP gives 0: moving least squares. What is learned is how sharp the weights are, how much
    of the spline is added, and what neither has. Trained or not, affine motion is reproduced, since then $e_i = 0$, so that
    weights do not matter and all else is multiplied by zero; and if the samples are shifted or turned, so are the queries.

    Args:
        dim: 2 or 3.
        k: samples around a query, the farthest of which only sets the radius; None for 10 in 2D and 14 in 3D.
        pair: width of what is computed for each sample around a query.
        hidden: width of the network of amount and remainder.
        remainder: whether there is this network; without it the weights alone are learned.

    Raises:
        ValueError: k is less than d + 3, or as in `begin`.

    Source: the learned kernel is that of Viswanath et al. 2024, "Reduced-order neural operators: learning Lagrangian dynamics
    on highly sparse graphs", arXiv 2407.03925; the affine part is moving least squares (Lancaster and Salkauskas 1981).
    """

    def __init__(self, dim: int, *, k: int | None = None, pair: int = 32, hidden: int = 64, remainder: bool = True):
        super().__init__(dim)
        self.k = k if k is not None else 10 if dim == 2 else 14
        if self.k < dim + 3:
            raise ValueError(f"LocalAffine: expected k >= {dim + 3} in {dim}D, got {self.k}")
        self.pair = nn.Linear(2 * dim, pair)
        self.weight = nn.Linear(pair, 1)
        nn.init.zeros_(self.weight.weight)
        nn.init.zeros_(self.weight.bias)
        self.remainder = mlp([pair + 1, hidden, hidden, dim + 1], "silu") if remainder else None
        if self.remainder is not None:
            nn.init.zeros_(self.remainder[-1].weight)
            nn.init.zeros_(self.remainder[-1].bias)

    def prepare(self, start: DecoderStart) -> _Around:
        """Returns the neighbourhoods at the start."""
        samples, queries = start.samples, start.queries
        around = neighbourhood(samples, queries, nearest_samples(samples, queries, self.k, start.sample_body, start.query_body))
        return _Around(around, around.centred, spline_shape(around))

    def move(self, start: DecoderStart, own: _Around, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Around]:
        """Returns positions of the queries in each frame."""
        around, h, b = own.around, own.around.radius[:, None], own.around.weight[:, None]
        index = around.index
        u = (samples - start.samples).index_select(1, index.reshape(-1)).view(len(samples), *index.shape, self.dim)
        mean = b @ u
        u = u - mean
        G = u.mT @ around.slope
        rest = u - own.centred @ G.mT
        shift = own.centred[:, 0] - around.offset[:, 0]  # from the mean of the samples to the query
        affine = mean[:, :, 0] + (G @ shift[..., None])[..., 0]

        # The root has no derivative at 0; the 1e-6 is taken away at the end, so that affine motion has no remainder.
        s = ((b @ rest.square())[:, :, 0].sum(-1, keepdim=True) / h.square() + 1e-12).sqrt()
        R, _ = ops.polar(G + torch.eye(self.dim, dtype=G.dtype, device=G.device))
        turned = rest @ (R / (h * s)[..., None])
        pairs = silu(self.pair(torch.cat([(around.offset / h[..., None]).expand_as(turned), turned], -1)))
        w = learned_weights(around.weight, self.weight(pairs)[..., 0])
        moved = start.queries + affine + (w[:, :, None] @ rest)[:, :, 0]
        if self.remainder is None:
            return moved, own
        seen = torch.cat([(b @ pairs)[:, :, 0], s.log1p()], -1)
        amount, learned = self.remainder(seen).split([1, self.dim], -1)
        bent = (own.spline[:, None] @ rest)[:, :, 0]
        return moved + amount * bent + h * (s - 1e-6) * (R @ learned[..., None])[..., 0], own
