"""From the arguments of scatter and segment to the layout of the raw ops and back."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import _INTEGERS, _names, check_bounds, check_devices


class Arranged(NamedTuple):
    """Entries (outer, entries, inner), the target of each, how many targets there are, and the way back of results with one
    value for each target, of positions in x, and of results with one value for each entry.
    """

    x: Tensor
    index: Tensor
    targets: int
    restore: Callable[[Tensor], Tensor]
    positions: Callable[[Tensor], Tensor]
    entries: Callable[[Tensor], Tensor]
    check: bool


def check_index(op: str, name: str, index: Tensor) -> None:
    """Raises unless index is a tensor of int32 or int64."""
    if index.dtype not in _INTEGERS:
        raise TypeError(f"{op}: expected {name} of dtype {_names(_INTEGERS)}, got {index.dtype}; use {name}.long()")


def whole_dim(op: str, src: Tensor, dim: int) -> int:
    """Returns a dimension counted from the front."""
    if src.ndim == 0 or not -src.ndim <= dim < src.ndim:
        raise ValueError(f"{op}: expected dim in [{-src.ndim}, {src.ndim}) for src of shape {tuple(src.shape)}, got {dim}")
    return dim % src.ndim


def arrange(op: str, src: Tensor, index: Tensor, dim: int, dim_size: int | None, check: bool) -> Arranged:
    """Returns src and index in the layout of the raw ops.

    An index that is the same along a dimension, given once or expanded, is not copied along it: leading dimensions become
    outer rows and trailing ones inner channels. Where it varies, targets are numbered through.
    """
    dim = whole_dim(op, src, dim)
    check_index(op, "index", index)
    check_devices(op, src=src, index=index)
    if index.ndim == 1:
        index = index.view(*(1 for _ in range(dim)), -1)
    if index.ndim > src.ndim:
        raise ValueError(f"{op}: expected index with at most the {src.ndim} dimensions of src, got {tuple(index.shape)}")
    index = index.view(*index.shape, *(1 for _ in range(src.ndim - index.ndim)))
    if index.shape[dim] != src.shape[dim] or any(a not in (1, b) for a, b in zip(index.shape, src.shape, strict=True)):
        raise ValueError(
            f"{op}: expected index that broadcasts to src of shape {tuple(src.shape)} with {src.shape[dim]} entries along dim "
            f"{dim}, got {tuple(index.shape)}"
        )
    if dim_size is None:
        dim_size = int(index.max()) + 1 if index.numel() else 0
        if dim_size < 0:
            check_bounds(op, "index", index.flatten(), 0)
    if dim_size < 0:
        raise ValueError(f"{op}: expected dim_size >= 0, got {dim_size}")
    for d in range(index.ndim):
        if d != dim and index.shape[d] > 1 and index.stride(d) == 0:
            index = index.narrow(d, 0, 1)
    lead, entries, trail = src.shape[:dim], src.shape[dim], src.shape[dim + 1 :]
    outer, inner = lead.numel(), trail.numel()
    if index.numel() == entries:
        shape = (*lead, dim_size, *trail)
        back = lambda t: t.reshape(shape)  # noqa: E731
        same = lambda t: t.reshape(src.shape)  # noqa: E731
        return Arranged(src.reshape(outer, entries, inner), index.reshape(entries), dim_size, back, back, same, check)
    if check and not torch.compiler.is_compiling():
        check_bounds(op, "index", index, dim_size)
    if index.shape[dim + 1 :].numel() == 1:
        index = index.expand(*lead, entries, *index.shape[dim + 1 :]).reshape(outer, entries)
        rows, x, shape = outer, src.reshape(1, outer * entries, inner), (*lead, dim_size, *trail)
        back = lambda t: t.reshape(shape)  # noqa: E731
        same = lambda t: t.reshape(src.shape)  # noqa: E731
    else:
        index = index.expand(src.shape).movedim(dim, -1).reshape(-1, entries)
        rows, x, shape = outer * inner, src.movedim(dim, -1).reshape(1, -1, 1), (*lead, *trail, dim_size)
        back = lambda t: t.reshape(shape).movedim(-1, dim)  # noqa: E731
        same = lambda t: t.reshape(*lead, *trail, entries).movedim(-1, dim)  # noqa: E731
    shift = dim_size * torch.arange(rows, device=index.device)[:, None]

    def positions(arg: Tensor) -> Tensor:
        return back(torch.where(arg == rows * entries, entries, arg % max(entries, 1)))

    return Arranged(x, (index + shift).flatten(), rows * dim_size, back, positions, same, False)
