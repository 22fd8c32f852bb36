"""Derivatives of ops of every kind from one set of rules: reverse and forward mode, vmap, torch.func, torch.compile."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ._checks import check_bounds

Rule = Callable[..., Any]

_FIXED_ORDER: dict[str, Rule] = {}


def fixed_order(op: str) -> Callable[[Rule], Rule]:
    """Registers what stands in for an op on CUDA under `torch.use_deterministic_algorithms`, made of differentiable ops."""

    def register(function: Rule) -> Rule:
        _FIXED_ORDER[op] = function
        return function

    return register


def _in_order(x: Tensor) -> bool:
    return x.is_cuda and torch.are_deterministic_algorithms_enabled()


def derive(op: str, setup: Rule, backward: Rule, jvp: Rule, vmap: Rule) -> Callable[..., Any]:
    """Registers the rules of an op and returns the function to call it by, which is differentiable to any order.

    The dispatcher serves eager reverse mode and torch.compile, but has no place for a forward-mode rule of a custom op
    and refuses torch.func; `torch.autograd.Function` serves those two, but not torch.compile. Both get the same rules.

    Args:
        op: name of the op, without "geoops::".
        setup: `setup(ctx, inputs, output)` saves tensors with `ctx.save_for_backward`, once, and the rest as attributes.
        backward: `backward(ctx, *grads)` returns one gradient or None for each input. Like `jvp` it is written with
            functions that `derive` returned and with torch, so that its own derivatives exist.
        jvp: `jvp(ctx, *tangents)` returns the tangents of the outputs; of an input without one it is None.
        vmap: `vmap(info, in_dims, *inputs)` as in `torch.library.register_vmap`; it calls the raw op.
    """
    raw = getattr(torch.ops.geoops, op).default

    def setup_function(ctx, inputs, output) -> None:
        setup(_SaveBoth(ctx), inputs, output)
        ctx.set_materialize_grads(True)

    torch.library.register_autograd(f"geoops::{op}", backward, setup_context=setup)
    torch.library.register_vmap(f"geoops::{op}", vmap)
    rules = {
        "forward": staticmethod(lambda *inputs: raw(*inputs)),
        "setup_context": staticmethod(setup_function),
        "backward": staticmethod(backward),
        "jvp": staticmethod(jvp),
        "generate_vmap_rule": True,
    }
    function = type(f"{op}_function", (torch.autograd.Function,), rules)

    def call(*inputs):
        if op in _FIXED_ORDER and _in_order(inputs[0]):
            return _FIXED_ORDER[op](*inputs)
        if torch.compiler.is_compiling():
            return raw(*inputs)
        if forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active():
            return function.apply(*inputs)
        return raw(*inputs)

    call.__name__ = call.__qualname__ = op
    return call


class _SaveBoth:
    """A context of autograd whose saved tensors serve backward and jvp."""

    def __init__(self, ctx):
        object.__setattr__(self, "_ctx", ctx)

    def save_for_backward(self, *tensors) -> None:
        self._ctx.save_for_backward(*tensors)
        self._ctx.save_for_forward(*tensors)

    def __getattr__(self, name: str):
        return getattr(self._ctx, name)

    def __setattr__(self, name: str, value) -> None:
        setattr(self._ctx, name, value)


def batch_first(x: Tensor, dim: int | None, size: int) -> Tensor:
    """Returns a tensor with the dimension of a vmap in front, expanded where it has none."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def vmap_outer(op: str, tensors: int) -> Rule:
    """Returns the vmap rule of an op whose first `tensors` inputs are (outer, entries, inner) and whose others are shared."""
    raw = getattr(torch.ops.geoops, op).default

    def rule(info, in_dims, *inputs):
        size = info.batch_size
        folded = [batch_first(x, d, size).flatten(0, 1) for x, d in zip(inputs[:tensors], in_dims, strict=False)]
        return _unfold(raw(*folded, *inputs[tensors:]), lambda t: t.reshape(size, t.shape[0] // size, *t.shape[1:]))

    return rule


def vmap_targets(op: str, tensors: int) -> Rule:
    """Returns the vmap rule of an op on `tensors` inputs (outer, entries, inner), an index, and, unless it is `gather`, the
    number of targets: batches of tensors become outer rows, batches of indices become targets of their own.
    """
    raw = getattr(torch.ops.geoops, op).default
    outer = vmap_outer(op, tensors)

    def rule(info, in_dims, *inputs):
        size = info.batch_size
        if in_dims[tensors] is None:
            return outer(info, in_dims, *inputs)
        merged = [batch_first(x, d, size).transpose(0, 1).flatten(1, 2) for x, d in zip(inputs[:tensors], in_dims, strict=False)]
        index, *rest = inputs[tensors:]
        index = batch_first(index, in_dims[tensors], size)
        n = merged[0].shape[1] // size if op == "gather" else rest.pop(0)
        if rest and rest[-1]:
            check_bounds(op, "index", index.flatten(), n)
        shifted = (index.long() + n * torch.arange(size, device=index.device)[:, None]).flatten()
        out = raw(*merged, shifted, *([] if op == "gather" else [n * size]), *rest)

        def unfold(t):
            t = t.reshape(t.shape[0], size, t.shape[1] // size, *t.shape[2:]).transpose(0, 1)
            if t.dtype == torch.int64 and op == "scatter_extremum" and t.shape == shape:  # positions, not values
                entries = index.shape[1]
                return torch.where(t == entries * size, entries, t % max(entries, 1))
            return t

        shape = None
        if op != "scatter_extremum":
            return _unfold(out, unfold)
        values = unfold(out[0])
        shape = values.shape
        return (values, unfold(out[1])), (0, 0)

    return rule


def _unfold(out, function):
    if isinstance(out, tuple):
        return tuple(function(t) for t in out), tuple(0 for _ in out)
    return function(out), 0
