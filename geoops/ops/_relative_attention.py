"""Attention with a bias computed from positions, in one pass over the tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from ._checks import check_devices
from ._derive import batch_first, derive
from ._library import plain_torch

#: Pair features of the bias: |d|^2, two logarithms of distance, cosine to the normal and its square.
PAIR_FEATURES = 5
_NEAR, _FAR, _COSINE = 1e-3, 3e-2, 1e-4


def pair_features(
    x: Float[Tensor, "shapes queries dim"],
    y: Float[Tensor, "shapes tokens dim"],
    normal: Float[Tensor, "shapes tokens dim"],
) -> Float[Tensor, "5 shapes queries tokens"]:
    r"""Returns what the bias of attention may see of points x and tokens at y with unit normals n.

    With $d = x - y$: $(|d|^2,\ \log(|d|^2 + 10^{-3}),\ \log(|d|^2 + 0.03),\ c,\ c^2)$ where
    $c = d \cdot n / \sqrt{|d|^2 + 10^{-4}}$. A linear map of these holds Gaussian windows, the power laws by which Green's
    functions decay, and the directions of single- and double-layer potentials.
    """
    cross = torch.baddbmm(y.square().sum(-1)[:, None, :], x, y.mT, alpha=-2)
    square = (cross + x.square().sum(-1, keepdim=True)).clamp_min_(0)
    along = torch.baddbmm(-(y * normal).sum(-1)[:, None, :], x, normal.mT)
    cosine = along * (square + _COSINE).rsqrt()
    return torch.stack([square, (square + _NEAR).log(), (square + _FAR).log(), cosine, cosine.square()])


def relative_attention(
    q: Float[Tensor, "shapes queries heads channels"],
    k: Float[Tensor, "shapes heads tokens channels"],
    v: Float[Tensor, "shapes heads tokens channels"],
    x: Float[Tensor, "shapes queries dim"],
    y: Float[Tensor, "shapes tokens dim"],
    normal: Float[Tensor, "shapes tokens dim"],
    offset: Float[Tensor, "shapes tokens"],
    bias: Float[Tensor, "heads 5"],
) -> Float[Tensor, "shapes queries heads channels"]:
    r"""Returns attention whose logits have a bias linear in features of the positions.

    $$o_{ih} = \sum_j \alpha_{ijh} v_{hj}, \qquad
      \alpha_{ijh} = \mathrm{softmax}_j\Big(\frac{\langle q_{ih}, k_{hj}\rangle}{\sqrt c} + b_h \cdot g(x_i, y_j, n_j) + s_j\Big)$$

    with g of `pair_features`. Native kernels make no array with one entry per pair (on CUDA up to 64 channels); a query's result
    does not depend on the others. Differentiable to any order, in reverse and forward mode, in q, k, v, offset and
    bias, not in the positions and normals.

    Args:
        q: queries.
        k: keys.
        v: values.
        x: positions of the queries.
        y: positions of the tokens.
        normal: their unit normals, or zeros.
        offset: added to the logits of each token: the logarithm of its weight, or a large negative number to leave it out.
        bias: coefficients of the pair features.

    Raises:
        TypeError: not all float32 or all float64.
        ValueError: shapes or devices do not fit, or there are no tokens.
    """
    _check(q, k, v, x, y, normal, offset, bias)
    if q.is_cuda and (q.shape[-1] > 64 or x.shape[-1] > 3):  # more than a thread of the kernel keeps in registers
        return _relative_attention_torch(q, k, v, x, y, normal, offset, bias)
    return _attention(q, k, v, x, y, normal, offset, bias)


def _check(q: Tensor, k: Tensor, v: Tensor, x: Tensor, y: Tensor, normal: Tensor, offset: Tensor, bias: Tensor) -> None:
    tensors = {"q": q, "k": k, "v": v, "x": x, "y": y, "normal": normal, "offset": offset, "bias": bias}
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"relative_attention: expected {name} of dtype float32 or float64, got {tensor.dtype}")
        if tensor.dtype != q.dtype:
            raise TypeError(f"relative_attention: q is {q.dtype} and {name} is {tensor.dtype}; cast one of them")
    check_devices("relative_attention", **tensors)
    if q.ndim != 4 or k.ndim != 4:
        raise ValueError(
            "relative_attention: expected q of shape (shapes, queries, heads, channels) and k of shape (shapes, heads, "
            f"tokens, channels), got {tuple(q.shape)} and {tuple(k.shape)}"
        )
    shapes, queries, heads, channels = q.shape
    tokens, dim = k.shape[2], x.shape[-1]
    expected = {
        "k": (shapes, heads, tokens, channels),
        "v": (shapes, heads, tokens, channels),
        "x": (shapes, queries, dim),
        "y": (shapes, tokens, dim),
        "normal": (shapes, tokens, dim),
        "offset": (shapes, tokens),
        "bias": (heads, PAIR_FEATURES),
    }
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(f"relative_attention: expected {name} of shape {shape}, got {tuple(tensors[name].shape)}")
    if not tokens:
        raise ValueError("relative_attention: there are no tokens to attend to")


def _products(q: Tensor, k: Tensor) -> Tensor:
    """Returns the scaled inner products (shapes, heads, queries, tokens)."""
    return q.transpose(1, 2) @ k.mT * q.shape[-1] ** -0.5


def _biases(bias: Tensor, features: Tensor) -> Tensor:
    return (bias @ features.flatten(1)).reshape(bias.shape[0], *features.shape[1:]).transpose(0, 1)


def _weights(q: Tensor, k: Tensor, features: Tensor, offset: Tensor, bias: Tensor) -> Tensor:
    """Returns the softmax weights (shapes, heads, queries, tokens)."""
    return (_products(q, k) + _biases(bias, features) + offset[:, None, None]).softmax(-1)


def _relative_attention_torch(
    q: Tensor, k: Tensor, v: Tensor, x: Tensor, y: Tensor, normal: Tensor, offset: Tensor, bias: Tensor
) -> Tensor:
    _check(q, k, v, x, y, normal, offset, bias)
    return (_weights(q, k, pair_features(x, y, normal), offset, bias) @ v).transpose(1, 2).contiguous()


plain_torch("relative_attention", _relative_attention_torch)


@torch.library.register_fake("geoops::relative_attention")
def _relative_attention_fake(
    q: Tensor, k: Tensor, v: Tensor, x: Tensor, y: Tensor, normal: Tensor, offset: Tensor, bias: Tensor
) -> Tensor:
    torch._check(k.shape == v.shape, lambda: f"relative_attention: k {k.shape} must match v {v.shape}")
    return q.new_empty(q.shape)


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad: Tensor):
    q, k, v, x, y, normal, offset, bias = ctx.saved_tensors
    with torch.no_grad():
        features = pair_features(x, y, normal)
    # The weights are computed again; all of this is torch, so that its derivatives exist too.
    weights = _weights(q, k, features, offset, bias)
    grad = grad.transpose(1, 2)
    dweights = grad @ v.mT
    dlogits = weights * (dweights - (weights * dweights).sum(-1, keepdim=True))
    scaled = dlogits * q.shape[-1] ** -0.5
    dq, dk, dv = (scaled @ k).transpose(1, 2), scaled.mT @ q.transpose(1, 2), weights.mT @ grad
    dbias = dlogits.transpose(0, 1).reshape(bias.shape[0], features[0].numel()) @ features.flatten(1).mT
    return dq, dk, dv, None, None, None, dlogits.sum((1, 2)), dbias


def _jvp(ctx, *tangents: Tensor | None) -> Tensor:
    q, k, v, x, y, normal, offset, bias = ctx.saved_tensors
    zeros = (torch.zeros_like(t) if d is None else d for t, d in zip(ctx.saved_tensors, tangents, strict=True))
    dq, dk, dv, _, _, _, doffset, dbias = zeros
    with torch.no_grad():
        features = pair_features(x, y, normal)
    weights = _weights(q, k, features, offset, bias)
    dlogits = _products(dq, k) + _products(q, dk) + _biases(dbias, features) + doffset[:, None, None]
    dweights = weights * (dlogits - (weights * dlogits).sum(-1, keepdim=True))
    return (dweights @ v + weights @ dv).transpose(1, 2)


def _vmap(info, in_dims, *inputs):
    """Takes a batch as more shapes; of the coefficients of the bias, which shapes share, one after the other."""
    raw, size = torch.ops.geoops.relative_attention.default, info.batch_size
    *each, bias = inputs
    if in_dims[-1] is None:
        out = raw(*(batch_first(t, d, size).flatten(0, 1) for t, d in zip(each, in_dims, strict=False)), bias)
        return out.reshape(size, out.shape[0] // size, *out.shape[1:]), 0
    rows = [[t if d is None else t.select(d, i) for t, d in zip(inputs, in_dims, strict=True)] for i in range(size)]
    return torch.stack([raw(*row) for row in rows]), 0


_attention = derive("relative_attention", _save, _backward, _jvp, _vmap)
