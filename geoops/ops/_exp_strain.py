"""Deformation gradients after a further strain."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._eigh import _eigh, _eigh_torch
from ._library import plain_torch
from ._small_dense import batched, check_matrices, check_same, differentiated, symmetric

_ops = torch.ops.geoops


def exp_strain(A: Float[Tensor, "*batch d d"], F: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
    r"""Returns $\exp(A)\,F$ for each pair of 2x2 or 3x3 matrices, with the symmetric part of A.

    It is F in every bit where A = 0. The derivative in A is exact everywhere, also
    at equal eigenvalues; second derivatives are right where the eigenvalues differ.

    Args:
        A: matrices of size d = 2 or 3, float32 or float64.
        F: as many matrices.

    Returns:
        The products. A NaN or an infinity makes the result of its own matrix NaN and no other. Results have the same bits for
        any number of threads.

    Raises:
        TypeError: A is of another dtype, or F of another than A.
        ValueError: A is of another shape, or F of another than A.

    Example:
        >>> A = torch.diag(torch.tensor([0.0, torch.log(torch.tensor(2.0))]))
        >>> exp_strain(A, torch.ones(2, 2))
        tensor([[1., 1.],
                [2., 2.]])
    """
    check_matrices("exp_strain", "A", A)
    check_same("exp_strain", "A", A, "F", F)
    return _exp(A, F)[0]


def _exp_torch(A: Tensor, F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    check_matrices("exp_strain", "A", A)
    w, Q = _eigh_torch(A)
    return _stretched(w, Q, F), w, Q


def _stretched(w: Tensor, Q: Tensor, x: Tensor) -> Tensor:
    """Returns exp(A) x, or x + (exp(A) - 1) x where A is small."""
    far = (w.detach().abs() > 0.5).any(-1, keepdim=True)
    change = torch.where(far, w.exp(), w.expm1())
    return torch.where(far[..., None], 0.0, x) + symmetric((Q * change[..., None, :]) @ Q.mT) @ x


def _quotients(w: Tensor) -> Tensor:
    """Returns (exp w_i - exp w_j) / (w_i - w_j), or the limit exp w_i."""
    gap = (w[..., :, None] - w[..., None, :]).abs()
    same, largest = gap == 0, torch.maximum(w[..., :, None], w[..., None, :])
    return largest.exp() * torch.where(same, 1.0, -(-gap).expm1() / torch.where(same, 1.0, gap))


def _exp_backward_torch(F: Tensor, w: Tensor, Q: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    inner = _quotients(w) * (Q.mT @ symmetric(g @ F.mT) @ Q)
    return symmetric(Q @ inner @ Q.mT), _stretched(w, Q, g)


plain_torch("exp_strain", _exp_torch)
plain_torch("exp_strain_backward", _exp_backward_torch)


@torch.library.register_fake("geoops::exp_strain")
def _exp_fake(A: Tensor, F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return F.new_empty(F.shape), A.new_empty(A.shape[:-1]), A.new_empty(A.shape)


@torch.library.register_fake("geoops::exp_strain_backward")
def _exp_backward_fake(F: Tensor, w: Tensor, Q: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    return F.new_empty(F.shape), F.new_empty(F.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs, *output[1:])
    ctx.set_materialize_grads(False)


def _backward(ctx, g: Tensor | None, *_):
    A, F, w, Q = ctx.saved_tensors
    g = torch.zeros_like(F) if g is None else g
    if differentiated():
        return _exp_backward_torch(F, *_eigh(A), g)
    return _ops.exp_strain_backward.default(F, w, Q, g)


def _jvp(ctx, dA: Tensor | None, dF: Tensor | None):
    A, F, *_ = ctx.saved_tensors
    w, Q = _eigh(A)
    out = torch.zeros_like(F) if dF is None else _stretched(w, Q, dF)
    if dA is not None:
        out = out + Q @ (_quotients(w) * (Q.mT @ symmetric(dA) @ Q)) @ Q.mT @ F
    return out, torch.zeros_like(w), torch.zeros_like(Q)


_exp = derive("exp_strain", _save, _backward, _jvp, batched(_ops.exp_strain.default))
