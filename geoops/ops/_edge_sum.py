"""Weighted sum of the rows of neighbours."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._checks import check_bounds, check_devices, check_edges, check_rows, check_values, with_heads
from ._derive import derive
from ._edge_vmap import vmap_heads
from ._library import plain_torch


def edge_sum(
    x: Float[Tensor, " sources *channels"],
    w: Float[Tensor, " edges *heads"],
    src: Int[Tensor, " edges"],
    dst: Int[Tensor, " edges"],
    n: int,
    *,
    check_indices: bool = True,
) -> Float[Tensor, " {n} *channels"]:
    r"""Returns the weighted sum over the edges that end in each target.

    $$y_i = \sum_{e:\ \mathrm{dst}(e) = i} w_e\, x_{\mathrm{src}(e)}, \qquad i < n$$

    Nothing of the size edges x channels is made. A target without edges gets zero. Differentiable to any order in `x` and
    `w`: the adjoint in `x` is `edge_sum` along the reversed edges and the adjoint in `w` is `edge_dot`. On the CPU a target's
    terms are added in the order of the edges, so the result has the same bits for any number of threads. On CUDA it has the
    same bits in every run only under `torch.use_deterministic_algorithms`, which does make an array of edges x channels. Sums
    of 16-bit numbers are accumulated in 32 bits.

    Args:
        x: values at the sources, (sources, channels) or (sources, heads, channels).
        w: weights of the edges, of the dtype of `x`: (edges,), or (edges, heads) where x has heads.
        src: source of each edge, int32 or int64.
        dst: target of each edge, of the dtype of `src`.
        n: number of targets.
        check_indices: raise where an index is out of bounds; without the check the edges are trusted.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape or a device does not fit, or n is negative.
        IndexError: an edge joins a node that does not exist.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> edge_sum(x, torch.tensor([1.0, 0.5]), torch.tensor([0, 1]), torch.tensor([1, 1]), 2)
        tensor([[0.0000, 0.0000],
                [2.5000, 4.0000]])
    """
    _check(x, w, src, dst, n)
    x3, w2 = with_heads("edge_sum", x, w)
    return _edge_sum(x3, w2, src, dst, n, check_indices).reshape(n, *x.shape[1:])


def _check(x: Tensor, w: Tensor, src: Tensor, dst: Tensor, n: int) -> None:
    check_edges("edge_sum", src, dst)
    check_rows("edge_sum", "x", x)
    check_values("edge_sum", x=x, w=w)
    check_devices("edge_sum", x=x, w=w, src=src, dst=dst)
    if w.shape[:1] != src.shape:
        raise ValueError(f"edge_sum: expected one weight for each of {src.shape[0]} edges, got shape {tuple(w.shape)}")
    if n < 0:
        raise ValueError(f"edge_sum: expected a number of targets n >= 0, got {n}")


def _edge_sum_torch(x: Tensor, w: Tensor, src: Tensor, dst: Tensor, n: int, check: bool) -> Tensor:
    _check(x, w, src, dst, n)
    if check:
        check_bounds("edge_sum", "src", src, x.shape[0])
        check_bounds("edge_sum", "dst", dst, n)
    wide = torch.promote_types(x.dtype, torch.float32)
    terms = w.to(wide)[:, :, None] * x.to(wide)[src]
    return terms.new_zeros(n, *x.shape[1:]).index_add_(0, dst, terms).to(x.dtype)


plain_torch("edge_sum", _edge_sum_torch)


@torch.library.register_fake("geoops::edge_sum")
def _edge_sum_fake(x: Tensor, w: Tensor, src: Tensor, dst: Tensor, n: int | torch.SymInt, check: bool) -> Tensor:
    torch._check(w.shape[0] == src.shape[0], lambda: f"edge_sum: w {w.shape} must match src {src.shape}")
    return x.new_empty(n, x.shape[1], x.shape[2])


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.n = inputs[4]


def _backward(ctx, grad: Tensor):
    from ._edge_dot import _edge_dot

    x, w, src, dst = ctx.saved_tensors
    need_x, need_w, *_ = ctx.needs_input_grad
    dx = _edge_sum(grad, w, dst, src, x.shape[0], False) if need_x else None
    dw = _edge_dot(x, grad, src, dst, False) if need_w else None
    return dx, dw, None, None, None, None


def _jvp(ctx, dx: Tensor, dw: Tensor, *_):
    x, w, src, dst = ctx.saved_tensors
    return _edge_sum(dx, w, src, dst, ctx.n, False) + _edge_sum(x, dw, src, dst, ctx.n, False)


_edge_sum = derive("edge_sum", _save, _backward, _jvp, vmap_heads("edge_sum", 2))
