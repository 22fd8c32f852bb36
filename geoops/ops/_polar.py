"""The nearest rotation of 2x2 and 3x3 matrices, and what is left of them."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, diagonal, differentiated, inverse_or_zero
from ._svd import _svd_torch

_ops = torch.ops.geoops


def polar(F: Float[Tensor, "*batch d d"]) -> tuple[Float[Tensor, "*batch d d"], Float[Tensor, "*batch d d"]]:
    r"""Returns the polar decomposition of each 2x2 or 3x3 matrix.

    $$F = R\,S, \qquad R^T R = 1, \quad \det R = 1, \quad S = S^T$$

    R is the rotation nearest to F. S is positive definite where det F > 0 and has one negative eigenvalue where
    det F < 0. The derivative solves $\Omega S + S \Omega = R^T\,dF - dF^T R$ for the skew $\Omega = R^T dR$; it is exact at
    equal stretches, as at F = 1, to any order. Where the sum of the two smallest eigenvalues of S vanishes up to rounding, R
    is not unique: it is some nearest rotation and $\Omega$ is taken as 0.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64. S has their unit.

    Returns:
        R and S. A NaN or an infinity makes the results of its own matrix NaN and no other.

    Raises:
        TypeError: F is of another dtype.
        ValueError: F is of another shape.

    The rotation comes from `svd` with rotations (McAdams et al. 2011).

    Example:
        >>> R, S = polar(torch.tensor([[0.0, -3.0], [2.0, 0.0]]))
        >>> R.round().long()
        tensor([[ 0, -1],
                [ 1,  0]])
    """
    check_matrices("polar", "F", F)
    return _polar(F)


def _polar_torch(F: Tensor) -> tuple[Tensor, Tensor]:
    check_matrices("polar", "F", F)
    U, sigma, V = _svd_torch(F, True)
    return U @ V.mT, V * sigma[..., None, :] @ V.mT


def _sylvester(S: Tensor, M: Tensor) -> Tensor:
    """Returns the skew X with X S + S X = M - M^T, or 0 where that is singular up to rounding."""
    M = M - M.mT
    trace = diagonal(S).sum(-1)[..., None, None]
    if S.shape[-1] == 2:
        return M * inverse_or_zero(trace, S.detach().abs().sum((-2, -1), keepdim=True))
    largest = S.detach().abs().amax((-2, -1), keepdim=True)
    unit = 1 / torch.where(largest > 0, largest, 1.0)  # the determinant is of third order
    K = (trace * torch.eye(3, dtype=S.dtype, device=S.device) - S) * unit
    a, b, c = K.unbind(-2)
    adjugate = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -2)
    inverse = inverse_or_zero((a * adjugate[..., 0, :]).sum(-1), torch.ones_like(largest[..., 0, 0]))[..., None] * unit[..., 0]
    x, y, z = (adjugate @ torch.stack([M[..., 2, 1], M[..., 0, 2], M[..., 1, 0]], -1)[..., None])[..., 0].mul(inverse).unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _polar_backward_torch(R: Tensor, S: Tensor, gR: Tensor, gS: Tensor) -> Tensor:
    gS = (gS + gS.mT) / 2
    return R @ (_sylvester(S, R.mT @ gR - gS @ S) + gS)


plain_torch("polar", _polar_torch)
plain_torch("polar_backward", _polar_backward_torch)


@torch.library.register_fake("geoops::polar")
def _polar_fake(F: Tensor) -> tuple[Tensor, Tensor]:
    return F.new_empty(F.shape), F.new_empty(F.shape)


@torch.library.register_fake("geoops::polar_backward")
def _polar_backward_fake(R: Tensor, S: Tensor, gR: Tensor, gS: Tensor) -> Tensor:
    return R.new_empty(R.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*output)


def _backward(ctx, gR: Tensor, gS: Tensor) -> Tensor:
    rule = _polar_backward_torch if differentiated() else _ops.polar_backward.default
    return rule(*ctx.saved_tensors, gR, gS)


def _jvp(ctx, dF: Tensor):
    R, S = ctx.saved_tensors
    A = R.mT @ dF
    spin = _sylvester(S, A)
    dS = A - spin @ S
    return R @ spin, (dS + dS.mT) / 2


_polar = derive("polar", _save, _backward, _jvp, batched(_ops.polar.default))
