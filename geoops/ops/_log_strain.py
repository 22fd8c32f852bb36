"""The logarithmic strain of 2x2 and 3x3 deformation gradients."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, differentiated, inverse_or_zero, skew, symmetric
from ._svd import _svd, _svd_torch

_ops = torch.ops.geoops


def log_strain(F: Float[Tensor, "*batch d d"], least: float = 0.0) -> Float[Tensor, "*batch d d"]:
    r"""Returns the logarithmic strain of each 2x2 or 3x3 deformation gradient in the deformed material.

    $$h = \tfrac12 \ln F F^T = U\,\mathrm{diag}(\ln\max(\sigma_i, \sigma_0))\,U^T, \qquad F = U\,\mathrm{diag}(\sigma)\,V^T,
    \quad \sigma_i \ge 0$$

    The derivative is exact everywhere, also at equal singular values, and vanishes for those below the least one. Second
    derivatives are right where singular values differ.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64.
        least: the least singular value $\sigma_0$; those below count as it. With 0 the strain of a singular matrix is
            infinite or NaN.

    Returns:
        h, symmetric. A NaN or an infinity makes the result of its own matrix NaN and no other. Results have the same bits for
        any number of threads.

    Raises:
        TypeError: F is of another dtype.
        ValueError: F is of another shape, or least is negative.

    Example:
        >>> log_strain(torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
        tensor([[0., 0.],
                [0., 0.]])
    """
    check_matrices("log_strain", "F", F)
    return _strain(F, _checked("log_strain", least))[0]


def raised_strain(F: Float[Tensor, "*batch d d"], least: float) -> tuple[Float[Tensor, "*batch d d"], Float[Tensor, "*batch d d"]]:
    r"""Returns `log_strain` and each 2x2 or 3x3 deformation gradient with its small singular values raised, from one
    decomposition.

    $$h = U\,\mathrm{diag}(\ln\max(\sigma_i, \sigma_0))\,U^T, \qquad F_0 = U\,\mathrm{diag}(\max(\sigma_i, \sigma_0))\,V^T$$

    $F_0$ is F itself, in every bit, where no singular value is below the least one.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64.
        least: the least singular value $\sigma_0$.

    Returns:
        h and $F_0$, with derivatives as those of `log_strain`.

    Raises:
        TypeError: F is of another dtype.
        ValueError: F is of another shape, or least is negative.

    Example:
        >>> raised_strain(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), 1.0)[1]
        tensor([[2., 0.],
                [0., 1.]])
    """
    check_matrices("raised_strain", "F", F)
    return _strain(F, _checked("raised_strain", least))[:2]


def _checked(op: str, least: float) -> float:
    if not least >= 0:
        raise ValueError(f"{op}: expected least >= 0, got {least}")
    return float(least)


def _strain_torch(F: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_matrices("log_strain", "F", F)
    U, sigma, V = _svd_torch(F, False)
    raised = sigma.clamp_min(least)
    X = F + (U * (raised - sigma)[..., None, :]) @ V.mT
    return symmetric((U * raised.log()[..., None, :]) @ U.mT), X, U, sigma, V


def _quotients(sigma: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the divided differences of log sigma and sigma: 2 sigma_j (h_i - h_j) / (sigma_i^2 - sigma_j^2), and the even and
    the odd one of the raised values less those of F.
    """
    raised, one = sigma.clamp_min(least), torch.ones((), dtype=sigma.dtype, device=sigma.device)
    a, b, ra, rb = sigma[..., :, None], sigma[..., None, :], raised[..., :, None], raised[..., None, :]
    same, gap, total, sum_ = a == b, a - b, a + b, ra + rb
    slope = torch.where(same, (a >= least).to(sigma.dtype), (ra - rb) / torch.where(same, one, gap))
    r = (ra - rb) / sum_
    near = r.detach().square() < 0.0294
    ratio = torch.where(near, _artanh_ratio(torch.where(near, r, 0.0).square()), (ra / rb).log() / (2 * torch.where(near, one, r)))
    some = total > 0
    share = torch.where(some, b / torch.where(some, total, one), 0.0)
    lift = (ra - a) + (rb - b)
    inverse = inverse_or_zero(total, sigma.detach()[..., :1, None])
    odd = torch.where(inverse > 0, lift * inverse, -(lift > 0).to(sigma.dtype))
    return 4 * slope * ratio * share / sum_, slope - 1, odd


def _artanh_ratio(z: Tensor) -> Tensor:
    """Returns artanh(r) / r from z = r^2 below (3 - sqrt 8)^2."""
    terms = 5 if z.dtype == torch.float32 else 11
    y = torch.full_like(z, 1 / (2 * terms - 1))
    for k in range(terms - 1, 0, -1):
        y = y * z + 1 / (2 * k - 1)
    return y


def _strain_backward_torch(U: Tensor, sigma: Tensor, V: Tensor, gh: Tensor, gX: Tensor, least: float) -> Tensor:
    slope, even, odd = _quotients(sigma, least)
    M = U.mT @ gX @ V
    return gX + U @ (slope * (U.mT @ symmetric(gh) @ U) + even * symmetric(M) + odd * skew(M)) @ V.mT


plain_torch("log_strain", _strain_torch)
plain_torch("log_strain_backward", _strain_backward_torch)


@torch.library.register_fake("geoops::log_strain")
def _strain_fake(F: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    h, X, U, V = (F.new_empty(F.shape) for _ in range(4))
    return h, X, U, F.new_empty(F.shape[:-1]), V


@torch.library.register_fake("geoops::log_strain_backward")
def _strain_backward_fake(U: Tensor, sigma: Tensor, V: Tensor, gh: Tensor, gX: Tensor, least: float) -> Tensor:
    return U.new_empty(U.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0], *output[2:])
    ctx.least = inputs[1]
    ctx.set_materialize_grads(False)


def _backward(ctx, gh: Tensor | None, gX: Tensor | None, *_):
    F, U, sigma, V = ctx.saved_tensors
    gh, gX = (torch.zeros_like(F) if g is None else g for g in (gh, gX))
    if differentiated():
        return _strain_backward_torch(*_svd(F, False), gh, gX, ctx.least), None
    return _ops.log_strain_backward.default(U, sigma, V, gh, gX, ctx.least), None


def _jvp(ctx, dF: Tensor, _):
    U, sigma, V = _svd(ctx.saved_tensors[0], False)
    slope, even, odd = _quotients(sigma, ctx.least)
    P = U.mT @ dF @ V
    dX = dF + U @ (even * symmetric(P) + odd * skew(P)) @ V.mT
    zero = torch.zeros_like(U)
    return U @ symmetric(slope * P) @ U.mT, dX, zero, torch.zeros_like(sigma), zero


_strain = derive("log_strain", _save, _backward, _jvp, batched(_ops.log_strain.default))
