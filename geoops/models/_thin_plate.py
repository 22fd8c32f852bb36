"""The smoothest displacement that interpolates all samples of a body."""

from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._decoder import Decoder, DecoderStart

#: Added to the diagonal in normalised coordinates, so that coincident and collinear samples have a solution.
_RIDGE = 1e-10


class _Body(NamedTuple):
    samples: Int[Tensor, " some"]
    queries: Int[Tensor, " others"]
    factors: tuple[Tensor, Tensor]
    rows: Float[Tensor, "others unknowns"]


_Bodies = list[_Body]


@final
class ThinPlate(Decoder):
    r"""Places queries by the interpolant of the displacements of all samples that bends least.

    $$u(X) = \sum_i \lambda_i\,\phi(|X - X_i|) + A X + b, \qquad \sum_i \lambda_i = 0, \quad \sum_i \lambda_i X_i^T = 0$$

    with $\phi(r) = r^2 \log r$ in 2D (thin plate) and $\phi(r) = -r$ in 3D (its polyharmonic relative). Exact for affine motion;
    no parameters. The start costs $n^3$ for n samples of a body and a query costs n, so it is for some thousand samples at most.
    Equations are solved in float64.

    Args:
        dim: 2 or 3.

    Raises:
        ValueError: as in `begin`.

    Source: Duchon 1977, "Splines minimizing rotation-invariant semi-norms in Sobolev spaces".
    """

    def prepare(self, start: DecoderStart) -> _Bodies:
        """Returns the factorised equations of each body."""
        samples, queries, bodies = start.samples, start.queries, []
        for body in range(start.bodies):
            mine, asked = (start.sample_body == body).nonzero()[:, 0], (start.query_body == body).nonzero()[:, 0]
            if not len(asked):
                continue
            X, Y = samples[mine].double(), queries[asked].double()
            centre = X.mean(0)
            size = (X - centre).norm(dim=1).amax().clamp_min(torch.finfo(samples.dtype).tiny ** 0.5)
            X, Y = (X - centre) / size, (Y - centre) / size
            A, P = self._kernel(X, X), self._affine(X)
            corner = torch.eye(self.dim + 1, dtype=A.dtype, device=A.device)
            A = torch.cat([torch.cat([A, P], 1), torch.cat([P.mT, -_RIDGE * corner], 1)])
            A.diagonal()[: len(X)] += _RIDGE
            rows = torch.cat([self._kernel(Y, X), self._affine(Y)], 1)
            bodies.append(_Body(mine, asked, torch.linalg.lu_factor(A), rows))
        return bodies

    def move(
        self, start: DecoderStart, own: list[_Body], samples: Float[Tensor, "frames samples dim"]
    ) -> tuple[Tensor, list[_Body]]:
        """Returns positions of the queries in each frame."""
        moved = start.queries.expand(len(samples), -1, -1)
        for body in own:
            u = (samples - start.samples)[:, body.samples].double()
            known = torch.cat([u, u.new_zeros(len(u), self.dim + 1, self.dim)], 1)
            known = known.transpose(0, 1).flatten(1)
            placed = (body.rows @ torch.linalg.lu_solve(*body.factors, known)).unflatten(1, (len(u), self.dim))
            moved = moved.index_add(1, body.queries, placed.transpose(0, 1).to(samples.dtype))
        return moved, own

    def _kernel(self, x: Tensor, y: Tensor) -> Tensor:
        r = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.special.xlogy(r.square(), r) if self.dim == 2 else -r

    def _affine(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.ones_like(x[:, :1])], 1)
