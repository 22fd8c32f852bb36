"""Products of many 2x2 and 3x3 matrices."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, check_same

_ops = torch.ops.geoops


def small_matmul(
    A: Float[Tensor, "*batch d d"], B: Float[Tensor, "*batch d d"], *, transpose_a: bool = False, transpose_b: bool = False
) -> Float[Tensor, "*batch d d"]:
    """Returns the product A B of each pair of 2x2 or 3x3 matrices.

    Args:
        A: matrices of size d = 2 or 3, float32 or float64.
        B: as many matrices.
        transpose_a: takes the transposes of A.
        transpose_b: takes the transposes of B.

    Returns:
        The products. They have the same bits for any number of threads.

    Raises:
        TypeError: A is of another dtype, or B of another than A.
        ValueError: A is of another shape, or B of another than A.

    Example:
        >>> small_matmul(torch.eye(2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]), transpose_b=True)
        tensor([[1., 3.],
                [2., 4.]])
    """
    check_matrices("small_matmul", "A", A)
    check_same("small_matmul", "A", A, "B", B)
    return _matmul(A, B, transpose_a, transpose_b)


def _matmul_torch(A: Tensor, B: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return ((A.mT if transpose_a else A) @ (B.mT if transpose_b else B)).contiguous()


plain_torch("small_matmul", _matmul_torch)


@torch.library.register_fake("geoops::small_matmul")
def _matmul_fake(A: Tensor, B: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return A.new_empty(A.shape)


def _save(ctx, inputs, output) -> None:
    A, B, *ctx.transposes = inputs
    ctx.save_for_backward(A, B)


def _backward(ctx, g: Tensor):
    A, B = ctx.saved_tensors
    a, b = ctx.transposes
    gA = gB = None
    if ctx.needs_input_grad[0]:
        gA = _matmul(B, g, b, True) if a else _matmul(g, B, False, not b)
    if ctx.needs_input_grad[1]:
        gB = _matmul(g, A, True, a) if b else _matmul(A, g, not a, False)
    return gA, gB, None, None


def _jvp(ctx, dA: Tensor | None, dB: Tensor | None, *_):
    A, B = ctx.saved_tensors
    parts = [] if dA is None else [_matmul(dA, B, *ctx.transposes)]
    return sum(parts + ([] if dB is None else [_matmul(A, dB, *ctx.transposes)]))


_matmul = derive("small_matmul", _save, _backward, _jvp, batched(_ops.small_matmul.default))
