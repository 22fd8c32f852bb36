"""Points that flow with the samples around them: for fluids and sand, whose neighbours change."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry import Nearest, Neighbourhood, nearest_samples, neighbourhood, spline_shape
from geoops.layers import mlp

from ._decoder import Decoder, DecoderStart, learned_weights


class _Flow(NamedTuple):
    """Where points are and what they remember; None is what is not known in the first frame."""

    queries: Float[Tensor, "queries dim"]
    velocity: Float[Tensor, "queries dim"] | None  # change of position in the last frame
    samples: Float[Tensor, "samples dim"]
    sample_velocity: Float[Tensor, "samples dim"] | None
    around: Neighbourhood | None
    spline: Float[Tensor, "queries k"] | None  # its coefficients when neighbours were sought
    age: int  # frames since then


@final
class FlowMap(Decoder):
    r"""Moves a query by the velocities of the samples that are around it now.

    $$x_q(t+1) = x_q(t) + v_q, \qquad v_q = \textstyle\sum_i (w_i + \tau_q \gamma_q\,t_i)\,[v_i + \tau_q\,G_q\,(x_q - x_i)]$$

    with $v_i = x_i(t+1) - x_i(t)$, the smooth weights $b_i$ and the gradient $G_q$ of `Neighbourhood` and the spline $t_i$ of
    `spline_shape`, at the positions of frame t, less the part of the spline that an affine fit has. Weights
    $w_i \propto b_i\,\mathrm{softplus}(\mathrm{MLP}(\cdot))$ and the amount $\gamma_q$ of the spline are learned; before training
    they are $b_i$ and `spline`. The share $\tau_q$ of the variance of the $v_i$ that the affine fit explains is 1 for affine
    motion, which is thus exact, and keeps the fit from adding noise where neighbours move each in its own way. With `flip` f, a
    query keeps that part of its own velocity and takes the change of velocity from the samples, as FLIP does:

    $$v_q(t) = (1 - f) \sum_i c_i v_i(t) + f\,\Big[v_q(t-1) + \sum_i c_i (v_i(t) - v_i(t-1))\Big]$$

    It is 0 by default: without the pressure of a grid, errors of FLIP add up to a walk (measured on the four materials of
    `geoops.physics`). Each frame goes on from the one before, so that near the start, and where nothing mixes, decoders in the
    configuration of rest are better.

    Args:
        dim: 2 or 3.
        k: samples around a query, the farthest of which only sets the radius; None for 10 in 2D and 14 in 3D.
        hidden: width of the network of the weights.
        every: frames after which neighbours and spline are sought again; weights follow the motion in every frame.
        flip: f, between 0 (all from the samples) and 1.
        spline: amount of the spline before training.
        affine: whether there is an affine part.

    Raises:
        ValueError: an option is out of its bounds, or as in `begin`.

    Source: Jiang et al. 2015, "The affine particle-in-cell method"; Zhu and Bridson 2005, "Animating sand as a fluid".
    """

    sequential = True

    def __init__(
        self,
        dim: int,
        *,
        k: int | None = None,
        hidden: int = 32,
        every: int = 4,
        flip: float = 0.0,
        spline: float = 0.75,
        affine: bool = True,
    ):
        super().__init__(dim)
        self.k = k if k is not None else 10 if dim == 2 else 14
        if self.k < dim + 3 or every < 1 or not 0 <= flip <= 1:
            raise ValueError(
                f"FlowMap: expected k >= {dim + 3} in {dim}D, every >= 1 and 0 <= flip <= 1, "
                f"got k = {self.k}, every = {every} and flip = {flip}"
            )
        self.every, self.flip, self.spline, self.affine = every, flip, spline, affine
        self.weight = mlp([2 * dim + 2, hidden, hidden, 2], "silu")
        nn.init.zeros_(self.weight[-1].weight)
        nn.init.zeros_(self.weight[-1].bias)

    def prepare(self, start: DecoderStart) -> _Flow:
        """Returns the state before the first frame."""
        return _Flow(start.queries, None, start.samples, None, None, None, 0)

    def move(self, start: DecoderStart, own: _Flow, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Flow]:
        """Returns positions of the queries in the frames that follow."""
        placed = []
        for x in samples:
            own = self._step(start, own, x)
            placed.append(own.queries)
        return torch.stack(placed) if placed else samples.new_empty(0, len(start.queries), self.dim), own

    def _step(self, start: DecoderStart, state: _Flow, x: Tensor) -> _Flow:
        # Where points are decides on the weights, but is not what is learned from.
        at, queries = state.samples.detach(), state.queries.detach()
        around, spline, age = state.around, state.spline, state.age + 1
        if around is None or spline is None or age > self.every:
            around = neighbourhood(at, queries, nearest_samples(at, queries, self.k, start.sample_body, start.query_body))
            spline, age = spline_shape(around), 1
        else:
            around = neighbourhood(at, queries, Nearest(around.index, around.there))
        centred, b = around.centred, around.weight[:, None]
        shift = (centred[:, 0] - around.offset[:, 0])[..., None]  # from the mean of the samples to the query

        def split(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """Returns the mean, the gradient of the affine fit, and the differences from the mean."""
            v = v[around.index]
            mean = b @ v
            return mean[:, 0], (v - mean).mT @ around.slope, v - mean

        def at_queries(mean: Tensor, G: Tensor, v: Tensor) -> Tensor:
            part = share[..., None] * G
            return mean + (part @ shift)[..., 0] + (weights[:, None] @ (v - centred @ part.mT))[:, 0]

        v = x - state.samples
        mean, G, varied = split(v)
        left = varied - centred @ G.mT
        radius = around.radius[:, None]
        vary, unfitted = ((b @ u.square())[:, 0].sum(-1, keepdim=True) for u in (varied, left))
        share = 1 - unfitted / vary.clamp_min(torch.finfo(v.dtype).tiny ** 0.5)
        share = share.clamp(0, 1) if self.affine else torch.zeros_like(share)
        size = (unfitted + 1e-12 * radius.square()).sqrt()
        speed = (size / radius).log().clamp(-10, 10) / 5
        seen = [
            around.offset / radius[..., None],
            left / size[..., None],
            *(u[:, None].expand(*left.shape[:2], 1) for u in (speed, share)),
        ]
        logit, more = self.weight(torch.cat(seen, -1)).unbind(-1)
        amount = share * (self.spline + (around.weight * more).sum(1, keepdim=True))
        weights = learned_weights(around.weight, logit) + amount * spline
        velocity = at_queries(mean, G, varied)
        if self.flip and state.velocity is not None and state.sample_velocity is not None:
            change = velocity - at_queries(*split(state.sample_velocity))
            velocity = (1 - self.flip) * velocity + self.flip * (state.velocity + change)
        moved = start.within(state.queries + velocity)
        return _Flow(moved, moved - state.queries, x, v, around, spline, age)
