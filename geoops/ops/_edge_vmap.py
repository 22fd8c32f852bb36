"""The vmap rule of ops on edges: a batch of values is more heads."""

import torch

from ._derive import batch_first


def vmap_heads(op: str, tensors: int):
    """Returns the rule of an op whose first `tensors` inputs have heads in their second dimension; edges are shared."""
    raw = getattr(torch.ops.geoops, op).default

    def rule(info, in_dims, *inputs):
        size = info.batch_size
        if any(d is not None for d in in_dims[tensors:]):
            raise NotImplementedError(f"{op}: vmap over src or dst; join the graphs into one instead, with numbered-on nodes")
        wide = [batch_first(t, d, size).transpose(0, 1).flatten(1, 2) for t, d in zip(inputs[:tensors], in_dims, strict=False)]
        out = raw(*wide, *inputs[tensors:])
        unfold = lambda t: t.reshape(t.shape[0], size, t.shape[1] // size, *t.shape[2:])  # noqa: E731
        return (tuple(unfold(t) for t in out), (1, 1)) if isinstance(out, tuple) else (unfold(out), 1)

    return rule
