"""Raw reductions of contiguous segments; ptr is (1 or outer, segments + 1) and x is (outer, entries, inner)."""

import torch
from torch import Tensor

from ._checks import check_bounds
from ._derive import batch_first, derive
from ._library import plain_torch
from ._reduce import (
    Size,
    _extremum_backward,
    _extremum_jvp,
    _save_arg,
    _scatter_extremum_torch,
    _scatter_mul_torch,
    _scatter_sum_torch,
    gather,
    scatter_others,
    scatter_sum,
)


def _check_ascending(op: str, name: str, index: Tensor, bound: int) -> None:
    """Raises unless every row ascends within [0, bound)."""
    outside = ((index < 0) | (index >= bound)).nonzero()
    if len(outside):
        check_bounds(op, name, index[outside[0, 0]], bound)
    wrong = (index[:, 1:] < index[:, :-1]).nonzero()
    if len(wrong):
        e = int(wrong[0, 1]) + 1
        row = index[wrong[0, 0]]
        raise ValueError(
            f"{op}: expected {name} in ascending order, but {name}[{e}] = {int(row[e])} follows {int(row[e - 1])}; sort it, or "
            "use scatter"
        )


def _owners(ptr: Tensor, entries: Size) -> Tensor:
    """Returns the segment of each entry (rows, entries), and the number of segments where it has none."""
    segments = ptr.shape[1] - 1
    position = torch.arange(entries, device=ptr.device).expand(ptr.shape[0], entries).contiguous()
    owner = torch.searchsorted(ptr.contiguous(), position, right=True) - 1
    return torch.where((owner < 0) | (position >= ptr[:, -1:]), segments, owner)


def _by_row(x: Tensor, ptr: Tensor, reduce):
    """Calls reduce(rows, owner) for the outer rows that share pointers, and joins the results."""
    owners = _owners(ptr, x.shape[1])
    if len(owners) == 1:
        return reduce(x, owners[0])
    found = [reduce(x[o : o + 1], owners[o]) for o in range(len(owners))]
    return tuple(map(torch.cat, zip(*found, strict=True))) if isinstance(found[0], tuple) else torch.cat(found)


def _segment_sum_torch(x: Tensor, ptr: Tensor) -> Tensor:
    _check_ascending("segment_sum", "ptr", ptr, x.shape[1] + 1)
    n = ptr.shape[1] - 1
    return _by_row(x, ptr, lambda rows, owner: _scatter_sum_torch(rows, owner, n + 1, False)[:, :n]).clone()


def _segment_mul_torch(x: Tensor, ptr: Tensor) -> Tensor:
    _check_ascending("segment_mul", "ptr", ptr, x.shape[1] + 1)
    n = ptr.shape[1] - 1
    return _by_row(x, ptr, lambda rows, owner: _scatter_mul_torch(rows, owner, n + 1, False)[:, :n]).clone()


def _segment_extremum_torch(x: Tensor, ptr: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    _check_ascending("segment_extremum", "ptr", ptr, x.shape[1] + 1)
    n = ptr.shape[1] - 1
    out, arg = _by_row(x, ptr, lambda rows, owner: _scatter_extremum_torch(rows, owner, n + 1, largest, False))
    return out[:, :n].clone(), arg[:, :n].clone()  # no views: forward mode refuses them


def _gather_csr_torch(x: Tensor, ptr: Tensor, e: int) -> Tensor:
    _check_ascending("gather_csr", "ptr", ptr, e + 1)
    padded = torch.cat([x, x.new_zeros(x.shape[0], 1, x.shape[2])], 1)
    owners = _owners(ptr, e)
    if len(owners) == 1:
        return padded.index_select(1, owners[0])
    return padded.gather(1, owners[:, :, None].expand(x.shape[0], e, x.shape[2]))


def _index_to_ptr_torch(index: Tensor, n: int, check: bool) -> Tensor:
    if check:
        _check_ascending("index_to_ptr", "index", index, n)
    values = torch.arange(n + 1, device=index.device).expand(index.shape[0], n + 1).contiguous()
    return torch.searchsorted(index.long().contiguous(), values)


plain_torch("segment_sum", _segment_sum_torch)
plain_torch("segment_mul", _segment_mul_torch)
plain_torch("segment_extremum", _segment_extremum_torch)
plain_torch("gather_csr", _gather_csr_torch)
plain_torch("index_to_ptr", _index_to_ptr_torch)


@torch.library.register_fake("geoops::segment_sum")
@torch.library.register_fake("geoops::segment_mul")
def _(x: Tensor, ptr: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], ptr.shape[1] - 1, x.shape[2])


