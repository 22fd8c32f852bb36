"""Reductions of the entries that share a target."""

from typing import Literal, overload

import torch
from jaxtyping import Num, Shaped
from torch import Tensor

from ._checks import _FLOATS, _names
from ._layout import Arranged, arrange
from ._reduce import gather, scatter_extremum, scatter_mul, scatter_sum

Reduce = Literal["sum", "mean", "min", "max", "mul"]


@overload
def scatter(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    dim_size: int | None = None,
    reduce: Reduce = "sum",
    *,
    return_arg: Literal[False] = False,
    check_indices: bool = True,
) -> Tensor: ...
@overload
def scatter(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    dim_size: int | None = None,
    reduce: Reduce = "sum",
    *,
    return_arg: Literal[True],
    check_indices: bool = True,
) -> tuple[Tensor, Tensor]: ...
def scatter(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim: int = -1,
    dim_size: int | None = None,
    reduce: Reduce = "sum",
    *,
    return_arg: bool = False,
    check_indices: bool = True,
) -> Tensor | tuple[Tensor, Tensor]:
    r"""Reduces the entries of src that have the same index along a dimension.

    $$y_i = \operatorname*{reduce}_{e:\ \mathrm{index}(e) = i} x_e, \qquad i < \mathrm{dim\_size}$$

    Differentiable to any order in `src`. On the CPU the order in which entries are put together depends on sizes alone: the
    result has the same bits for any number of threads. On CUDA sums and products have the same bits in every run only under
    `torch.use_deterministic_algorithms`, which sorts the entries by target first. 16-bit floats are accumulated
    in 32 bits; integers wrap as in torch.

    Args:
        src: floats or integers of any shape.
        index: target of each entry, int32 or int64, in no order: one-dimensional, or of a shape that broadcasts to src.
        dim: dimension of src that is reduced.
        dim_size: number of targets; without it one more than the largest index, which has to be looked up.
        reduce: "sum", "mean" (integers are rounded down), "mul", "min" or "max". A target without entries gets 0, for "mul" 1.
        return_arg: also return where along dim each minimum or maximum is: the first of equals, and the length of dim for a
            target without entries. NaN counts as the extremum.
        check_indices: raise where an index is out of bounds. Without the check such an entry is left out.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape, a device or `reduce` does not fit.
        IndexError: an index is negative or not less than dim_size.

    Example:
        >>> scatter(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1, 0, 1]), dim_size=3)
        tensor([2., 5., 0.])
        >>> scatter(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1, 0, 1]), reduce="max", return_arg=True)
        (tensor([2., 4.]), tensor([1, 2]))
    """
    check_number("scatter", src)
    check_reduce("scatter", reduce, return_arg)
    a = arrange("scatter", src, index, dim, dim_size, check_indices)
    if reduce in ("min", "max"):
        out, arg = scatter_extremum(a.x, a.index, a.targets, reduce == "max", a.check)
        return (a.restore(out), a.positions(arg)) if return_arg else a.restore(out)
    if reduce == "mul":
        return a.restore(scatter_mul(a.x, a.index, a.targets, a.check))
    if reduce == "sum":
        return a.restore(scatter_sum(a.x, a.index, a.targets, a.check))
    return a.restore(divide(scatter_sum(widened(a.x), a.index, a.targets, a.check), counts(a)).to(src.dtype))


def counts(a: Arranged) -> Tensor:
    """Returns the number of entries of each target (1, targets, 1), at least 1."""
    dtype = a.x.dtype if a.x.dtype in (torch.float32, torch.float64, torch.int64) else torch.int32
    ones = a.x.new_ones(1, 1, 1, dtype=dtype).expand(1, len(a.index), 1)
    return scatter_sum(ones, a.index, a.targets, False).clamp(min=1)


def widened(x: Tensor) -> Tensor:
    """Returns 16-bit floats in 32 bits, so that a mean is rounded once."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def divide(total: Tensor, count: Tensor) -> Tensor:
    """Returns total / count in the dtype of total, in its memory if it is floating; integers are rounded down."""
    if total.is_floating_point():
        return total.div_(count)
    return total.div(count, rounding_mode="floor").to(total.dtype)


def scatter_std(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim: int = -1,
    dim_size: int | None = None,
    *,
    unbiased: bool = True,
    check_indices: bool = True,
) -> Tensor:
    r"""Returns the standard deviation of the entries that have the same index.

    $$\sigma_i^2 = \frac{1}{\max(n_i - u, 1)} \sum_{e:\ \mathrm{index}(e) = i} (x_e - \bar x_i)^2$$

    with $u = 1$ if unbiased, else 0. Computed in two passes, so a large mean costs no digits. The derivative at
    $\sigma_i = 0$ is set to 0. Arguments and errors are those of `scatter`.

    Example:
        >>> scatter_std(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 0, 1]))
        tensor([1.4142, 0.0000])
    """
    check_float("scatter_std", src)
    a = arrange("scatter_std", src, index, dim, dim_size, check_indices)
    count = counts(a)
    mean = divide(scatter_sum(a.x, a.index, a.targets, a.check), count)
    away = a.x - gather(mean, a.index, False)
    variance = divide(scatter_sum(away * away, a.index, a.targets, False), (count - int(unbiased)).clamp(min=1))
    positive = variance > 0
    return a.restore(torch.where(positive, torch.where(positive, variance, 1).sqrt(), 0))


def check_number(op: str, src: Tensor) -> None:
    """Raises unless src is of a dtype that can be reduced."""
    if src.dtype not in (*_FLOATS, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"{op}: expected src of a floating or integer dtype, got {src.dtype}; cast it, for instance with .float()")


def check_float(op: str, src: Tensor) -> None:
    """Raises unless src is floating."""
    if src.dtype not in _FLOATS:
        raise TypeError(f"{op}: expected src of dtype {_names(_FLOATS)}, got {src.dtype}; cast it, for instance with .float()")


def check_reduce(op: str, reduce: str, return_arg: bool) -> None:
    """Raises unless the reduction exists and has positions if they are asked for."""
    if reduce not in ("sum", "mean", "min", "max", "mul"):
        raise ValueError(f'{op}: expected reduce "sum", "mean", "min", "max" or "mul", got {reduce!r}')
    if return_arg and reduce not in ("min", "max"):
        raise ValueError(f'{op}: return_arg needs reduce "min" or "max", got {reduce!r}')
