"""Sampling and binning of points, and what torch_cluster takes as points and geoops.ops does not."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geoops import ops


def as_points(x: Tensor) -> Tensor:
    """Returns a table (points, dim) in float32 or float64: vectors become columns, other numbers are widened."""
    x = x.view(-1, 1) if x.ndim == 1 else x
    if x.dtype in (torch.float16, torch.bfloat16):
        return x.float()
    return x if x.is_floating_point() else x.double()


def from_ptr(ptr: Tensor | Sequence[int] | None, device: torch.device) -> Tensor | None:
    """Returns the batch vector of examples that are delimited by pointers."""
    if ptr is None:
        return None
    ptr = torch.as_tensor(ptr, dtype=torch.int64, device=device)
    return torch.arange(ptr.numel() - 1, device=device).repeat_interleave(ptr.diff())


def fps(
    src: Tensor,
    batch: Tensor | None = None,
    ratio: Tensor | float | None = None,
    random_start: bool = True,
    batch_size: int | None = None,
    ptr: Tensor | list[int] | None = None,
) -> Tensor:
    """Returns points of which each is as far as possible from those before it, with `geoops.ops.fps`.

    Args:
        src: points (points, ...).
        batch: example of each point, in ascending order.
        ratio: share of the points of each example, 0.5 by default, rounded up; a tensor may have one for each example.
        random_start: whether an example begins with a random point instead of its first.
        batch_size: accepted and not needed.
        ptr: pointers to the first point of each example and behind the last, in place of batch.

    Raises:
        TypeError, ValueError: as in `geoops.ops.fps`.
    """
    x = as_points(src.flatten(1) if src.ndim > 2 else src).detach()
    batch = batch if ptr is None else from_ptr(ptr, x.device)
    if isinstance(ratio, Tensor):
        # 0.2 in 32 bits is a little more than 0.2, and of 15 points it would take 4
        shares = [round(share, 7) for share in ratio.flatten().tolist()]
    else:
        shares = [0.5 if ratio is None else float(ratio)]
    if len(shares) == 1:
        return ops.fps(x, batch, ratio=shares[0], random_start=random_start)
    if batch is None:
        raise ValueError(f"fps: expected one ratio without batch and ptr, got {len(shares)}")
    members = [(batch == example).nonzero().flatten() for example in range(len(shares))]
    chosen = [of[ops.fps(x[of], ratio=r, random_start=random_start)] for of, r in zip(members, shares, strict=True)]
    return torch.cat(chosen)


def grid_cluster(pos: Tensor, size: Tensor, start: Tensor | None = None, end: Tensor | None = None) -> Tensor:
    """Returns the number of the cell of a regular grid in which each point lies, with `geoops.ops.grid_cluster`.

    Args:
        pos: points (points, ...).
        size: lengths of a cell along each axis.
        start: where the grid begins; by default at the smallest coordinates.
        end: where it ends; by default at the largest.

    Raises:
        TypeError, ValueError: as in `geoops.ops.grid_cluster`.
    """
    x = as_points(pos.flatten(1) if pos.ndim > 2 else pos).detach()
    corners = [None if corner is None else corner.reshape(-1).to(x) for corner in (start, end)]
    return ops.grid_cluster(x, size.reshape(-1).to(x), *corners)
