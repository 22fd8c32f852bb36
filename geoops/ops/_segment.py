"""Reductions of contiguous segments, and their adjoints."""

from collections.abc import Callable

import torch
from jaxtyping import Num, Shaped
from torch import Tensor

from ._checks import check_devices
from ._layout import check_index
from ._reduce import gather
from ._reduce_segments import gather_csr as _gather_csr
from ._reduce_segments import segment_extremum, segment_mul, segment_sum
from ._scatter import Reduce, check_number, check_reduce, divide, widened

_ops = torch.ops.geoops


def segment_csr(
    src: Num[Tensor, "..."], indptr: Shaped[Tensor, "..."], reduce: Reduce = "sum", *, return_arg: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    r"""Reduces contiguous segments of src that pointers delimit (compressed sparse rows).

    $$y_i = \operatorname*{reduce}_{\mathrm{indptr}(i) \le e < \mathrm{indptr}(i + 1)} x_e$$

    Faster than `scatter`, since entries are read in order and each segment stays in registers. Otherwise as `scatter`.

    Args:
        src: floats or integers; the last dimension of `indptr` says which is reduced.
        indptr: ascending pointers (..., segments + 1), int32 or int64; leading dimensions are those of src, or 1.
        reduce: see `scatter`.
        return_arg: see `scatter`.

    Raises:
        TypeError, ValueError: a dtype, a shape, a device or `reduce` does not fit, or indptr does not ascend.
        IndexError: a pointer is outside [0, entries].

    Example:
        >>> segment_csr(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([3., 0., 4.])
    """
    check_number("segment_csr", src)
    check_reduce("segment_csr", reduce, return_arg)
    x, ptr, shape = _by_pointers("segment_csr", src, indptr)
    return _reduce(x, ptr, reduce, return_arg, lambda t: t.reshape(shape))


def segment_coo(
    src: Num[Tensor, "..."],
    index: Shaped[Tensor, "..."],
    dim_size: int | None = None,
    reduce: Reduce = "sum",
    *,
    return_arg: bool = False,
    check_indices: bool = True,
) -> Tensor | tuple[Tensor, Tensor]:
    """Reduces the entries of src that have the same index, where the index ascends.

    As `scatter` along the last dimension of `index`, and faster; an index out of order is refused.

    Args:
        src: floats or integers.
        index: ascending targets (..., entries), int32 or int64; leading dimensions are those of src, or 1.
        dim_size: number of targets; without it one more than the largest index.
        reduce: see `scatter`.
        return_arg: see `scatter`.
        check_indices: raise where the index is out of bounds or order; without the check the result is then undefined.

    Raises:
        TypeError, ValueError: a dtype, a shape, a device or `reduce` does not fit, or index does not ascend.
        IndexError: an index is out of bounds.

    Example:
        >>> segment_coo(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 2]))
        tensor([3., 0., 4.])
    """
    check_number("segment_coo", src)
    check_reduce("segment_coo", reduce, return_arg)
    index = _leading("segment_coo", "index", index, src)
    dim = index.ndim - 1
    if index.shape[-1] != src.shape[dim]:
        raise ValueError(f"segment_coo: expected {src.shape[dim]} indices along dim {dim} of src, got {index.shape[-1]}")
    if dim_size is None:
        dim_size = int(index.max()) + 1 if index.numel() else 0
    lead, trail = src.shape[:dim], src.shape[dim + 1 :]
    ptr = _ops.index_to_ptr.default(index.reshape(index.shape[:-1].numel(), src.shape[dim]), max(dim_size, 0), check_indices)
    x = src.reshape(lead.numel(), src.shape[dim], trail.numel())
    return _reduce(x, ptr, reduce, return_arg, lambda t: t.reshape(*lead, dim_size, *trail))


def gather_csr(src: Num[Tensor, "..."], indptr: Shaped[Tensor, "..."], size: int | None = None) -> Tensor:
    """Repeats the values of segments over their entries: the adjoint of the sum of `segment_csr`.

    Args:
        src: one value for each segment along the last dimension of indptr.
        indptr: ascending pointers (..., segments + 1); leading dimensions are those of src, or 1.
        size: number of entries; without it the last pointer. Entries of no segment get 0.

    Raises:
        TypeError, ValueError, IndexError: as `segment_csr`.

    Example:
        >>> gather_csr(torch.tensor([3.0, 0.0, 4.0]), torch.tensor([0, 2, 2, 3]))
        tensor([3., 3., 4.])
    """
    indptr = _leading("gather_csr", "indptr", indptr, src)
    dim = indptr.ndim - 1
    if indptr.shape[-1] != src.shape[dim] + 1:
        raise ValueError(
            f"gather_csr: expected {src.shape[dim] + 1} pointers for {src.shape[dim]} segments, got {indptr.shape[-1]}"
        )
    if size is None:
        size = int(indptr[..., -1].max()) if indptr.numel() else 0
    lead, trail = src.shape[:dim], src.shape[dim + 1 :]
    x = src.reshape(lead.numel(), src.shape[dim], trail.numel())
    return _gather_csr(x, indptr.reshape(indptr.shape[:-1].numel(), indptr.shape[-1]).long(), size).reshape(*lead, size, *trail)


def gather_coo(src: Num[Tensor, "..."], index: Shaped[Tensor, "..."], *, check_indices: bool = True) -> Tensor:
    """Returns the values of the targets of entries: the adjoint of the sum of `segment_coo`; index need not ascend.

    Args:
        src: one value for each target along the last dimension of index.
        index: targets (..., entries), int32 or int64; leading dimensions are those of src, or 1.
        check_indices: raise where an index is out of bounds; without the check such an entry gets 0.

    Raises:
        TypeError, ValueError: a dtype, a shape or a device does not fit.
        IndexError: an index is out of bounds.

    Example:
        >>> gather_coo(torch.tensor([3.0, 0.0, 4.0]), torch.tensor([0, 0, 2]))
        tensor([3., 3., 4.])
    """
    index = _leading("gather_coo", "index", index, src)
    dim = index.ndim - 1
    lead, n, trail = src.shape[:dim], src.shape[dim], src.shape[dim + 1 :]
    entries = index.shape[-1]
    if index.shape[:-1].numel() == 1:
        out = gather(src.reshape(lead.numel(), n, trail.numel()), index.reshape(-1), check_indices)
        return out.reshape(*lead, entries, *trail)
    shift = n * torch.arange(lead.numel(), device=src.device)[:, None]
    flat = index.reshape(lead.numel(), entries)
    if check_indices and not torch.compiler.is_compiling():
        gather(src.new_empty(1, n, 0), flat.flatten(), True)
    out = gather(src.reshape(1, lead.numel() * n, trail.numel()), (flat + shift).flatten(), False)
    return out.reshape(*lead, entries, *trail)


def _leading(op: str, name: str, index: Tensor, src: Tensor) -> Tensor:
    """Returns an index whose leading dimensions are those of src or all 1."""
    check_index(op, name, index)
    check_devices(op, src=src, **{name: index})
    if index.ndim == 0 or index.ndim > src.ndim:
        raise ValueError(
            f"{op}: expected {name} with 1 to {src.ndim} dimensions for src of shape {tuple(src.shape)}, got {index.ndim}"
        )
    lead, given = src.shape[: index.ndim - 1], index.shape[:-1]
    if any(a not in (1, b) for a, b in zip(given, lead, strict=True)):
        raise ValueError(f"{op}: expected {name} with leading dimensions {tuple(lead)} or 1, got {tuple(index.shape)}")
    return index if given.numel() == 1 else index.expand(*lead, index.shape[-1])


def _by_pointers(op: str, src: Tensor, indptr: Tensor) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    indptr = _leading(op, "indptr", indptr, src)
    if indptr.shape[-1] == 0:
        raise ValueError(f"{op}: expected indptr with one pointer more than there are segments, got none")
    dim = indptr.ndim - 1
    lead, trail = src.shape[:dim], src.shape[dim + 1 :]
    x = src.reshape(lead.numel(), src.shape[dim], trail.numel())
    return x, indptr.reshape(indptr.shape[:-1].numel(), indptr.shape[-1]).long(), (*lead, indptr.shape[-1] - 1, *trail)


def _reduce(x: Tensor, ptr: Tensor, reduce: Reduce, return_arg: bool, restore: Callable[[Tensor], Tensor]):
    if reduce in ("min", "max"):
        out, arg = segment_extremum(x, ptr, reduce == "max")
        return (restore(out), restore(arg)) if return_arg else restore(out)
    if reduce == "mul":
        return restore(segment_mul(x, ptr))
    if reduce == "sum":
        return restore(segment_sum(x, ptr))
    return restore(divide(segment_sum(widened(x), ptr), ptr.diff(dim=1).clamp(min=1)[:, :, None]).to(x.dtype))
