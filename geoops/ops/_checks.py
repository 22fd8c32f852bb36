"""Checks at the public edge of the ops: kinds and lengths, never values, which would wait for a GPU."""

import torch
from torch import Tensor

_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_INTEGERS = (torch.int32, torch.int64)


def _names(dtypes: tuple[torch.dtype, ...]) -> str:
    return ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)


def check_edges(op: str, src: Tensor, dst: Tensor) -> None:
    """Raises unless src and dst are two index vectors of one length, dtype and device."""
    for name, index in (("src", src), ("dst", dst)):
        if index.dtype not in _INTEGERS:
            raise TypeError(f"{op}: expected {name} of dtype {_names(_INTEGERS)}, got {index.dtype}; use {name}.long()")
        if index.ndim != 1:
            raise ValueError(f"{op}: expected {name} of shape (edges,), got {tuple(index.shape)}")
    if src.dtype != dst.dtype:
        raise TypeError(f"{op}: src is {src.dtype} and dst is {dst.dtype}; cast one to the dtype of the other")
    if src.shape != dst.shape:
        raise ValueError(f"{op}: src has {src.shape[0]} edges and dst has {dst.shape[0]}; both list every edge once")


def check_values(op: str, **values: Tensor) -> None:
    """Raises unless all values are floating tensors of one dtype."""
    first, *others = values
    for name, value in values.items():
        if value.dtype not in _FLOATS:
            raise TypeError(f"{op}: expected {name} of dtype {_names(_FLOATS)}, got {value.dtype}")
    for name in others:
        if values[name].dtype != values[first].dtype:
            raise TypeError(f"{op}: {first} is {values[first].dtype} and {name} is {values[name].dtype}; cast one of them")


def check_rows(op: str, name: str, rows: Tensor) -> None:
    """Raises unless a tensor is a table with one row per node, or one per node and head."""
    if rows.ndim not in (2, 3):
        raise ValueError(
            f"{op}: expected {name} of shape (nodes, channels) or (nodes, heads, channels), got {tuple(rows.shape)}; "
            "flatten other axes"
        )


def with_heads(op: str, rows: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Returns rows (nodes, heads, channels) and weights (edges, heads)."""
    if w.ndim != rows.ndim - 1 or w.shape[1:] != rows.shape[1:-1]:
        raise ValueError(
            f"{op}: expected weights (edges,) for rows (nodes, channels), or (edges, heads) for (nodes, heads, channels), got "
            f"{tuple(w.shape)} for {tuple(rows.shape)}"
        )
    return (rows, w) if w.ndim == 2 else (rows[:, None], w[:, None])


def check_devices(op: str, **tensors: Tensor) -> None:
    """Raises unless all tensors are on one device."""
    devices = {name: tensor.device for name, tensor in tensors.items()}
    if len(set(devices.values())) > 1:
        where = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{op}: expected all tensors on one device, got {where}; move them with .to(device)")


def check_bounds(op: str, name: str, index: Tensor, bound: int) -> None:
    """Raises IndexError at the first index outside [0, bound)."""
    if index.device.type == "meta":
        return
    outside = ((index < 0) | (index >= bound)).nonzero()
    if len(outside):
        place = outside[0].tolist()
        raise IndexError(f"{op}: {name}{place} = {int(index[tuple(place)])} is outside [0, {bound})")
