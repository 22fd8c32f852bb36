"""What does not change when a deformation is turned, and how it is turned."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, diagonal, differentiated, inverse_or_zero, skew
from ._svd import _svd, _svd_torch

_ops = torch.ops.geoops


def strain_features(F: Float[Tensor, "*batch d d"]) -> tuple[Float[Tensor, "*batch features"], Float[Tensor, "*batch d d"]]:
    r"""Returns invariants of each 2x2 or 3x3 deformation gradient under rotation of the material, and its own rotation.

    $$(\sigma - 1,\; F^T F - 1,\; \det F - 1), \qquad R = U V^T, \qquad F = U\,\mathrm{diag}(\sigma)\,V^T$$

    with rotations U and V and descending singular values, the last of which has the sign of det F. All features vanish at
    F = 1. The derivative of $\sigma$ is $\mathrm{diag}(U^T dF\,V)$, that of R as in `polar`; it is finite everywhere, right
    at equal singular values, and that of R is taken as 0 where two of them have the sum 0 up to rounding. Second derivatives
    are those of `svd`.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64.

    Returns:
        The d + d * d + 1 features, F^T F - 1 row by row, and R. A NaN or an infinity makes the results of its own matrix NaN
        and no other. Results have the same bits for any number of threads.

    Raises:
        TypeError: F is of another dtype.
        ValueError: F is of another shape.

    Example:
        >>> features, R = strain_features(torch.diag(torch.tensor([3.0, 2.0])))
        >>> features
        tensor([2., 1., 8., 0., 0., 3., 5.])
    """
    check_matrices("strain_features", "F", F)
    return _features(F)[:2]


def _determinant(F: Tensor) -> Tensor:
    if F.shape[-1] == 2:
        return F[..., 0, 0] * F[..., 1, 1] - F[..., 0, 1] * F[..., 1, 0]
    return (F[..., 0, :] * torch.linalg.cross(F[..., 1, :], F[..., 2, :])).sum(-1)


def _features_torch(F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    check_matrices("strain_features", "F", F)
    U, sigma, V = _svd_torch(F, True)
    bad = U[..., 0, :1] * 0
    green = (F.mT @ F - torch.eye(F.shape[-1], dtype=F.dtype, device=F.device)).flatten(-2) + bad
    return torch.cat([sigma - 1, green, _determinant(F)[..., None] - 1 + bad], -1), U @ V.mT, U


def _parts(F: Tensor, features: Tensor, R: Tensor, U: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns U, V, the derivatives of det F in the singular values, and 2 / (sigma_i + sigma_j) off the diagonal."""
    d = F.shape[-1]
    if differentiated():
        U, sigma, V = _svd(F, True)
    else:
        sigma, V = features[..., :d] + 1, R.mT @ U
    others = torch.stack([sigma[..., [j for j in range(d) if j != i]].prod(-1) for i in range(d)], -1)
    off = 1 - torch.eye(d, dtype=F.dtype, device=F.device)
    total = sigma[..., :, None] + sigma[..., None, :]
    return U, V, others, 2 * off * inverse_or_zero(total, sigma.detach()[..., :1, None])


def _features_backward_torch(F: Tensor, features: Tensor, R: Tensor, U: Tensor, g: Tensor, gR: Tensor) -> Tensor:
    d = F.shape[-1]
    U, V, others, odd = _parts(F, features, R, U)
    green = g[..., d : d + d * d].unflatten(-1, (d, d))
    inner = torch.diag_embed(g[..., :d] + g[..., -1:] * others) + odd * skew(U.mT @ gR @ V)
    return U @ inner @ V.mT + F @ (green + green.mT)


plain_torch("strain_features", _features_torch)
plain_torch("strain_features_backward", _features_backward_torch)


@torch.library.register_fake("geoops::strain_features")
def _features_fake(F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    d = F.shape[-1]
    return F.new_empty(*F.shape[:-2], d + d * d + 1), F.new_empty(F.shape), F.new_empty(F.shape)


@torch.library.register_fake("geoops::strain_features_backward")
def _features_backward_fake(F: Tensor, features: Tensor, R: Tensor, U: Tensor, g: Tensor, gR: Tensor) -> Tensor:
    return F.new_empty(F.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0], *output)
    ctx.set_materialize_grads(False)


def _backward(ctx, g: Tensor | None, gR: Tensor | None, _):
    F, features, R, U = ctx.saved_tensors
    g = torch.zeros_like(features) if g is None else g
    gR = torch.zeros_like(R) if gR is None else gR
    rule = _features_backward_torch if differentiated() else _ops.strain_features_backward.default
    return rule(F, features, R, U, g, gR)


def _jvp(ctx, dF: Tensor):
    F, *_ = ctx.saved_tensors
    U, V, others, odd = _parts(*ctx.saved_tensors)
    P = U.mT @ dF @ V
    sigma = diagonal(P)
    green = (F.mT @ dF + dF.mT @ F).flatten(-2)
    turn = U @ (odd * skew(P))
    return torch.cat([sigma, green, (sigma * others).sum(-1, keepdim=True)], -1), turn @ V.mT, torch.zeros_like(U)


_features = derive("strain_features", _save, _backward, _jvp, batched(_ops.strain_features.default))
