"""Reductions of contiguous segments that pointers delimit."""

from torch import Tensor

from geoops import ops

from ._out import check_out


def segment_sum_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> Tensor:
    r"""Returns $\sum_{\mathrm{indptr}(i) \le e < \mathrm{indptr}(i + 1)} x_e$; an out that is given is overwritten.

    Args:
        src: floats or integers; the last dimension of indptr says which is reduced.
        indptr: ascending pointers (..., segments + 1), int32 or int64; leading dimensions broadcast to those of src.
        out: tensor for the result.

    Raises:
        TypeError, ValueError: a dtype or a shape does not fit, or indptr does not ascend.
        IndexError: a pointer is outside [0, entries].
    """
    return _reduce("sum", src, indptr, out)


def segment_add_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> Tensor:
    """The same as `segment_sum_csr`."""
    return _reduce("sum", src, indptr, out)


def segment_mean_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> Tensor:
    """Returns the mean of each segment, 0 where it is empty; otherwise as `segment_sum_csr`."""
    return _reduce("mean", src, indptr, out)


def segment_min_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the minimum of each segment and the position of the first entry that has it.

    In an empty segment they are 0 and the number of entries. Otherwise as `segment_sum_csr`.
    """
    value, arg = ops.segment_csr(src, indptr, "min", return_arg=True)
    return _store("segment_min_csr", out, value), arg


def segment_max_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the maximum of each segment and the position of the first entry that has it; see `segment_min_csr`."""
    value, arg = ops.segment_csr(src, indptr, "max", return_arg=True)
    return _store("segment_max_csr", out, value), arg


def segment_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None, reduce: str = "sum") -> Tensor:
    """Reduces as `segment_sum_csr`, or the function that reduce names: "sum" or "add", "mean", "min" or "max".

    Other arguments and errors are those of `segment_sum_csr`; positions of minima and maxima are not returned.

    Example:
        >>> import torch
        >>> segment_csr(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([3., 0., 4.])
    """
    if reduce not in ("sum", "add", "mean", "min", "max"):
        raise ValueError(f'segment_csr: expected reduce "sum", "add", "mean", "min" or "max", got {reduce!r}')
    return _reduce(reduce, src, indptr, out)


def gather_csr(src: Tensor, indptr: Tensor, out: Tensor | None = None) -> Tensor:
    """Repeats the value of each segment over its entries; entries of no segment get 0.

    Args:
        src: one value for each segment along the last dimension of indptr.
        indptr: as in `segment_sum_csr`.
        out: tensor for the result; without it there are as many entries as the last pointer says.

    Raises:
        TypeError, ValueError, IndexError: as in `segment_sum_csr`.
    """
    size = out.shape[indptr.ndim - 1] if out is not None and out.ndim >= indptr.ndim else None
    return _store("gather_csr", out, ops.gather_csr(src, indptr, size))


def _reduce(reduce, src: Tensor, indptr: Tensor, out: Tensor | None) -> Tensor:
    reduce = "sum" if reduce == "add" else reduce
    return _store(f"segment_{reduce}_csr", out, ops.segment_csr(src, indptr, reduce))


def _store(op: str, out: Tensor | None, result: Tensor) -> Tensor:
    if out is None:
        return result
    check_out(op, out, result.dtype, result.shape)
    return out.copy_(result)
