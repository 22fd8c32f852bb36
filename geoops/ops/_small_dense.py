"""What the decompositions of small matrices share: checks, products, and the inverse that is zero at equal values."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

#: Values that differ by less than this many units in the last place of the largest one count as equal, as in the kernels.
EQUAL = 8


def check_matrices(op: str, name: str, x: Tensor) -> None:
    """Raises unless x is a batch of real 2x2 or 3x3 matrices in float32 or float64."""
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"{op}: expected {name} of dtype float32 or float64, got {x.dtype}; cast it with .float()")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2] or x.shape[-1] not in (2, 3):
        raise ValueError(f"{op}: expected {name} of shape (..., 2, 2) or (..., 3, 3), got {tuple(x.shape)}")


def check_same(op: str, first: str, x: Tensor, second: str, y: Tensor) -> None:
    """Raises unless y has the dtype and the shape of x."""
    if y.dtype != x.dtype:
        raise TypeError(f"{op}: {second} is {y.dtype} and {first} is {x.dtype}; cast one of them")
    if y.shape != x.shape:
        raise ValueError(f"{op}: expected {second} of the shape {tuple(x.shape)} of {first}, got {tuple(y.shape)}")


def differentiated() -> bool:
    """Tells whether a derivative that is being taken now may itself be differentiated, which the fused kernels cannot be."""
    return torch.is_grad_enabled() or forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def diagonal(x: Tensor) -> Tensor:
    # torch.compile warns of deprecated checks inside of Tensor.diagonal
    return torch.stack([x[..., i, i] for i in range(x.shape[-1])], -1)


def skew(x: Tensor) -> Tensor:
    return (x - x.mT) / 2


def symmetric(x: Tensor) -> Tensor:
    return (x + x.mT) / 2


def inverse_or_zero(x: Tensor, scale: Tensor) -> Tensor:
    """Returns 1 / x, or 0 where x vanishes up to the rounding of values as large as `scale`."""
    none = x.abs() <= scale * (EQUAL * torch.finfo(x.dtype).eps)
    return torch.where(none, 0.0, 1 / torch.where(none, 1.0, x))


def finite_only(x: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the matrices with zeros instead of those that hold a NaN or an infinity, and a NaN or 0 to add to each."""
    bad = ~x.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    return x.masked_fill(bad, 0.0), torch.zeros_like(bad, dtype=x.dtype).masked_fill(bad, torch.nan)


def batched(raw):
    """Returns the rule of vmap of an op on batches of matrices: a batch more."""

    def rule(info, in_dims, *inputs):
        size = info.batch_size
        moved = [
            x if not isinstance(x, Tensor) else x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(inputs, in_dims, strict=True)
        ]
        outputs = raw(*moved)
        return outputs, (0,) * len(outputs) if isinstance(outputs, tuple) else 0

    return rule
