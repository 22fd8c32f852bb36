"""Samples of the neighbours of nodes."""

import torch
from torch import Tensor

from ._edges import check_bounds, check_vector


def neighbor_sampler(start: Tensor, rowptr: Tensor, size: float) -> Tensor:
    """Returns the numbers of random edges of each node, without replacement, node after node.

    Args:
        start: nodes, int32 or int64.
        rowptr: pointers to the first edge of each node and behind the last, int64.
        size: number of edges of each node, or all where there are fewer; up to 1 it is the share of them, rounded up.

    Raises:
        TypeError, ValueError: a dtype or a shape does not fit, or size is not positive.
        IndexError: a node does not exist.

    Example:
        >>> neighbor_sampler(torch.tensor([1]), torch.tensor([0, 2, 3]), 2.0)
        tensor([2])
    """
    check_vector("neighbor_sampler", "start", start)
    check_vector("neighbor_sampler", "rowptr", rowptr)
    check_bounds("neighbor_sampler", "start", start, rowptr.numel() - 1)
    if not size > 0:
        raise ValueError(f"neighbor_sampler: expected size > 0, got {size}")
    start = start.long()
    degree = rowptr.diff()[start]
    wanted = degree.clamp(max=int(size)) if size > 1 else (degree * float(size)).ceil().long()
    node = torch.arange(len(start), device=start.device).repeat_interleave(degree)
    place = torch.arange(len(node), device=start.device) - (degree.cumsum(0) - degree)[node]
    shuffled = torch.rand(len(node), device=start.device).argsort()
    shuffled = shuffled[node[shuffled].argsort(stable=True)]  # at random within each node
    return (rowptr[start][node] + place)[shuffled[place < wanted[node]]]
