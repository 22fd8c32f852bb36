"""The integral-transform decoder of GIOROM, as published and with a kernel that sees the query."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, final, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops import ops
from geoops.geometry import nearest_samples
from geoops.layers import mlp

from ._decoder import Decoder, DecoderStart

Coordinates = Literal["source", "relative"]


class _Pairs(NamedTuple):
    query: Int[Tensor, " pairs"]
    sample: Int[Tensor, " pairs"]
    share: Float[Tensor, " pairs"]
    still: Float[Tensor, "queries dim"]


@final
class IntegralKernel(Decoder):
    r"""Places a query by the mean of a learned kernel over the samples within a radius at the start.

    $$x_q = \frac{1}{|A(q)|} \sum_{i \in A(q)} \kappa(X_i, x_i), \qquad A(q) = \{i : |X_i - X_q| \le r\}$$

    That is `coords="source"`, as published, where a kernel does not see the query: points with the same samples around them
    fall on one place, and errors do not fall with more samples. With `coords="relative"`, ours,

    $$x_q = X_q + \frac{1}{|A(q)|} \sum_{i \in A(q)} [u_i + r\,\kappa(\delta_i, (u_i - \bar u) / r) - r\,\kappa(\delta_i, 0)],
      \qquad \delta_i = (X_i - X_q) / r$$

    with the mean $\bar u$ of displacements $u_i = x_i - X_i$ in A(q), so that a shift is exact. A query with no sample within
    the radius has the nearest one.

    Args:
        dim: 2 or 3.
        widths: hidden widths of the kernel, with tanh between them. In 3D (128, 256) has 34,691 parameters, (256, 256) 68,355
            and (512, 512) 267,779.
        radius: r, in the unit of the points.
        coords: what the kernel sees.

    Raises:
        ValueError: an option is out of its bounds, or as in `begin`.

    Source: Viswanath et al. 2024, "Reduced-order neural operators: learning Lagrangian dynamics on highly sparse graphs",
    arXiv 2407.03925.
    """

    needs_training = True

    def __init__(self, dim: int, *, widths: Sequence[int] = (128, 256), radius: float = 0.054, coords: Coordinates = "relative"):
        super().__init__(dim)
        if not radius > 0 or coords not in get_args(Coordinates):
            raise ValueError(
                f"IntegralKernel: expected radius > 0 and coords of {', '.join(get_args(Coordinates))}, got {radius} and {coords!r}"
            )
        self.radius, self.coords = radius, coords
        self.kernel = mlp([2 * dim, *widths, dim], "tanh")

    def prepare(self, start: DecoderStart) -> _Pairs:
        """Returns the samples around each query."""
        samples, queries, of_samples, of_queries = start.samples, start.queries, start.sample_body, start.query_body
        by_body, asked = of_samples.argsort(stable=True), of_queries.argsort(stable=True)
        bodies = (of_samples[by_body], of_queries[asked])
        query, sample = ops.radius(samples[by_body], queries[asked], self.radius, *bodies)
        query, sample = asked[query], by_body[sample]
        lonely = (torch.bincount(query, minlength=len(queries)) == 0).nonzero()[:, 0]
        nearest = nearest_samples(samples, queries[lonely], 1, of_samples, of_queries[lonely]).index[:, 0]
        query, sample = torch.cat([query, lonely]), torch.cat([sample, nearest])
        count = torch.bincount(query, minlength=len(queries))
        share = 1 / count[query].to(samples.dtype)
        still = torch.zeros_like(queries)
        if self.coords == "relative":
            still = self._kernels(queries, share, query, (samples[sample] - queries[query])[None])[0]
        return _Pairs(query, sample, share, still)

    def move(self, start: DecoderStart, own: _Pairs, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Pairs]:
        """Returns positions of the queries in each frame."""
        source, queries = own.sample, len(start.queries)
        if self.coords == "source":
            value = self.kernel(torch.cat([start.samples.expand(len(samples), -1, -1), samples], -1))
            return _sum(value, own.share, source, own.query, queries), own
        u = samples - start.samples
        mean = _sum(u, own.share, source, own.query, queries)
        offset = start.samples[source] - start.queries[own.query]
        change = u[:, source] - mean[:, own.query]
        value = self._kernels(start.queries, own.share, own.query, offset.expand_as(change), change)
        return start.queries + mean + value - own.still, own

    def _kernels(self, queries: Tensor, share: Tensor, query: Tensor, offset: Tensor, change: Tensor | None = None) -> Tensor:
        """Returns the means of the kernels of pairs, which see the query."""
        change = torch.zeros_like(offset) if change is None else change
        value = self.radius * self.kernel(torch.cat([offset, change], -1) / self.radius)
        return _sum(value, share, torch.arange(len(query), device=query.device), query, len(queries))


def _sum(values: Tensor, share: Tensor, source: Tensor, target: Tensor, targets: int) -> Tensor:
    """Returns weighted sums of values of frames and sources."""
    rows = values.transpose(0, 1).flatten(1)
    sums = ops.edge_sum(rows, share, source, target, targets, check_indices=False)
    return sums.view(targets, len(values), values.shape[-1]).transpose(0, 1)
