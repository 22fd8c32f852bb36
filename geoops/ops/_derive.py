"""Derivatives of ops of every kind from one set of rules: reverse and forward mode, vmap, torch.func, torch.compile."""

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

Rule = Callable[..., Any]


def derive(op: str, setup: Rule, backward: Rule, jvp: Rule, vmap: Rule) -> Callable[..., Any]:
    """Registers the rules of an op and returns the function to call it by, which is differentiable to any order.

    The dispatcher serves eager reverse mode and torch.compile, but has no place for a forward-mode rule of a custom op
    and refuses torch.func; `torch.autograd.Function` serves those two, but not torch.compile. Both get the same rules.

    Args:
        op: name of the op, without "geoops::".
        setup: `setup(ctx, inputs, output)` saves tensors with `ctx.save_for_backward`, once, and the rest as attributes.
        backward: `backward(ctx, *grads)` returns one gradient or None for each input. Like `jvp` it is written with
            functions that `derive` returned and with torch, so that its own derivatives exist.
        jvp: `jvp(ctx, *tangents)` returns the tangents of the outputs; the tangent of a tensor that has none is None.
        vmap: `vmap(info, in_dims, *inputs)` as in `torch.library.register_vmap`; it calls the raw op.
    """
    raw = getattr(torch.ops.geoops, op).default

    def setup_function(ctx, inputs, output) -> None:
        setup(_SaveBoth(ctx), inputs, output)

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


def batch_first(x: torch.Tensor, dim: int | None, size: int) -> torch.Tensor:
    """Returns a tensor with the dimension of a vmap in front, expanded where it has none."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
