"""The samples nearest to points, smooth weights of them, and the affine fit of what they carry."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from geoops import ops

#: Part of the mean square distance of samples from their mean that is added to the normal equations of the affine fit.
_RIDGE = 1e-6

#: How far a spline may pass by a sample.
_NUGGET = 1e-3


@final
@dataclass(frozen=True)
class Nearest:
    """The samples nearest to each query, and of which there are fewer than k in the body, where one is missing."""

    index: Int[Tensor, "queries k"]
    there: Bool[Tensor, "queries k"]


def nearest_samples(
    samples: Float[Tensor, "samples dim"],
    queries: Float[Tensor, "queries dim"],
    k: int,
    sample_body: Int[Tensor, " samples"] | None = None,
    query_body: Int[Tensor, " queries"] | None = None,
) -> Nearest:
    """Returns the k samples of the body of each query that are nearest to it, the nearest first.

    Bodies come in any order. Where a body has fewer samples, the rest is marked as missing and repeats the nearest, or sample 0
    if there is none.
    """
    if len(samples) >= k and (sample_body is None or query_body is None):
        index = ops.knn(samples, queries, k)[1].view(len(queries), k)
        return Nearest(index, torch.ones_like(index, dtype=torch.bool))
    if sample_body is None or query_body is None:
        sample_body, query_body = (torch.zeros(len(x), dtype=torch.int64, device=x.device) for x in (samples, queries))
    of_samples, of_queries = sample_body.argsort(stable=True), query_body.argsort(stable=True)
    bodies = (sample_body[of_samples], query_body[of_queries])
    row, column = ops.knn(samples[of_samples], queries[of_queries], k, *bodies)
    count = torch.bincount(row, minlength=len(queries))
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    index, there = row.new_zeros(len(queries), k), torch.zeros(len(queries), k, dtype=torch.bool, device=row.device)
    index[of_queries[row], place] = of_samples[column]
    there[of_queries[row], place] = True
    return Nearest(torch.where(there, index, index[:, :1]), there)


@final
@dataclass(frozen=True)
class Neighbourhood:
    r"""The samples around each query with weights that move without jumps when the query does.

    $$w_i \propto \Big(1 - \frac{|X_i - X_q|^2}{h_q^2}\Big)^2, \qquad \sum_i w_i = 1$$

    The radius $h_q$ is the distance to the farthest of the k nearest samples, so that a sample enters and leaves with weight 0
    and it does not matter which of equally far ones is taken. Where the body has fewer than k samples it is 1.5 times that
    distance, since no sample is left to enter.

    Args:
        index: number of each sample.
        there: whether it is one, or fills up a body of too few.
        offset: $X_i - X_q$.
        weight: $w_i$.
        radius: $h_q$.
        slope: $a_i$, with which $\sum_i u_i a_i^T$ is the gradient of the affine function nearest to values $u_i$ by weighted
            least squares. Normal equations are made regular and refined once, so that the gradient is 0 across samples on
            one line, and where it is determined it is exact to about $10^{-8}$.
        shape: $c_i$, with which $\sum_i c_i u_i$ is the value of that function at the query; their sum is 1.
    """

    index: Int[Tensor, "queries k"]
    there: Bool[Tensor, "queries k"]
    offset: Float[Tensor, "queries k dim"]
    weight: Float[Tensor, "queries k"]
    radius: Float[Tensor, " queries"]
    slope: Float[Tensor, "queries k dim"]
    shape: Float[Tensor, "queries k"]

    @property
    def centred(self) -> Float[Tensor, "queries k dim"]:
        """Places of the samples about their weighted mean."""
        return self.offset - (self.weight[..., None] * self.offset).sum(1, keepdim=True)


def combine(
    index: Int[Tensor, "queries k"], weights: Float[Tensor, "queries k"], values: Float[Tensor, "frames samples channels"]
) -> Float[Tensor, "frames queries channels"]:
    """Returns weighted sums of the values of samples for each query; nothing of the size of all pairs is made."""
    frames, samples, channels = values.shape
    queries, k = index.shape
    target = torch.arange(queries, device=index.device).repeat_interleave(k)
    rows = values.transpose(0, 1).reshape(samples, frames * channels)
    sums = ops.edge_sum(rows, weights.reshape(-1), index.reshape(-1), target, queries, check_indices=False)
    return sums.view(queries, frames, channels).transpose(0, 1)


def neighbourhood(samples: Float[Tensor, "samples dim"], queries: Float[Tensor, "queries dim"], nearest: Nearest) -> Neighbourhood:
    """Returns the neighbourhood of each query among some samples, the k nearest or those that were a little earlier."""
    index, there = nearest.index, nearest.there
    offset = samples[index] - queries[:, None]
    square = offset.square().sum(-1)
    farthest = torch.where(there, square, 0.0).amax(1).sqrt()
    # A little beyond the farthest sample, or nothing would be left where all are equally far.
    reach = torch.where(there.all(1), 1.001, 1.5)
    radius = (reach * farthest).clamp_min(torch.finfo(samples.dtype).tiny ** 0.25)
    bump = (1 - square / radius[:, None].square()).clamp_min(0).square() * there
    weight = bump / bump.sum(1, keepdim=True)

    # Nearly flat neighbourhoods need all digits, and this is done once.
    w, X = weight.double()[..., None], offset.double() / radius.double()[:, None, None]
    mean = (w * X).sum(1, keepdim=True)
    centred = X - mean
    square = (w * centred).mT @ centred
    one = torch.eye(X.shape[-1], dtype=w.dtype, device=w.device)
    spread = square.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    inverse = _inverse(square + (_RIDGE * spread + 1e-12) * one)
    slope = w * (centred @ (inverse @ (2 * one - square @ inverse)))
    shape = w[..., 0] - (slope @ mean.mT)[..., 0]
    slope = slope / radius.double()[:, None, None]
    return Neighbourhood(index, there, offset, weight, radius, slope.to(weight.dtype), shape.to(weight.dtype))


def spline_shape(around: Neighbourhood) -> Float[Tensor, "queries k"]:
    r"""Returns coefficients $t_i$ with which $\sum_i t_i u_i$ is the value at the query of a cubic spline through the samples.

    $$u(X) = \sum_i \lambda_i |X - X_i|^3 + A X + b, \qquad u(X_i) + 10^{-3} h_q^3 \lambda_i / w_i = u_i$$

    in the notation of `Neighbourhood`, with $w_i$ relative to that of a sample at the query. It nears samples the less exactly
    the farther they are, so that, as those, the coefficients do not jump where neighbours change. It bends as the samples do
    and is far better than an affine fit where motion is smooth; where it is rough, it overshoots.

    Source: radial basis functions with a nugget, as Wendland 2004, "Scattered data approximation", describes them.
    """
    X = (around.offset / around.radius[:, None, None]).double()
    queries, k, dim = X.shape
    # Of the farthest sample, at 1 / 1.001, next to nothing is left.
    nugget = _NUGGET / (1 - (1.001 * X).square().sum(-1)).clamp_min(3e-4).square()
    P = torch.cat([X, torch.ones_like(X[..., :1])], -1)
    # The small corner gives flat neighbourhoods a solution.
    A = X.new_zeros(queries, k + dim + 1, k + dim + 1)
    A[:, :k, :k] = (X[:, :, None] - X[:, None]).square().sum(-1) ** 1.5 + torch.diag_embed(nugget)
    A[:, :k, k:], A[:, k:, :k] = P, P.mT
    A[:, k:, k:] = -1e-6 * torch.eye(dim + 1, dtype=X.dtype, device=X.device)
    at_query = torch.cat([X.square().sum(-1) ** 1.5, X.new_zeros(queries, dim), X.new_ones(queries, 1)], -1)
    return torch.linalg.solve(A, at_query[..., None])[:, :k, 0].to(around.weight.dtype)


def _inverse(A: Tensor) -> Tensor:
    """Returns inverses of symmetric 2x2 or 3x3 matrices by cofactors."""
    if A.shape[-1] == 2:
        a, b, d = A[..., 0, 0], A[..., 0, 1], A[..., 1, 1]
        return torch.stack([d, -b, -b, a], -1).unflatten(-1, (2, 2)) / (a * d - b * b)[..., None, None]
    x, y, z = A.unbind(-2)
    cofactors = torch.stack([torch.linalg.cross(y, z), torch.linalg.cross(z, x), torch.linalg.cross(x, y)], -2)
    return cofactors / (x * cofactors[..., 0, :]).sum(-1)[..., None, None]
