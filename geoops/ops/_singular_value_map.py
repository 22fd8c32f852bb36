"""Functions of a matrix that act on its singular values, with derivatives that are right at equal values."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import derive
from ._library import plain_torch
from ._small_dense import batched, check_matrices, diagonal, differentiated, skew
from ._svd import svd

_ops = torch.ops.geoops


def singular_value_map(F: Float[Tensor, "*batch d d"], f: Callable[[Tensor], Tensor]) -> Float[Tensor, "*batch d d"]:
    r"""Returns U diag(f(sigma)) V^T for each 2x2 or 3x3 matrix F = U diag(sigma) V^T.

    With $y = f(\sigma)$ and $P = U^T\,dF\,V$ the derivative is

    $$U^T\,dY\,V = \mathrm{diag}\left(\frac{\partial f}{\partial \sigma}\,\mathrm{diag}\,P\right)
    + \frac{y_i - y_j}{\sigma_i - \sigma_j}\,\frac{P + P^T}{2} + \frac{y_i + y_j}{\sigma_i + \sigma_j}\,\frac{P - P^T}{2}
    \quad (i \ne j)$$

    where the first quotient is replaced by its limit $\partial_i y_i - \partial_j y_i$ at values that differ by less than the
    cube root of the rounding error relative to their mean, which leaves an error of its square, 4e-11 in float64 and 2e-5 in
    float32, and the second by its limit where both values are zero. So the first derivative is right everywhere that there
    is one. Higher derivatives are right where the values are further apart than that.

    Args:
        F: matrices of size d = 2 or 3, float32 or float64.
        f: maps singular values (..., d), descending, to as many numbers, without mixing matrices. It must not depend on
            the order of the values (permuting them permutes the results), and at zero it must be odd, else the result does
            not depend on F smoothly. Gradients of parameters inside f are taken too.

    Raises:
        TypeError: F is of another dtype.
        ValueError: F, or the result of f, is of another shape.

    The limits are those of Papadopoulo and Lourakis 2000.

    Example:
        >>> F = torch.diag(torch.tensor([3.0, 2.0]))
        >>> singular_value_map(F, torch.square)
        tensor([[9., 0.],
                [0., 4.]])
    """
    check_matrices("singular_value_map", "F", F)
    U, sigma, V = svd(F)
    y = f(sigma)
    if y.shape != sigma.shape:
        raise ValueError(
            f"singular_value_map: expected f to keep the shape {tuple(sigma.shape)} of the singular values, got {tuple(y.shape)}"
        )
    even, odd = _quotients(sigma, y, f)
    return _map(F, y, U, V, even, odd)


def _quotients(sigma: Tensor, y: Tensor, f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Returns (y_i - y_j) / (sigma_i - sigma_j) and (y_i + y_j) / (sigma_i + sigma_j), or their limits."""
    _, pull, *_ = torch.func.vjp(f, sigma)
    units = torch.eye(sigma.shape[-1], dtype=sigma.dtype, device=sigma.device)
    jacobian = torch.stack([pull(unit.expand(sigma.shape).contiguous())[0] for unit in units], -2)
    own, cross = diagonal(jacobian), jacobian + jacobian.mT
    own = own[..., :, None] + own[..., None, :]
    row, column, s, t = y[..., None, :], y[..., :, None], sigma[..., None, :], sigma[..., :, None]
    gap, total = t - s, t + s
    eps = torch.finfo(sigma.dtype).eps
    tie = 16 * eps * sigma.detach().abs().amax(-1)[..., None, None]  # what rounding leaves of equal values
    near = gap.detach().abs() <= torch.maximum(eps ** (1 / 3) * total.detach().abs() / 2, tie)
    opposite = total.detach().abs() <= tie
    even = torch.where(near, (own - cross) / 2, (column - row) / torch.where(near, 1.0, gap))
    odd = torch.where(opposite, (own + cross) / 2, (column + row) / torch.where(opposite, 1.0, total))
    return even, odd


def _map_torch(F: Tensor, y: Tensor, U: Tensor, V: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    return U * y[..., None, :] @ V.mT


def _map_backward_torch(g: Tensor, U: Tensor, V: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    G = U.mT @ g @ V
    return U @ _rotated(G, even, odd) @ V.mT, diagonal(G).clone()


plain_torch("singular_value_map", _map_torch)
plain_torch("singular_value_map_backward", _map_backward_torch)


@torch.library.register_fake("geoops::singular_value_map")
def _map_fake(F: Tensor, y: Tensor, U: Tensor, V: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    return F.new_empty(F.shape)


@torch.library.register_fake("geoops::singular_value_map_backward")
def _map_backward_fake(g: Tensor, U: Tensor, V: Tensor, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    return g.new_empty(g.shape), g.new_empty(g.shape[:-1])


def _rotated(G: Tensor, even: Tensor, odd: Tensor) -> Tensor:
    off = 1 - torch.eye(G.shape[-1], dtype=G.dtype, device=G.device)
    return off * (even * ((G + G.mT) / 2) + odd * skew(G))


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[2:])


def _backward(ctx, g: Tensor):
    rule = _map_backward_torch if differentiated() else _ops.singular_value_map_backward.default
    return *rule(g, *ctx.saved_tensors), None, None, None, None


def _jvp(ctx, dF: Tensor | None, dy: Tensor | None, *_):
    # the quotients stand for the derivative through U and V
    U, V, even, odd = ctx.saved_tensors
    inner = torch.zeros_like(U) if dF is None else _rotated(U.mT @ dF @ V, even, odd)
    return U @ (inner if dy is None else inner + torch.diag_embed(dy)) @ V.mT


_map = derive("singular_value_map", _save, _backward, _jvp, batched(_ops.singular_value_map.default))
