"""Singular values and vectors of 2x2 and 3x3 matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, diagonal, differentiated, finite_only, inverse_or_zero, skew

_ops = torch.ops.geoops


def svd(
    F: Float[Tensor, "*batch d d"], *, rotations: bool = False
) -> tuple[Float[Tensor, "*batch d d"], Float[Tensor, "*batch d"], Float[Tensor, "*batch d d"]]:
    r"""Returns the singular value decomposition of each 2x2 or 3x3 matrix.

    $$F = U\,\mathrm{diag}(\sigma)\,V^T, \qquad \sigma_1 \ge \sigma_2 \ge \dots \ge 0$$

    The derivative of the vectors has a part with $1/(\sigma_j - \sigma_i)$ and one with $1/(\sigma_i + \sigma_j)$; each is
    taken as 0 where its denominator vanishes up to rounding, so it is finite everywhere. At equal values the vectors have
    no derivative, and functions of them that do should be built from `polar` or `singular_value_map`, which are exact
    there. A NaN or an infinity makes the results of its own matrix NaN and no other. Results have the same bits for any
    number of threads.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64. The values have their unit.
        rotations: makes both U and V rotations (determinant 1); the last singular value then has the sign of det F.

    Returns:
        U, sigma (descending in magnitude) and V (not transposed).

    Raises:
        TypeError: F is of another dtype.
        ValueError: F is of another shape.

    One-sided Jacobi rotations in place of the normal equations of McAdams et al., "Computing the Singular Value
    Decomposition of 3x3 matrices with minimal branching and elementary floating point operations", 2011; derivatives as in
    Papadopoulo and Lourakis, "Estimating the Jacobian of the Singular Value Decomposition", ECCV 2000.

    Example:
        >>> U, sigma, V = svd(torch.tensor([[0.0, -3.0], [2.0, 0.0]]))
        >>> sigma
        tensor([3., 2.])
        >>> torch.allclose(U @ sigma.diag() @ V.T, torch.tensor([[0.0, -3.0], [2.0, 0.0]]))
        True
    """
    check_matrices("svd", "F", F)
    return _svd(F, rotations)


def _svd_torch(F: Tensor, rotations: bool) -> tuple[Tensor, Tensor, Tensor]:
    check_matrices("svd", "F", F)
    F, bad = finite_only(F)
    U, sigma, Vh = torch.linalg.svd(F)
    V = Vh.mT.contiguous()
    if rotations:
        last = torch.arange(F.shape[-1], device=F.device) == F.shape[-1] - 1
        flip_u, flip_v = (torch.where(last, torch.linalg.det(x)[..., None].sign(), 1.0) for x in (U, V))
        U, sigma, V = U * flip_u[..., None, :], sigma * flip_u * flip_v, V * flip_v[..., None, :]
    return (U + bad).contiguous(), sigma + bad[..., 0], V + bad


def _svd_backward_torch(U: Tensor, sigma: Tensor, V: Tensor, gU: Tensor, gsigma: Tensor, gV: Tensor) -> Tensor:
    P, Q = skew(U.mT @ gU), skew(V.mT @ gV)
    even, odd = _denominators(sigma)
    return U @ ((P + Q) * even + (P - Q) * odd + torch.diag_embed(gsigma)) @ V.mT


def _denominators(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Returns 1 / (sigma_j - sigma_i) and 1 / (sigma_i + sigma_j) off the diagonal."""
    row, column, largest = sigma[..., None, :], sigma[..., :, None], sigma[..., :1, None]
    off = 1 - torch.eye(sigma.shape[-1], dtype=sigma.dtype, device=sigma.device)
    return inverse_or_zero(row - column, largest) * off, inverse_or_zero(row + column, largest) * off


plain_torch("svd", _svd_torch)
plain_torch("svd_backward", _svd_backward_torch)


@torch.library.register_fake("geoops::svd")
def _svd_fake(F: Tensor, rotations: bool) -> tuple[Tensor, Tensor, Tensor]:
    return F.new_empty(F.shape), F.new_empty(F.shape[:-1]), F.new_empty(F.shape)


@torch.library.register_fake("geoops::svd_backward")
def _svd_backward_fake(U: Tensor, sigma: Tensor, V: Tensor, gU: Tensor, gsigma: Tensor, gV: Tensor) -> Tensor:
    return U.new_empty(U.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*output)


def _backward(ctx, gU: Tensor, gsigma: Tensor, gV: Tensor):
    rule = _svd_backward_torch if differentiated() else _ops.svd_backward.default
    return rule(*ctx.saved_tensors, gU, gsigma, gV), None


def _jvp(ctx, dF: Tensor, _):
    U, sigma, V = ctx.saved_tensors
    even, odd = _denominators(sigma)
    P = U.mT @ dF @ V
    A, B = (P + P.mT) / 2 * even, skew(P) * odd
    return U @ (A + B), diagonal(P), V @ (A - B)


_svd = derive("svd", _save, _backward, _jvp, batched(_ops.svd.default))
