"""The raw searches for neighbours: plain torch in the arithmetic of the native kernels, and shapes."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import check_devices
from ._library import plain_torch

_POINTS = (torch.float32, torch.float64)
_AT_ONCE = 1 << 22  # distances that plain torch holds at a time

Box = Sequence[float] | Tensor


def check_points(op: str, **points: Tensor) -> None:
    """Raises unless all are tables of points of one dtype, device and number of coordinates."""
    first = next(iter(points))
    for name, x in points.items():
        if x.dtype not in _POINTS:
            raise TypeError(f"{op}: expected {name} in float32 or float64, got {x.dtype}; use {name}.float()")
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{op}: expected {name} of shape (points, dim) with dim >= 1, got {tuple(x.shape)}")
        if x.dtype != points[first].dtype:
            raise TypeError(f"{op}: {first} is {points[first].dtype} and {name} is {x.dtype}; cast one of them")
        if x.shape[1] != points[first].shape[1]:
            raise ValueError(f"{op}: {first} has {points[first].shape[1]} coordinates and {name} has {x.shape[1]}")
    check_devices(op, **points)


def check_batch(op: str, **batches: Tensor | None) -> None:
    """Raises unless all batch vectors are given or none, and each is a vector of integers."""
    given = [name for name, batch in batches.items() if batch is not None]
    if given and len(given) < len(batches):
        raise ValueError(f"{op}: expected both of {' and '.join(batches)}, or neither; got {given[0]} alone")
    for name, batch in batches.items():
        if batch is not None and batch.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"{op}: expected {name} of dtype int32 or int64, got {batch.dtype}; use {name}.long()")
        if batch is not None and batch.ndim != 1:
            raise ValueError(f"{op}: expected {name} of shape (points,), got {tuple(batch.shape)}")


def sides(op: str, box: Box | None, x: Tensor) -> Tensor | None:
    """Returns the lengths of a periodic box as a float64 vector on the CPU."""
    if box is None:
        return None
    lengths = torch.as_tensor(box, dtype=torch.float64, device="cpu")
    if lengths.shape != x.shape[1:]:
        raise ValueError(f"{op}: expected a box of {x.shape[1]} lengths, one for each axis, got shape {tuple(lengths.shape)}")
    return lengths


def _check(op: str, **points: Tensor) -> None:
    check_points(op, **points)
    for name, x in points.items():
        bad = (~x.isfinite()).nonzero()
        if len(bad):
            i, d = bad[0].tolist()
            raise ValueError(f"{op}: expected finite coordinates, but {name}[{i}, {d}] = {x[i, d]}; remove such points")


def ranges(op: str, name: str, x: Tensor, batch: Tensor | None) -> dict[int, tuple[int, int]]:
    """Returns the first and last point of each example of a batch that has points."""
    if batch is None:
        return {0: (0, len(x))} if len(x) else {}
    if batch.shape != x.shape[:1]:
        raise ValueError(f"{op}: expected the batch vector of {name} of shape ({len(x)},), got {tuple(batch.shape)}")
    if (batch.diff() < 0).any() or (batch < 0).any():
        raise ValueError(f"{op}: expected the batch vector of {name} in ascending order from 0; sort the points by it")
    numbers, counts = batch.unique_consecutive(return_counts=True)
    ends = counts.cumsum(0).tolist()
    return dict(zip(numbers.tolist(), zip([0, *ends], ends, strict=False), strict=True))


def _wrap(x: Tensor, lengths: Tensor) -> Tensor:
    rest = x.fmod(lengths)
    rest = torch.where(rest < 0, rest + lengths, rest)
    return torch.where(lengths.isinf(), x, torch.where(rest < lengths, rest, 0))


def squares(x: Tensor, y: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Returns squared distances (points of y, points of x), axis after axis and never fused."""
    total = x.new_zeros(len(y), len(x))
    for d in range(x.shape[1]):
        off = (x[None, :, d] - y[:, None, d]).abs()
        if lengths is not None:
            around = lengths[d] - off
            off = torch.where(around < off, around, off)
        total = total + off * off
    return total


def _neighbours_torch(
    x: Tensor,
    y: Tensor,
    batch_x: Tensor | None,
    batch_y: Tensor | None,
    box: Tensor | None,
    k: int,
    r: float,
    loop: bool,
) -> Tensor:
    op = "neighbours"
    _check(op, x=x, y=y)
    if not r >= 0:
        raise ValueError(f"{op}: expected a radius r >= 0, got {r}")
    if (batch_x is None) != (batch_y is None):
        raise ValueError(f"{op}: expected both batch_x and batch_y, or neither; give both sets a batch vector")
    of_x, of_y = ranges(op, "x", x, batch_x), ranges(op, "y", y, batch_y)
    lengths = None
    if box is not None:
        if box.shape != x.shape[1:] or box.dtype != torch.float64 or not (box > 0).all():
            raise ValueError(f"{op}: expected a float64 box of {x.shape[1]} lengths > 0, got {box.tolist()}")
        lengths = box.to(x)
        x, y = _wrap(x, lengths), _wrap(y, lengths)
    bound = torch.tensor(r, dtype=x.dtype, device=x.device).square()
    found = [torch.empty(2, 0, dtype=torch.int64, device=x.device)]
    for number in of_y.keys() & of_x.keys() if k != 0 else ():
        (first, last), (begin, end) = of_x[number], of_y[number]
        step = max(1, _AT_ONCE // (last - first))
        for start in range(begin, end, step):
            square = squares(x[first:last], y[start : min(start + step, end)], lengths)
            wanted = square <= bound
            if not loop:
                query = torch.arange(start, start + len(square), device=x.device)[:, None]
                wanted &= torch.arange(first, last, device=x.device) != query
            if k < 0:
                query, point = wanted.nonzero().unbind(1)
            else:  # unwanted ones last, even behind distances that overflow
                order = square.argsort(dim=1, stable=True)
                order = order.gather(1, (~wanted).gather(1, order).to(torch.uint8).argsort(dim=1, stable=True))[:, :k]
                query, column = wanted.gather(1, order).nonzero().unbind(1)
                point = order[query, column]
            found.append(torch.stack([query + start, point + first]))
    pairs = torch.cat(found, 1)
    return pairs[:, pairs[0].argsort(stable=True)]


def _nearest_torch(x: Tensor, y: Tensor, batch_x: Tensor | None, batch_y: Tensor | None, box: Tensor | None) -> Tensor:
    found = _neighbours_torch(y, x, batch_y, batch_x, box, 1, math.inf, True)[1]
    if len(found) < len(x):
        raise ValueError("nearest: some points of x have no points of y in their example of the batch")
    return found


plain_torch("neighbours", _neighbours_torch)
plain_torch("nearest", _nearest_torch)


@torch.library.register_fake("geoops::neighbours")
def _neighbours_fake(x, y, batch_x, batch_y, box, k, r, loop) -> Tensor:
    return x.new_empty(2, torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


@torch.library.register_fake("geoops::nearest")
def _nearest_fake(x, y, batch_x, batch_y, box) -> Tensor:
    return x.new_empty(x.shape[0], dtype=torch.int64)
