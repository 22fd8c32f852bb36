"""Matching of neighbouring nodes, the coarsening step of Graclus."""

import torch
from torch import Tensor

from geoops import ops

from ._edges import check_edges, node_count


def graclus_cluster(row: Tensor, col: Tensor, weight: Tensor | None = None, num_nodes: int | None = None) -> Tensor:
    """Returns a maximal matching: the smaller number of the two nodes of each pair, and a single node's own number.

    In each round every node proposes to the free neighbour that is joined to it by the heaviest edge, and proposals that
    meet become pairs; equal weights, and all edges without weights, are ordered at random. So the matching has at least
    half the weight of the heaviest one, and no two free nodes that an edge joins are left over. The number of rounds grows
    with the logarithm of the number of edges where the order of the weights is random, and with the number of nodes where
    they ascend along a path.

    Args:
        row: one end of each edge, int32 or int64. Edges have no direction here, loops are left out, and the heaviest of
            several edges between two nodes counts.
        col: the other end.
        weight: weight of each edge; an edge of negative weight matches nothing.
        num_nodes: number of nodes; without it one more than the largest number.

    Raises:
        TypeError, ValueError: a dtype or a shape does not fit.
        IndexError: an edge ends in a node that does not exist.

    Preis, Linear time 1/2-approximation algorithm for maximum weighted matching in general graphs (1999); Dhillon, Guan and
    Kulis, Weighted graph cuts without eigenvectors (2007).

    Example:
        >>> graclus_cluster(torch.tensor([0, 1, 2]), torch.tensor([1, 2, 3]), torch.tensor([1.0, 3.0, 1.0]))
        tensor([0, 1, 1, 3])
    """
    check_edges("graclus_cluster", row=row, col=col)
    if weight is not None and weight.shape != row.shape:
        raise ValueError(f"graclus_cluster: expected weight of shape {tuple(row.shape)}, got {tuple(weight.shape)}")
    n = node_count("graclus_cluster", num_nodes, row=row, col=col)
    keep = row != col if weight is None else (row != col) & (weight >= 0)
    low, high = torch.minimum(row, col)[keep].long(), torch.maximum(row, col)[keep].long()
    pairs, edge = (low * n + high).unique(return_inverse=True)
    order = torch.randperm(len(pairs), device=row.device)
    if weight is not None:
        heaviest = ops.scatter(weight[keep], edge, dim_size=len(pairs), reduce="max")
        order = order[heaviest[order].argsort(stable=True)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(1, len(pairs) + 1, device=row.device)
    low, high = pairs.div(max(n, 1), rounding_mode="floor"), pairs % max(n, 1)
    cluster = torch.arange(n, device=row.device)
    free = torch.ones(n, dtype=torch.bool, device=row.device)
    while len(rank):
        best = ops.scatter(torch.cat([rank, rank]), torch.cat([low, high]), dim_size=n, reduce="max")
        meet = (best[low] == rank) & (best[high] == rank)
        cluster[high[meet]] = low[meet]
        free[low[meet]] = False
        free[high[meet]] = False
        left = free[low] & free[high]
        low, high, rank = low[left], high[left], rank[left]
    return cluster
