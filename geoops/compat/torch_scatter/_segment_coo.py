"""Reductions by an ascending index."""

from typing import Literal, cast

import torch
from torch import Tensor

from geoops import ops

from ._out import check_out, extremum_into, mean_into, targets


def segment_sum_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    r"""Returns $\mathrm{out}_i + \sum_{e:\ \mathrm{index}(e) = i} x_e$, in place where out is given.

    Args:
        src: floats or integers; the last dimension of index says which is reduced.
        index: ascending targets (..., entries), int32 or int64; leading dimensions broadcast to those of src.
        out: tensor to accumulate into, of the dtype of src and its shape but along that dimension.
        dim_size: number of targets where out is not given; without it one more than the largest index.

    Raises:
        TypeError, ValueError: a dtype or a shape does not fit, or index does not ascend.
        IndexError: an index is negative or not less than the number of targets.
    """
    n = targets("segment_sum_coo", src, index.ndim - 1, out, dim_size)
    result = _reduce("sum", src, spread(src, index), n)
    return result if out is None else out.add_(result)


def segment_add_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    """The same as `segment_sum_coo`."""
    return segment_sum_coo(src, index, out, dim_size)


def segment_mean_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None) -> Tensor:
    """Returns the sum of out, or 0, and the entries of each target, over the number of entries or 1.

    Integers are rounded down; otherwise as `segment_sum_coo`.
    """
    n = targets("segment_mean_coo", src, index.ndim - 1, out, dim_size)
    index = spread(src, index)
    if out is None:
        return _reduce("mean", src, index, n)
    return mean_into(out, _reduce("sum", src, index, n), _reduce("sum", torch.ones_like(src), index, n))


def segment_min_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Returns the minimum of out and the entries of each target, and the position of the first entry that has it.

    The position is the number of entries where there is no entry, whose value is then 0 or that of out, and where out is
    the minimum. Otherwise as `segment_sum_coo`.
    """
    return _extremum("min", src, index, out, dim_size)


def segment_max_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Returns the maximum of out and the entries of each target, and where it is; see `segment_min_coo`."""
    return _extremum("max", src, index, out, dim_size)


def segment_coo(src: Tensor, index: Tensor, out: Tensor | None = None, dim_size: int | None = None, reduce: str = "sum") -> Tensor:
    """Reduces as `segment_sum_coo`, or the function that reduce names: "sum" or "add", "mean", "min" or "max".

    Other arguments and errors are those of `segment_sum_coo`; positions of minima and maxima are not returned.

    Example:
        >>> segment_coo(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 2]))
        tensor([3., 0., 4.])
    """
    if reduce in ("sum", "add"):
        return segment_sum_coo(src, index, out, dim_size)
    if reduce == "mean":
        return segment_mean_coo(src, index, out, dim_size)
    if reduce in ("min", "max"):
        return _extremum(reduce, src, index, out, dim_size)[0]
    raise ValueError(f'segment_coo: expected reduce "sum", "add", "mean", "min" or "max", got {reduce!r}')


def gather_coo(src: Tensor, index: Tensor, out: Tensor | None = None) -> Tensor:
    """Returns the value of the target of each entry.

    Args:
        src: one value for each target along the last dimension of index.
        index: targets (..., entries), int32 or int64, in any order; leading dimensions broadcast to those of src.
        out: tensor for the result.

    Raises:
        TypeError, ValueError, IndexError: as in `segment_sum_coo`.
    """
    result = ops.gather_coo(src, index)
    if out is None:
        return result
    check_out("gather_coo", out, result.dtype, result.shape)
    return out.copy_(result)


def _extremum(
    reduce: Literal["min", "max"], src: Tensor, index: Tensor, out: Tensor | None, dim_size: int | None
) -> tuple[Tensor, Tensor]:
    dim = index.ndim - 1
    n = targets(f"segment_{reduce}_coo", src, dim, out, dim_size)
    value, arg = ops.segment_coo(src, spread(src, index), n, reduce, return_arg=True)
    return (value, arg) if out is None else extremum_into(out, value, arg, src.shape[dim], reduce == "max")


def _reduce(reduce: Literal["sum", "mean"], src: Tensor, index: Tensor, n: int | None) -> Tensor:
    return cast(Tensor, ops.segment_coo(src, index, n, reduce))


def spread(src: Tensor, index: Tensor) -> Tensor:
    """Repeats an index of one entry, which geoops.ops refuses."""
    once = 0 < index.ndim <= src.ndim and index.shape[-1] == 1
    return index.expand(*index.shape[:-1], src.shape[index.ndim - 1]) if once else index
