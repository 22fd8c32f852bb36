"""Eigenvalues and eigenvectors of symmetric 2x2 and 3x3 matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, diagonal, differentiated, finite_only, inverse_or_zero, skew

_ops = torch.ops.geoops


def eigh(A: Float[Tensor, "*batch d d"]) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d d"]]:
    r"""Returns the eigen-decomposition of the symmetric part of each 2x2 or 3x3 matrix.

    $$\tfrac{1}{2}(A + A^T) = Q\,\mathrm{diag}(w)\,Q^T, \qquad w_1 \le w_2 \le \dots$$

    Q is a rotation. The derivative of its columns has a part with $1/(w_j - w_i)$, which is taken as 0 where the two values
    are equal up to rounding, so it is finite everywhere.

    Args:
        A: matrices of size d = 2 or 3, float32 or float64. The values have their unit.

    Returns:
        w and Q. A NaN or an infinity makes the results of its own matrix NaN and no other. Results have the same bits for
        any number of threads.

    Raises:
        TypeError: A is of another dtype.
        ValueError: A is of another shape.

    Cyclic Jacobi rotations without branches, as in McAdams et al. 2011.

    Example:
        >>> w, Q = eigh(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        >>> w
        tensor([1., 2.])
    """
    check_matrices("eigh", "A", A)
    return _eigh(A)


def _eigh_torch(A: Tensor) -> tuple[Tensor, Tensor]:
    check_matrices("eigh", "A", A)
    A, bad = finite_only(A)
    w, Q = torch.linalg.eigh(A / 2 + A.mT / 2)
    last = torch.arange(A.shape[-1], device=A.device) == A.shape[-1] - 1
    flip = torch.where(last, torch.linalg.det(Q)[..., None].sign(), 1.0)[..., None, :]
    return w + bad[..., 0], (Q * flip + bad).contiguous()


def _inverse_gaps(w: Tensor) -> Tensor:
    """Returns 1 / (w_j - w_i), or 0 where both are equal."""
    largest = w.abs().amax(-1, keepdim=True)[..., None]
    return inverse_or_zero(w[..., None, :] - w[..., :, None], largest)


def _eigh_backward_torch(w: Tensor, Q: Tensor, gw: Tensor, gQ: Tensor) -> Tensor:
    return Q @ (skew(Q.mT @ gQ) * _inverse_gaps(w) + torch.diag_embed(gw)) @ Q.mT


plain_torch("eigh", _eigh_torch)
plain_torch("eigh_backward", _eigh_backward_torch)


@torch.library.register_fake("geoops::eigh")
def _eigh_fake(A: Tensor) -> tuple[Tensor, Tensor]:
    return A.new_empty(A.shape[:-1]), A.new_empty(A.shape)


@torch.library.register_fake("geoops::eigh_backward")
def _eigh_backward_fake(w: Tensor, Q: Tensor, gw: Tensor, gQ: Tensor) -> Tensor:
    return Q.new_empty(Q.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*output)


def _backward(ctx, gw: Tensor, gQ: Tensor) -> Tensor:
    rule = _eigh_backward_torch if differentiated() else _ops.eigh_backward.default
    return rule(*ctx.saved_tensors, gw, gQ)


def _jvp(ctx, dA: Tensor):
    w, Q = ctx.saved_tensors
    P = Q.mT @ ((dA + dA.mT) / 2) @ Q
    return diagonal(P), Q @ (P * _inverse_gaps(w))


_eigh = derive("eigh", _save, _backward, _jvp, batched(_ops.eigh.default))
