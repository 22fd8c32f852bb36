"""Attention along edges: softmax over the neighbours of a target and weighted sum, without storing the weights."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._checks import check_bounds, check_devices, check_edges, check_rows, check_values, with_heads
from ._derive import derive
from ._edge_dot import _edge_dot
from ._edge_sum import _edge_sum
from ._edge_vmap import vmap_heads
from ._library import plain_torch
from ._reduce import gather, scatter_sum
from ._reduce_softmax import _scatter_logsumexp_torch


def edge_attention(
    logits: Float[Tensor, " edges *heads"],
    v: Float[Tensor, " sources *channels"],
    src: Int[Tensor, " edges"],
    dst: Int[Tensor, " edges"],
    n: int,
    *,
    check_indices: bool = True,
) -> Float[Tensor, " {n} *channels"]:
    r"""Returns the mean of the rows of neighbours, weighted by a softmax over the edges that end in a target.

    $$y_i = \sum_{e:\ \mathrm{dst}(e) = i} \alpha_e\, v_{\mathrm{src}(e)}, \qquad
      \alpha_e = \frac{\exp l_e}{\sum_{f:\ \mathrm{dst}(f) = \mathrm{dst}(e)} \exp l_f}$$

    Neither the weights nor anything of the size edges x channels is made. A target without edges gets zero. Differentiable to
    any order in `logits` and `v`. For the order of sums see `edge_sum`. Sums of 16-bit numbers are accumulated in 32 bits. See
    Veličković et al., Graph attention networks (2018).

    Args:
        logits: (edges,), or (edges, heads) where v has heads; of the dtype of v.
        v: values at the sources, (sources, channels) or (sources, heads, channels).
        src: source of each edge, int32 or int64.
        dst: target of each edge, of the dtype of `src`.
        n: number of targets.
        check_indices: raise where an index is out of bounds; without the check the edges are trusted.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape or a device does not fit, or n is negative.
        IndexError: an edge joins a node that does not exist.

    Example:
        >>> v = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> edge_attention(torch.tensor([0.0, 0.0]), v, torch.tensor([0, 1]), torch.tensor([1, 1]), 2)
        tensor([[0., 0.],
                [2., 3.]])
    """
    _check(logits, v, src, dst, n)
    v3, logits2 = with_heads("edge_attention", v, logits)
    return _edge_attention(logits2, v3, src, dst, n, check_indices)[0].reshape(n, *v.shape[1:])


def _check(logits: Tensor, v: Tensor, src: Tensor, dst: Tensor, n: int) -> None:
    check_edges("edge_attention", src, dst)
    check_rows("edge_attention", "v", v)
    check_values("edge_attention", v=v, logits=logits)
    check_devices("edge_attention", logits=logits, v=v, src=src, dst=dst)
    if logits.shape[:1] != src.shape:
        raise ValueError(f"edge_attention: expected one logit for each of {src.shape[0]} edges, got shape {tuple(logits.shape)}")
    if n < 0:
        raise ValueError(f"edge_attention: expected a number of targets n >= 0, got {n}")


def _torch(logits: Tensor, v: Tensor, src: Tensor, dst: Tensor, n: int, check: bool) -> tuple[Tensor, Tensor]:
    _check(logits, v, src, dst, n)
    if check:
        check_bounds("edge_attention", "src", src, v.shape[0])
        check_bounds("edge_attention", "dst", dst, n)
    wide = torch.promote_types(v.dtype, torch.float32)
    total = _scatter_logsumexp_torch(logits.to(wide)[None], dst, n, False)[0]
    terms = (logits.to(wide) - total[dst]).exp()[:, :, None] * v.to(wide)[src]
    return terms.new_zeros(n, *v.shape[1:]).index_add_(0, dst, terms).to(v.dtype), total.to(v.dtype)


plain_torch("edge_attention", _torch)


@torch.library.register_fake("geoops::edge_attention")
def _fake(logits: Tensor, v: Tensor, src: Tensor, dst: Tensor, n: int | torch.SymInt, check: bool) -> tuple[Tensor, Tensor]:
    return v.new_empty(n, v.shape[1], v.shape[2]), v.new_empty(n, v.shape[1])


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:4], *output)
    ctx.n = inputs[4]


def _weights(logits: Tensor, total: Tensor, dst: Tensor) -> Tensor:
    return (logits - gather(total[None], dst, False)[0]).exp()


def _backward(ctx, grad: Tensor, grad_total: Tensor):
    logits, v, src, dst, out, total = ctx.saved_tensors
    weights = _weights(logits, total, dst)
    need_logits, need_v, *_ = ctx.needs_input_grad
    dlogits = None
    if need_logits:
        mean = (grad * out).sum(-1) - grad_total  # of <grad, v> over the edges of a target
        dlogits = weights * (_edge_dot(v, grad, src, dst, False) - gather(mean[None], dst, False)[0])
    dv = _edge_sum(grad, weights, dst, src, v.shape[0], False) if need_v else None
    return dlogits, dv, None, None, None, None


def _jvp(ctx, dlogits: Tensor, dv: Tensor, *_):
    logits, v, src, dst, out, total = ctx.saved_tensors
    change = _weights(logits, total, dst) * dlogits
    dtotal = scatter_sum(change[None], dst, ctx.n, False)[0]
    dout = _edge_sum(v, change, src, dst, ctx.n, False) - dtotal[:, :, None] * out
    return dout + _edge_sum(dv, _weights(logits, total, dst), src, dst, ctx.n, False), dtotal


_edge_attention = derive("edge_attention", _save, _backward, _jvp, vmap_heads("edge_attention", 2))
