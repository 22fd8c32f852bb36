"""What the functions of torch_scatter do with the argument `out`: results are accumulated into it in place."""

import torch
from torch import Tensor


def check_out(op: str, out: Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Raises unless out has the dtype and the shape of a result."""
    if out.dtype != dtype:
        raise TypeError(f"{op}: expected out of dtype {dtype}, got {out.dtype}; cast it with .to({dtype})")
    if out.shape != shape:
        raise ValueError(f"{op}: expected out of shape {tuple(shape)}, got {tuple(out.shape)}")


def targets(op: str, src: Tensor, dim: int, out: Tensor | None, dim_size: int | None) -> int | None:
    """Returns the number of targets, which out decides where it is given."""
    if out is None or not -src.ndim <= dim < src.ndim:  # geoops.ops refuses such a dim
        return dim_size
    shape = list(src.shape)
    if out.ndim == src.ndim:
        shape[dim] = out.shape[dim]
    check_out(op, out, src.dtype, tuple(shape))
    return out.shape[dim]


def mean_into(out: Tensor, total: Tensor, count: Tensor) -> Tensor:
    """Replaces out by (out + total) / max(count, 1); integers are rounded down."""
    return out.add_(total).div_(count.clamp(min=1), rounding_mode=None if out.is_floating_point() else "floor")


def extremum_into(out: Tensor, value: Tensor, arg: Tensor, entries: int, largest: bool) -> tuple[Tensor, Tensor]:
    """Replaces out where an entry exceeds it; elsewhere the position is the number of entries."""
    better = (arg < entries) & (value > out if largest else value < out)
    out.copy_(torch.where(better, value, out))
    return out, torch.where(better, arg, entries)
