"""A neural field of few numbers, which an encoder finds from the samples."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import BodyBox, mean_of_bodies
from geoops.layers import mlp

from ._decoder import Decoder, DecoderStart


class _Places(NamedTuple):
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

    needs_training = True

    def __init__(self, dim: int, *, rank: int = 12, hidden: int = 64):
        super().__init__(dim)
        if rank < 1 or hidden < 1:
            raise ValueError(f"CROM: expected rank >= 1 and hidden >= 1, got {rank} and {hidden}")
        self.each = mlp([2 * dim, hidden, hidden, hidden], "gelu")
        self.code = mlp([hidden, hidden, hidden, rank], "gelu")
        self.field = mlp([dim + rank, hidden, hidden, hidden, dim], "gelu")

    def prepare(self, start: DecoderStart) -> _Places:
        """Returns the coordinates of samples and queries in their box."""
        box = BodyBox.around(start.samples, start.sample_body, start.bodies)
        points = ((start.samples, start.sample_body), (start.queries, start.query_body))
        at, asked = (2 * box.unit(x, body).clamp(-0.1, 1.1) - 1 for x, body in points)
        return _Places(box.size, at, asked)

    def move(self, start: DecoderStart, own: _Places, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Places]:
        """Returns positions of the queries in each frame."""
        u = samples - start.samples
        mean = mean_of_bodies(u, start.sample_body, start.bodies)
        u = (u - mean[:, start.sample_body]) / own.size[start.sample_body, None]
        moved = self._field(start, own, u) - self._field(start, own, torch.zeros_like(own.at)[None])
        return start.queries + mean[:, start.query_body] + own.size[start.query_body, None] * moved, own

    def _field(self, start: DecoderStart, own: _Places, u: Tensor) -> Tensor:
        each = self.each(torch.cat([own.at.expand_as(u), u], -1))
        z = self.code(mean_of_bodies(each, start.sample_body, start.bodies))[:, start.query_body]
        return self.field(torch.cat([own.asked.expand(len(z), -1, -1), z], -1))