@torch.library.register_fake("geoops::segment_extremum")
def _(x: Tensor, ptr: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    out = x.new_empty(x.shape[0], ptr.shape[1] - 1, x.shape[2])
    return out, out.new_empty(out.shape, dtype=torch.int64)


@torch.library.register_fake("geoops::gather_csr")
def _(x: Tensor, ptr: Tensor, e: Size) -> Tensor:
    return x.new_empty(x.shape[0], e, x.shape[2])


@torch.library.register_fake("geoops::index_to_ptr")
def _(index: Tensor, n: Size, check: bool) -> Tensor:
    return index.new_empty(index.shape[0], n + 1, dtype=torch.int64)


def _vmap(op: str):
    raw = getattr(torch.ops.geoops, op).default

    def rule(info, in_dims, x, ptr, *rest):
        size = info.batch_size
        x = batch_first(x, in_dims[0], size)
        if in_dims[1] is not None or len(ptr) > 1:
            ptr = batch_first(ptr, in_dims[1], size).expand(size, x.shape[1], -1).flatten(0, 1)
        out = raw(x.flatten(0, 1), ptr, *rest)
        if isinstance(out, tuple):
            return tuple(t.reshape(size, -1, *t.shape[1:]) for t in out), (0, 0)
        return out.reshape(x.shape[:2] + out.shape[1:]), 0

    return rule


def _save_ptr(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.entries = inputs[0].shape[1]


segment_sum = derive(
    "segment_sum",
    _save_ptr,
    lambda ctx, g: (gather_csr(g, ctx.saved_tensors[0], ctx.entries), None),
    lambda ctx, x, *_: segment_sum(x, ctx.saved_tensors[0]),
    _vmap("segment_sum"),
)


def _save_entries(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.entries = inputs[2]


gather_csr = derive(
    "gather_csr",
    _save_entries,
    lambda ctx, g: (segment_sum(g, ctx.saved_tensors[0]), None, None),
    lambda ctx, x, *_: gather_csr(x, ctx.saved_tensors[0], ctx.entries),
    _vmap("gather_csr"),
)

segment_extremum = derive("segment_extremum", _save_arg, _extremum_backward, _extremum_jvp, _vmap("segment_extremum"))


def _save_both(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _flat_owners(x: Tensor, ptr: Tensor) -> tuple[Tensor, Tensor, Size]:
    """Returns x as one outer row, the owner of each entry in it, and the number of owners, one more for entries of none."""
    segments = ptr.shape[1]
    owners = _owners(ptr, x.shape[1]).expand(x.shape[0], -1)
    shift = segments * torch.arange(x.shape[0], device=x.device)[:, None]
    return x.reshape(1, -1, x.shape[2]), (owners + shift).flatten(), segments * x.shape[0]


def _padded(g: Tensor) -> Tensor:
    return torch.cat([g, g.new_zeros(g.shape[0], 1, g.shape[2])], 1).reshape(1, -1, g.shape[2])


def _mul_backward(ctx, g: Tensor):
    x, ptr = ctx.saved_tensors
    flat, owner, n = _flat_owners(x, ptr)
    return (gather(_padded(g), owner, False) * scatter_others(flat, owner, n)).reshape(x.shape), None


def _mul_jvp(ctx, t: Tensor, *_):
    x, ptr = ctx.saved_tensors
    flat, owner, n = _flat_owners(x, ptr)
    terms = t.reshape(flat.shape) * scatter_others(flat, owner, n)
    return scatter_sum(terms, owner, n, False).reshape(x.shape[0], ptr.shape[1], x.shape[2])[:, :-1]


segment_mul = derive("segment_mul", _save_both, _mul_backward, _mul_jvp, _vmap("segment_mul"))
