"""Raw softmax and logarithm of the sum of exponentials over the entries of each target."""

import torch
from torch import Tensor

from ._derive import derive, vmap_targets
from ._library import plain_torch
from ._reduce import Size, _expand, _scatter_sum_torch, _trusted, _wide, gather, scatter_sum


def _top(x: Tensor, index: Tensor, n: int) -> Tensor:
    top = x.new_full((x.shape[0], n, x.shape[2]), -torch.inf)
    top = top.scatter_reduce_(1, _expand(index, x), x, "amax")
    return torch.where(top == -torch.inf, 0, top)


def _scatter_softmax_torch(x: Tensor, index: Tensor, n: int, check: bool) -> Tensor:
    _trusted("scatter_softmax", index, n, check)
    wide = x.to(_wide(x.dtype))
    power = (wide - _top(wide, index, n).index_select(1, index)).exp()
    return (power / _scatter_sum_torch(power, index, n, False).index_select(1, index)).to(x.dtype)


def _scatter_logsumexp_torch(x: Tensor, index: Tensor, n: int, check: bool) -> Tensor:
    _trusted("scatter_logsumexp", index, n, check)
    wide = x.to(_wide(x.dtype))
    top = _top(wide, index, n)
    power = (wide - top.index_select(1, index)).exp()
    total = top + _scatter_sum_torch(power, index, n, False).log()
    return torch.where(top == torch.inf, top, total).to(x.dtype)


def _softmax_backward_torch(y: Tensor, g: Tensor, index: Tensor, n: int) -> Tensor:
    wide, away = y.to(_wide(y.dtype)), g.to(_wide(y.dtype))
    dot = _scatter_sum_torch(wide * away, index, n, False)
    return (wide * (away - dot.index_select(1, index))).to(y.dtype)


plain_torch("scatter_softmax", _scatter_softmax_torch)
plain_torch("scatter_logsumexp", _scatter_logsumexp_torch)
plain_torch("softmax_backward", _softmax_backward_torch)


@torch.library.register_fake("geoops::scatter_softmax")
def _(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.register_fake("geoops::softmax_backward")
def _(y: Tensor, g: Tensor, index: Tensor, n: Size) -> Tensor:
    return torch.empty_like(y, memory_format=torch.contiguous_format)


@torch.library.register_fake("geoops::scatter_logsumexp")
def _(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    return x.new_empty(x.shape[0], n, x.shape[2])


def _save_softmax(ctx, inputs, output) -> None:
    ctx.save_for_backward(output, inputs[1])
    ctx.n = inputs[2]


def _softmax_rule(ctx, g: Tensor) -> Tensor:
    y, index = ctx.saved_tensors
    return softmax_backward(y, g, index, ctx.n)


scatter_softmax = derive(
    "scatter_softmax",
    _save_softmax,
    lambda ctx, g: (_softmax_rule(ctx, g), None, None, None),
    lambda ctx, x, *_: _softmax_rule(ctx, x),
    vmap_targets("scatter_softmax", 1),
)


def _save_pair(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.n = inputs[3]


def _pair_backward(ctx, h: Tensor):
    y, g, index = ctx.saved_tensors
    n = ctx.n
    dot = gather(scatter_sum(y * g, index, n, False), index, False)
    dy = h * (g - dot) - g * gather(scatter_sum(h * y, index, n, False), index, False)
    return dy, softmax_backward(y, h, index, n), None, None


def _pair_jvp(ctx, dy: Tensor, dg: Tensor, *_):
    y, g, index = ctx.saved_tensors
    n = ctx.n
    dot = gather(scatter_sum(y * g, index, n, False), index, False)
    change = gather(scatter_sum(dy * g, index, n, False), index, False)
    return dy * (g - dot) - y * change + softmax_backward(y, dg, index, n)


softmax_backward = derive("softmax_backward", _save_pair, _pair_backward, _pair_jvp, vmap_targets("softmax_backward", 2))


def _save_logsumexp(ctx, inputs, output) -> None:
    ctx.save_for_backward(inputs[0], output, inputs[1])
    ctx.n = inputs[2]


def _share(ctx) -> Tensor:
    x, total, index = ctx.saved_tensors
    return (x - gather(total, index, False)).exp()


scatter_logsumexp = derive(
    "scatter_logsumexp",
    _save_logsumexp,
    lambda ctx, g: (_share(ctx) * gather(g, ctx.saved_tensors[2], False), None, None, None),
    lambda ctx, x, *_: scatter_sum(_share(ctx) * x, ctx.saved_tensors[2], ctx.n, False),
    vmap_targets("scatter_logsumexp", 1),
)
