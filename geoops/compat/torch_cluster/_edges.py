"""Checks of graphs that are given by the two ends of their edges, or by pointers."""

import torch
from torch import Tensor


def check_edges(op: str, **ends: Tensor) -> None:
    """Raises unless all are vectors of integers of one length and device."""
    first = next(iter(ends))
    for name, end in ends.items():
        check_vector(op, name, end)
        if end.shape != ends[first].shape or end.device != ends[first].device:
            raise ValueError(
                f"{op}: expected {name} with the length and device of {first}, {len(ends[first])} on {ends[first].device}, "
                f"got {len(end)} on {end.device}"
            )


def check_vector(op: str, name: str, index: Tensor) -> None:
    """Raises unless index is a vector of int32 or int64."""
    if index.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{op}: expected {name} of dtype int32 or int64, got {index.dtype}; use {name}.long()")
    if index.ndim != 1:
        raise ValueError(f"{op}: expected {name} of shape (n,), got {tuple(index.shape)}")


def check_bounds(op: str, name: str, index: Tensor, n: int) -> None:
    """Raises IndexError unless all numbers are in [0, n)."""
    if index.numel():
        least, largest = (int(v) for v in index.aminmax())
        if least < 0 or largest >= n:
            raise IndexError(f"{op}: {name} holds {least if least < 0 else largest}, outside [0, {n})")


def node_count(op: str, num_nodes: int | None, **nodes: Tensor) -> int:
    """Returns the number of nodes, by default one more than the largest number, and checks that all are below it."""
    if num_nodes is None:
        num_nodes = max((int(index.max()) + 1 for index in nodes.values() if index.numel()), default=0)
    for name, index in nodes.items():
        check_bounds(op, name, index, num_nodes)
    return num_nodes
