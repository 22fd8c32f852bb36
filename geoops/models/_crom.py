"""A neural field of few numbers, which an encoder finds from the samples."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.geometry import BodyBox, mean_of_bodies
from geoops.layers import mlp

from ._decoder import Decoder


@final
@dataclass(frozen=True)
class _Start:
    samples: Float[Tensor, "samples dim"]
    queries: Float[Tensor, "queries dim"]
    bodies: tuple[Int[Tensor, " samples"], Int[Tensor, " queries"], int]
    size: Float[Tensor, " bodies"]
    at: Float[Tensor, "samples dim"]
    asked: Float[Tensor, "queries dim"]


@final
class CROM(Decoder):
    r"""Places queries by a neural field with few latent numbers.

    $$\frac{u(X) - \bar u}{L} = g(\xi, z) - g(\xi, z_0), \qquad z = \mathrm{MLP}\Big(\frac{1}{n} \sum_i \mathrm{MLP}(\xi_i, (u_i -
      \bar u) / L)\Big)$$

    with coordinates $\xi \in [-1, 1]^d$ of the box of the body at the start, its longest side L, and the mean $\bar u$ of the
    displacements of the samples; $z_0$ is what the encoder says where nothing moves, so that a shift is exact. The latent numbers
    come from the encoder alone: there are no Gauss-Newton steps as in the paper, which would be needed to fit the samples closely.

    Args:
        dim: 2 or 3.
        rank: number of latent numbers.
        hidden: width of the hidden layers, three of the field and two on each side of the mean of the encoder.

    Raises:
        ValueError: an option is out of its bounds, or as in `begin`.

    Source: Chen et al. 2023, "CROM: continuous reduced-order modeling of PDEs using implicit neural representations"; this
    is a small version.
    """

    def __init__(self, dim: int, *, rank: int = 12, hidden: int = 64):
        super().__init__(dim)
        if rank < 1 or hidden < 1:
            raise ValueError(f"CROM: expected rank >= 1 and hidden >= 1, got {rank} and {hidden}")
        self.each = mlp([2 * dim, hidden, hidden, hidden], "gelu")
        self.code = mlp([hidden, hidden, hidden, rank], "gelu")
        self.field = mlp([dim + rank, hidden, hidden, hidden, dim], "gelu")

    def begin(
        self,
        samples: Float[Tensor, "samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
    ) -> _Start:
        """Returns the coordinates of samples and queries in their box."""
        of_samples, of_queries, count = self.bodies(samples, queries, sample_body, query_body)
        box = BodyBox.around(samples, of_samples, count)
        at, asked = (2 * box.unit(x, b).clamp(-0.1, 1.1) - 1 for x, b in ((samples, of_samples), (queries, of_queries)))
        return _Start(samples, queries, (of_samples, of_queries, count), box.size, at, asked)

    def place(
        self, state: _Start, samples: Float[Tensor, "frames samples dim"]
    ) -> tuple[Float[Tensor, "frames queries dim"], _Start]:
        """Returns positions of the queries in each frame."""
        of_samples, of_queries, count = state.bodies
        u = samples - state.samples
        mean = mean_of_bodies(u, of_samples, count)
        u = (u - mean[:, of_samples]) / state.size[of_samples, None]
        moved = self._field(state, u) - self._field(state, torch.zeros_like(state.at)[None])
        return state.queries + mean[:, of_queries] + state.size[of_queries, None] * moved, state

    def _field(self, state: _Start, u: Tensor) -> Tensor:
        of_samples, of_queries, count = state.bodies
        each = self.each(torch.cat([state.at.expand_as(u), u], -1))
        z = self.code(mean_of_bodies(each, of_samples, count))[:, of_queries]
        return self.field(torch.cat([state.asked.expand(len(z), -1, -1), z], -1))
