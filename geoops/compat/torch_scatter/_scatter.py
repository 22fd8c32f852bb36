"""Reductions by an index in any order."""

from typing import Literal

import torch
from torch import Tensor

from geoops import ops

from ._out import extremum_into, mean_into, targets
from .utils import broadcast


def scatter_sum(src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    r"""Returns $\mathrm{out}_i + \sum_{e:\ \mathrm{index}(e) = i} x_e$, in place where out is given.

    Args:
        src: floats or integers of any shape.
        index: target of each entry, int32 or int64: a vector along dim, or of a shape that broadcasts to src.
        dim: dimension of src that is reduced.
        out: tensor to accumulate into, of the dtype of src and its shape but along dim.
        dim_size: number of targets where out is not given; without it one more than the largest index.

    Raises:
        TypeError, ValueError: a dtype or a shape does not fit.
        IndexError: an index is negative or not less than the number of targets.
    """
    result = ops.scatter(src, spread(src, index, dim), dim, targets("scatter_sum", src, dim, out, dim_size))
    return result if out is None else out.add_(result)


def scatter_add(src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    """The same as `scatter_sum`."""
    return scatter_sum(src, index, dim, out, dim_size)


def scatter_mul(src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    """Returns the product of out, or 1, and the entries of each target; otherwise as `scatter_sum`."""
    result = ops.scatter(src, spread(src, index, dim), dim, targets("scatter_mul", src, dim, out, dim_size), "mul")
    return result if out is None else out.mul_(result)


def scatter_mean(src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    """Returns the sum of out, or 0, and the entries of each target, over the number of entries or 1.

    Integers are rounded down; otherwise as `scatter_sum`.
    """
    n = targets("scatter_mean", src, dim, out, dim_size)
    index = spread(src, index, dim)
    if out is None:
        return ops.scatter(src, index, dim, n, "mean")
    return mean_into(out, ops.scatter(src, index, dim, n), ops.scatter(torch.ones_like(src), index, dim, n))


def scatter_min(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the minimum of out and the entries of each target, and where along dim it is.

    The position is that of the first of equals, and the length of dim for a target without entries, whose value is then 0
    or that of out, and where out is the minimum. Otherwise as `scatter_sum`.
    """
    return _extremum("min", src, index, dim, out, dim_size)


def scatter_max(
    src: Tensor, index: Tensor, dim: int = -1, out: Tensor | None = None, dim_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Returns the maximum of out and the entries of each target, and where along dim it is; see `scatter_min`."""
    return _extremum("max", src, index, dim, out, dim_size)


def scatter(
    src: Tensor,
    index: Tensor,
    dim: int = -1,
    out: Tensor | None = None,
    dim_size: int | None = None,
    reduce: str = "sum",
) -> Tensor:
    """Reduces as `scatter_sum`, or the function that reduce names: "sum" or "add", "mul", "mean", "min" or "max".

    Other arguments and errors are those of `scatter_sum`; positions of minima and maxima are not returned.

    Example:
        >>> scatter(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1, 0, 1]), reduce="max")
        tensor([2., 4.])
    """
    if reduce in ("sum", "add"):
        return scatter_sum(src, index, dim, out, dim_size)
    if reduce == "mul":
        return scatter_mul(src, index, dim, out, dim_size)
    if reduce == "mean":
        return scatter_mean(src, index, dim, out, dim_size)
    if reduce in ("min", "max"):
        return _extremum(reduce, src, index, dim, out, dim_size)[0]
    raise ValueError(f'scatter: expected reduce "sum", "add", "mul", "mean", "min" or "max", got {reduce!r}')


def _extremum(
    reduce: Literal["min", "max"], src: Tensor, index: Tensor, dim: int, out: Tensor | None, dim_size: int | None
) -> tuple[Tensor, Tensor]:
    n = targets(f"scatter_{reduce}", src, dim, out, dim_size)
    value, arg = ops.scatter(src, spread(src, index, dim), dim, n, reduce, return_arg=True)
    return (value, arg) if out is None else extremum_into(out, value, arg, src.shape[dim], reduce == "max")


def spread(src: Tensor, index: Tensor, dim: int) -> Tensor:
    """Repeats an index of one entry along dim, which geoops.ops refuses."""
    axis = 0 if index.ndim == 1 else dim % src.ndim if src.ndim else 0
    return broadcast(index, src, dim) if axis < index.ndim and index.shape[axis] == 1 else index
