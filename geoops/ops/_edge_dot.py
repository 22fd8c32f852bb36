"""Inner product of the rows that each edge joins."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._checks import check_bounds, check_devices, check_edges, check_rows, check_values
from ._derive import derive
from ._edge_sum import _edge_sum
from ._edge_vmap import vmap_heads
from ._library import plain_torch


def edge_dot(
    x: Float[Tensor, " sources *heads channels"],
    y: Float[Tensor, " targets *heads channels"],
    src: Int[Tensor, " edges"],
    dst: Int[Tensor, " edges"],
    *,
    check_indices: bool = True,
) -> Float[Tensor, " edges *heads"]:
    r"""Returns the inner product of the two rows that each edge joins.

    $$z_e = \langle x_{\mathrm{src}(e)},\ y_{\mathrm{dst}(e)} \rangle$$

    Differentiable to any order in `x` and `y`; both adjoints are `edge_sum`. Inner products of 16-bit numbers are
    accumulated in 32 bits.

    Args:
        x: values at the sources, (sources, channels) or (sources, heads, channels).
        y: values at the targets, of the dtype of `x` and with as many heads and channels.
        src: source of each edge, int32 or int64.
        dst: target of each edge, of the dtype of `src`.
        check_indices: raise where an index is out of bounds; without the check the edges are trusted.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape or a device does not fit.
        IndexError: an edge joins a node that does not exist.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> edge_dot(x, x, torch.tensor([0, 0]), torch.tensor([0, 1]))
        tensor([ 5., 11.])
    """
    _check(x, y, src, dst)
    heads = x.shape[1:-1]
    x3, y3 = (t if t.ndim == 3 else t[:, None] for t in (x, y))
    return _edge_dot(x3, y3, src, dst, check_indices).reshape(len(src), *heads)


def _check(x: Tensor, y: Tensor, src: Tensor, dst: Tensor) -> None:
    check_edges("edge_dot", src, dst)
    check_rows("edge_dot", "x", x)
    check_rows("edge_dot", "y", y)
    check_values("edge_dot", x=x, y=y)
    check_devices("edge_dot", x=x, y=y, src=src, dst=dst)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"edge_dot: x has {x.shape[-1]} channels and y has {y.shape[-1]}; an inner product needs as many")
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(f"edge_dot: expected x and y with the same heads, got {tuple(x.shape)} and {tuple(y.shape)}")


def _edge_dot_torch(x: Tensor, y: Tensor, src: Tensor, dst: Tensor, check: bool) -> Tensor:
    _check(x, y, src, dst)
    if check:
        check_bounds("edge_dot", "src", src, x.shape[0])
        check_bounds("edge_dot", "dst", dst, y.shape[0])
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide)[src] * y.to(wide)[dst]).sum(-1).to(x.dtype)


plain_torch("edge_dot", _edge_dot_torch)


@torch.library.register_fake("geoops::edge_dot")
def _edge_dot_fake(x: Tensor, y: Tensor, src: Tensor, dst: Tensor, check: bool) -> Tensor:
    torch._check(src.shape == dst.shape, lambda: f"edge_dot: src {src.shape} must match dst {dst.shape}")
    return x.new_empty(src.shape[0], x.shape[1])


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:4])


def _backward(ctx, grad: Tensor):
    x, y, src, dst = ctx.saved_tensors
    need_x, need_y, *_ = ctx.needs_input_grad
    dx = _edge_sum(y, grad, dst, src, x.shape[0], False) if need_x else None
    dy = _edge_sum(x, grad, src, dst, y.shape[0], False) if need_y else None
    return dx, dy, None, None, None


def _jvp(ctx, dx: Tensor, dy: Tensor, *_):
    x, y, src, dst = ctx.saved_tensors
    return _edge_dot(dx, y, src, dst, False) + _edge_dot(x, dy, src, dst, False)


_edge_dot = derive("edge_dot", _save, _backward, _jvp, vmap_heads("edge_dot", 2))
