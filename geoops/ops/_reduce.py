"""Raw reductions in one layout, with their derivatives: x is (outer, entries, inner), an index lists the targets of entries.

Sum and gather are adjoint, and so are `take` and `put`; minimum and maximum save where they were found. So all derivatives
are ops of this file again.
"""

import torch
from torch import Tensor

from ._checks import check_bounds
from ._derive import derive, vmap_outer, vmap_targets
from ._library import plain_torch

Size = int | torch.SymInt


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _trusted(op: str, index: Tensor, n: int, check: bool) -> None:
    if check:
        check_bounds(op, "index", index, n)


def _gather_torch(x: Tensor, index: Tensor, check: bool) -> Tensor:
    _trusted("gather", index, x.shape[1], check)
    return x.index_select(1, index)


def _scatter_sum_torch(x: Tensor, index: Tensor, n: int, check: bool) -> Tensor:
    _trusted("scatter_sum", index, n, check)
    out = x.new_zeros(x.shape[0], n, x.shape[2], dtype=_wide(x.dtype))
    return out.index_add_(1, index, x.to(out.dtype)).to(x.dtype)


def _expand(index: Tensor, x: Tensor) -> Tensor:
    return index.long()[None, :, None].expand(x.shape)


def _scatter_mul_torch(x: Tensor, index: Tensor, n: int, check: bool) -> Tensor:
    _trusted("scatter_mul", index, n, check)
    out = x.new_ones(x.shape[0], n, x.shape[2], dtype=_wide(x.dtype))
    return out.scatter_reduce_(1, _expand(index, x), x.to(out.dtype), "prod").to(x.dtype)


def _scatter_extremum_torch(x: Tensor, index: Tensor, n: int, largest: bool, check: bool) -> tuple[Tensor, Tensor]:
    _trusted("scatter_extremum", index, n, check)
    entries, shape = x.shape[1], (x.shape[0], n, x.shape[2])
    where = _expand(index, x)
    best = x.new_zeros(shape).scatter_reduce_(1, where, x, "amax" if largest else "amin", include_self=False)
    held = best.gather(1, where)
    hit = (x == held) | ((x != x) & (held != held))
    position = torch.arange(entries, device=x.device)[None, :, None].expand(x.shape)
    position = torch.where(hit, position, entries)
    arg = position.new_full(shape, entries).scatter_reduce_(1, where, position, "amin")
    return best, arg


def _take_torch(x: Tensor, arg: Tensor) -> Tensor:
    valid = (arg >= 0) & (arg < x.shape[1])
    if x.shape[1] == 0:
        return x.new_zeros(arg.shape)
    return torch.where(valid, x.gather(1, torch.where(valid, arg, 0)), 0)


def _put_torch(g: Tensor, arg: Tensor, e: int) -> Tensor:
    arg = torch.where((arg >= 0) & (arg < e), arg, e)
    return g.new_zeros(g.shape[0], e + 1, g.shape[2]).scatter_(1, arg, g)[:, :e].contiguous()


plain_torch("gather", _gather_torch)
plain_torch("scatter_sum", _scatter_sum_torch)
plain_torch("scatter_mul", _scatter_mul_torch)
plain_torch("scatter_extremum", _scatter_extremum_torch)
plain_torch("take", _take_torch)
plain_torch("put", _put_torch)


@torch.library.register_fake("geoops::gather")
def _(x: Tensor, index: Tensor, check: bool) -> Tensor:
    return x.new_empty(x.shape[0], index.shape[0], x.shape[2])


