"""Tensors to plain arrays and back, for libraries that know fewer shapes and dtypes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

_NAMES = "bool uint8 int8 int16 uint16 int32 uint32 int64 uint64 float16 bfloat16 float32 float64 complex64 complex128"
_TORCH: dict[str, torch.dtype] = {name: getattr(torch, name) for name in _NAMES.split()}


def as_tensor(array: Any, what: str) -> Tensor:
    """Copies an array of numbers into a tensor of the same dtype.

    Raises:
        TypeError: the array holds no numbers.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16:
        raise TypeError(f"{what} holds {array.dtype} values; geoops fields are numbers")
    # By size, not by C name: torch does not know numpy.ulonglong.
    native = array.astype(bool if array.dtype.kind == "b" else f"={array.dtype.kind}{array.dtype.itemsize}", order="C", copy=True)
    return torch.from_numpy(native)


def text_codes(values: list[str]) -> tuple[Tensor, list[str]]:
    """Numbers the distinct texts in order of appearance; returns the numbers and the texts."""
    names = list(dict.fromkeys(values))
    place = {name: i for i, name in enumerate(names)}
    return torch.tensor([place[v] for v in values], dtype=torch.int64), names


def encode(value: Tensor, *, rows: bool) -> tuple[np.ndarray, dict | None]:
    """Writes a tensor as a real array with one or two axes, and says how to undo it where that is not obvious.

    Args:
        value: any tensor.
        rows: the first axis counts points or cells and stays.

    Returns:
        The array, and ``{"shape": ..., "dtype": ...}`` for `decode`, or None if the array reads back as the same
        tensor.
    """
    value = value.detach()
    name, shape = str(value.dtype).removeprefix("torch."), tuple(value.shape)
    if value.dtype in (torch.float16, torch.bfloat16):
        value = value.to(torch.float32)
    elif value.dtype == torch.bool:
        value = value.to(torch.uint8)
    elif value.is_complex():
        value = torch.view_as_real(value.resolve_conj())
    array = np.ascontiguousarray(value.resolve_neg().numpy())
    plain = name == str(value.dtype).removeprefix("torch.") and (len(shape) == 1 or (len(shape) == 2 and shape[1] > 1))
    if plain:
        return array, None
    flat = array.reshape(shape[0], -1) if (rows or len(shape) > 1) and array.size else array.reshape(-1)
    flat = flat[:, 0] if flat.ndim == 2 and flat.shape[1] == 1 else flat
    return flat, {"shape": list(shape[1:] if rows else shape), "dtype": name}


def decode(value: Tensor, how: dict | None, *, rows: int | None) -> Tensor:
    """Undoes `encode`; `rows` is the number of points or cells, None for a global field."""
    if how is None:
        return value
    dtype = _TORCH[how["dtype"]]
    shape = [*([] if rows is None else [rows]), *how["shape"]]
    if dtype.is_complex:
        return torch.view_as_complex(value.reshape(*shape, 2).contiguous())
    return value.to(dtype).reshape(shape)
