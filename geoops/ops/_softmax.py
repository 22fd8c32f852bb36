"""Softmax and its relatives over the entries that share a target."""

from jaxtyping import Num, Shaped
from torch import Tensor

from ._layout import arrange
from ._reduce import gather
from ._reduce_softmax import scatter_logsumexp as _logsumexp
from ._reduce_softmax import scatter_softmax as _softmax
from ._scatter import check_float


def scatter_softmax(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim: int = -1,
    dim_size: int | None = None,
    *,
    check_indices: bool = True,
) -> Tensor:
    r"""Returns the softmax of src over the entries that have the same index.

    $$y_e = \frac{\exp x_e}{\sum_{f:\ \mathrm{index}(f) = \mathrm{index}(e)} \exp x_f}$$

    The maximum of each target is subtracted first, so nothing overflows; the sums of a target's entries are 1. Differentiable
    to any order. Arguments and errors are those of `scatter`; the result has the shape of src.

    Example:
        >>> import torch
        >>> scatter_softmax(torch.tensor([0.0, 0.0, 7.0]), torch.tensor([0, 0, 1]))
        tensor([0.5000, 0.5000, 1.0000])
    """
    check_float("scatter_softmax", src)
    a = arrange("scatter_softmax", src, index, dim, dim_size, check_indices)
    return a.entries(_softmax(a.x, a.index, a.targets, a.check))


def scatter_log_softmax(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim: int = -1,
    dim_size: int | None = None,
    *,
    check_indices: bool = True,
) -> Tensor:
    r"""Returns the logarithm of `scatter_softmax`, $x_e - \log \sum_f \exp x_f$, without its underflow.

    Example:
        >>> import torch
        >>> scatter_log_softmax(torch.tensor([0.0, 0.0, 7.0]), torch.tensor([0, 0, 1]))
        tensor([-0.6931, -0.6931,  0.0000])
    """
    check_float("scatter_log_softmax", src)
    a = arrange("scatter_log_softmax", src, index, dim, dim_size, check_indices)
    total = _logsumexp(a.x, a.index, a.targets, a.check)
    return a.entries(a.x - gather(total, a.index, False))


def scatter_logsumexp(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim: int = -1,
    dim_size: int | None = None,
    *,
    check_indices: bool = True,
) -> Tensor:
    r"""Returns $\log \sum_e \exp x_e$ over the entries of each target; $-\infty$ for a target without entries.

    Arguments and errors are those of `scatter`.

    Example:
        >>> import torch
        >>> scatter_logsumexp(torch.tensor([0.0, 0.0, 7.0]), torch.tensor([0, 0, 1]))
        tensor([0.6931, 7.0000])
    """
    check_float("scatter_logsumexp", src)
    a = arrange("scatter_logsumexp", src, index, dim, dim_size, check_indices)
    return a.restore(_logsumexp(a.x, a.index, a.targets, a.check))
