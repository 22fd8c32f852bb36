"""Standard deviation, logarithm of the sum of exponentials and softmax of the entries of each target."""

import torch
from torch import Tensor

from geoops import ops

from ._out import targets
from ._scatter import spread


def scatter_std(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    out: Tensor | None = None,
    dim_size: int | None = None,
    unbiased: bool = True,
) -> Tensor:
    r"""Returns $\sqrt{(\mathrm{out}_i + \sum_e (x_e - \bar x_i)^2) / \max(n_i - u, 1)}$ with u = 1 if unbiased, else 0.

    As in torch_scatter the sum of squares is left in an out that is given, and the result is a new tensor. Other arguments
    and errors are those of `scatter_sum`.
    """
    n = targets("scatter_std", src, dim, out, dim_size)
    index = spread(src, index, dim)
    if out is None:
        return ops.scatter_std(src, index, dim, n, unbiased=unbiased)
    count = ops.scatter(torch.ones_like(src), index, dim, n)
    squares = ops.scatter_std(src, index, dim, n, unbiased=False).square() * count
    return (out.add_(squares) / (count - int(unbiased)).clamp(min=1)).sqrt()


def scatter_logsumexp(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    out: Tensor | None = None,
    dim_size: int | None = None,
    eps: float = 1e-12,
) -> Tensor:
    r"""Returns $\log(\exp \mathrm{out}_i + \sum_e \exp x_e)$ in place, or $\log \sum_e \exp x_e$ without out.

    A target without entries keeps what it has in out; without out it gets 0, as in torch_scatter. eps is accepted and not
    needed: the largest exponential is scaled to 1. Other arguments and errors are those of `scatter_sum`.
    """
    total = ops.scatter_logsumexp(src, spread(src, index, dim), dim, targets("scatter_logsumexp", src, dim, out, dim_size))
    if out is None:
        return total.masked_fill(total == -torch.inf, 0)
    return out.copy_(torch.logaddexp(out.clone(), total))


def scatter_softmax(src: Tensor, index: Tensor, dim: int = -1, dim_size: int | None = None) -> Tensor:
    """Returns the softmax of src over the entries of each target; arguments and errors as in `scatter_sum`."""
    return ops.scatter_softmax(src, spread(src, index, dim), dim, dim_size)


def scatter_log_softmax(src: Tensor, index: Tensor, dim: int = -1, eps: float = 1e-12, dim_size: int | None = None) -> Tensor:
    """Returns the logarithm of `scatter_softmax`; eps is accepted and not needed."""
    return ops.scatter_log_softmax(src, spread(src, index, dim), dim, dim_size)