@torch.library.register_fake("geoops::scatter_sum")
@torch.library.register_fake("geoops::scatter_mul")
def _(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    return x.new_empty(x.shape[0], n, x.shape[2])


@torch.library.register_fake("geoops::scatter_extremum")
def _(x: Tensor, index: Tensor, n: Size, largest: bool, check: bool) -> tuple[Tensor, Tensor]:
    out = x.new_empty(x.shape[0], n, x.shape[2])
    return out, out.new_empty(out.shape, dtype=torch.int64)


@torch.library.register_fake("geoops::take")
def _(x: Tensor, arg: Tensor) -> Tensor:
    return x.new_empty(arg.shape)


@torch.library.register_fake("geoops::put")
def _(g: Tensor, arg: Tensor, e: Size) -> Tensor:
    return g.new_empty(g.shape[0], e, g.shape[2])


def _save_index(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.n = inputs[0].shape[1] if len(inputs) == 3 else inputs[2]


gather = derive(
    "gather",
    _save_index,
    lambda ctx, g: (scatter_sum(g, ctx.saved_tensors[0], ctx.n, False), None, None),
    lambda ctx, x, *_: gather(x, ctx.saved_tensors[0], False),
    vmap_targets("gather", 1),
)

scatter_sum = derive(
    "scatter_sum",
    _save_index,
    lambda ctx, g: (gather(g, ctx.saved_tensors[0], False), None, None, None),
    lambda ctx, x, *_: scatter_sum(x, ctx.saved_tensors[0], ctx.n, False),
    vmap_targets("scatter_sum", 1),
)


def _save_arg(ctx, inputs, output) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.entries = inputs[0].shape[1]
    ctx.others = len(inputs) - 1


def _extremum_backward(ctx, g: Tensor, _):
    return (put(g, ctx.saved_tensors[0], ctx.entries), *(None for _ in range(ctx.others)))


def _extremum_jvp(ctx, x: Tensor, *_):
    return take(x, ctx.saved_tensors[0]), None


scatter_extremum = derive("scatter_extremum", _save_arg, _extremum_backward, _extremum_jvp, vmap_targets("scatter_extremum", 1))


def _save_positions(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.entries = inputs[0].shape[1] if len(inputs) == 2 else inputs[2]


take = derive(
    "take",
    _save_positions,
    lambda ctx, g: (put(g, ctx.saved_tensors[0], ctx.entries), None),
    lambda ctx, x, *_: take(x, ctx.saved_tensors[0]),
    vmap_outer("take", 2),
)

put = derive(
    "put",
    _save_positions,
    lambda ctx, g: (take(g, ctx.saved_tensors[0]), None, None),
    lambda ctx, g, *_: put(g, ctx.saved_tensors[0], ctx.entries),
    vmap_outer("put", 2),
)


def _save_factors(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])
    ctx.n = inputs[2]


def _others(x: Tensor, index: Tensor, change: Tensor | None = None) -> Tensor:
    """Returns, for each entry, the product of the other entries of its target, by products of pairs of pairs.

    Divisions would fail at zeros. In the order of targets each level multiplies neighbours of one target; going back down,
    an entry gets what its parent got, times its sibling. All of it is gathers and products, so derivatives of any order
    are right, at zeros too. With `change`, returns the derivative in that direction instead, by the same products of dual
    numbers x + t change; the matrix of these derivatives is symmetric, so it serves forward and reverse mode.
    """
    order = index.long().argsort(stable=True)
    key = index.long()[order]
    rows = [t.index_select(1, order) for t in ((x,) if change is None else (x, change))]
    levels = []
    while True:
        place = torch.arange(len(key), device=key.device)
        first = torch.cat([key.new_ones(min(len(key), 1), dtype=torch.bool), key[1:] != key[:-1]])
        odd = (place - torch.where(first, place, 0).cummax(0).values) % 2 == 1 if len(key) else first
        if not bool(odd.any()):
            break
        paired = torch.cat([odd[1:], odd[:1]])  # the first is never odd
        sibling = torch.where(odd, place - 1, torch.where(paired, place + 1, len(key)))
        siblings = [torch.cat([t, torch.full_like(t[:, :1], 1 - i)], 1).index_select(1, sibling) for i, t in enumerate(rows)]
        levels.append((siblings, (~odd).long().cumsum(0) - 1))
        even = (~odd).nonzero().flatten()
        rows = [t.index_select(1, even) for t in _times(rows, siblings)]
        key = key[even]
    rest = [torch.full_like(t, 1 - i) for i, t in enumerate(rows)]
    for siblings, parent in reversed(levels):
        rest = _times([t.index_select(1, parent) for t in rest], siblings)
    return rest[-1].index_select(1, order.argsort())


def _times(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    """Returns the product of numbers or dual numbers."""
    return [a[0] * b[0]] if len(a) == 1 else [a[0] * b[0], a[0] * b[1] + a[1] * b[0]]


def _others_torch(x: Tensor, index: Tensor, n: int) -> Tensor:
    return _others(x.to(_wide(x.dtype)), index).to(x.dtype)


plain_torch("scatter_others", _others_torch)


@torch.library.register_fake("geoops::scatter_others")
def _(x: Tensor, index: Tensor, n: Size) -> Tensor:
    return torch.empty_like(x)


scatter_others = derive(
    "scatter_others",
    _save_factors,
    lambda ctx, g: (_others(*ctx.saved_tensors, g), None, None),
    lambda ctx, t, *_: _others(*ctx.saved_tensors, t),
    vmap_targets("scatter_others", 1),
)


def _mul_backward(ctx, g: Tensor):
    x, index = ctx.saved_tensors
    return gather(g, index, False) * scatter_others(x, index, ctx.n), None, None, None


def _mul_jvp(ctx, t: Tensor, *_):
    x, index = ctx.saved_tensors
    return scatter_sum(t * scatter_others(x, index, ctx.n), index, ctx.n, False)


scatter_mul = derive("scatter_mul", _save_factors, _mul_backward, _mul_jvp, vmap_targets("scatter_mul", 1))
