"""Reductions that give the same bits in every run on CUDA, for `torch.use_deterministic_algorithms`.

The kernels of CUDA add what meets at a target in the order in which threads come. Here entries are sorted by target first,
stably, and reduced by segment, for which no thread waits. All of it is differentiable ops, so derivatives are in order too.
"""

import torch
from torch import Tensor

from ._checks import check_bounds
from ._derive import fixed_order
from ._reduce import Size, _wide, gather, scatter_extremum
from ._reduce_segments import segment_mul, segment_sum


def _sorted(op: str, x: Tensor, index: Tensor, n: Size, check: bool) -> tuple[Tensor, Tensor]:
    """Returns the entries in the order of targets, and where each target begins."""
    if check and not torch.compiler.is_compiling():
        check_bounds(op, "index", index, n)
    index, order = index.long().sort(stable=True)
    targets = torch.arange(n + 1, device=index.device) + index.new_zeros(n + 1)  # of a batch where index is one
    return gather(x, order, False), torch.searchsorted(index, targets)[None]


@fixed_order("scatter_sum")
def _sum(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    return segment_sum(*_sorted("scatter_sum", x, index, n, check))


@fixed_order("scatter_mul")
def _mul(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    return segment_mul(*_sorted("scatter_mul", x, index, n, check))


def _exponentials(op: str, x: Tensor, index: Tensor, n: Size, check: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Returns exp(x - maximum of the target), the sums of these and the maxima."""
    top = scatter_extremum(x.detach(), index, n, True, False)[0]  # does not depend on the order
    top = torch.where(top == -torch.inf, 0, top)
    power = (x - gather(top, index, False)).exp()
    return power, segment_sum(*_sorted(op, power, index, n, check)), top


@fixed_order("scatter_softmax")
def _softmax(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    power, total, _ = _exponentials("scatter_softmax", x.to(_wide(x.dtype)), index, n, check)
    return _within(index, n, power / gather(total, index, False)).to(x.dtype)


def _within(index: Tensor, n: Size, y: Tensor) -> Tensor:
    """Sets entries whose target does not exist to zero."""
    return torch.where(((index >= 0) & (index < n))[:, None], y, 0)


@fixed_order("scatter_logsumexp")
def _logsumexp(x: Tensor, index: Tensor, n: Size, check: bool) -> Tensor:
    _, total, top = _exponentials("scatter_logsumexp", x.to(_wide(x.dtype)), index, n, check)
    return torch.where(top == torch.inf, top, top + total.log()).to(x.dtype)


@fixed_order("softmax_backward")
def _softmax_backward(y: Tensor, g: Tensor, index: Tensor, n: Size) -> Tensor:
    wide, away = y.to(_wide(y.dtype)), g.to(_wide(y.dtype))
    dot = segment_sum(*_sorted("softmax_backward", wide * away, index, n, False))
    return _within(index, n, wide * (away - gather(dot, index, False))).to(y.dtype)


@fixed_order("edge_sum")
def _edge_sum(x: Tensor, w: Tensor, src: Tensor, dst: Tensor, n: Size, check: bool) -> Tensor:
    if check and not torch.compiler.is_compiling():
        check_bounds("edge_sum", "src", src, x.shape[0])
        check_bounds("edge_sum", "dst", dst, n)
    rows = gather(x.flatten(1)[None], src, False).unflatten(2, x.shape[1:])[0]
    terms = (w.to(_wide(x.dtype))[:, :, None] * rows.to(_wide(x.dtype))).flatten(1)[None]
    return _sum(terms, dst, n, False)[0].unflatten(1, x.shape[1:]).to(x.dtype)


@fixed_order("edge_attention")
def _edge_attention(logits: Tensor, v: Tensor, src: Tensor, dst: Tensor, n: Size, check: bool) -> tuple[Tensor, Tensor]:
    if check and not torch.compiler.is_compiling():
        check_bounds("edge_attention", "src", src, v.shape[0])
        check_bounds("edge_attention", "dst", dst, n)
    wide = _wide(v.dtype)
    power, total, top = _exponentials("edge_attention", logits.to(wide)[None], dst, n, False)
    out = _edge_sum(v.to(wide), (power / gather(total, dst, False))[0], src, dst, n, False)
    return out.to(v.dtype), (top + total.log())[0].to(v.dtype)
