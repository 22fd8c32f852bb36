"""Random walks on a graph, uniform or biased as in node2vec."""

import torch
from torch import Tensor

from ._edges import check_edges, check_vector, node_count


def random_walk(
    row: Tensor,
    col: Tensor,
    start: Tensor,
    walk_length: int,
    p: float = 1,
    q: float = 1,
    coalesced: bool = True,
    num_nodes: int | None = None,
    return_edge_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Returns the nodes (walks, walk_length + 1) of random walks along edges from row to col.

    A step goes along an edge with equal probability, or, with p or q other than 1, with the probabilities of node2vec (Grover
    and Leskovec 2016): proportional to 1/p back to the node before, to 1 to a neighbour of the node before, and to 1/q
    elsewhere. A node without edges is not left any more.

    Args:
        row: where each edge begins, int32 or int64.
        col: where it ends.
        start: where the walks begin.
        walk_length: number of steps.
        p: reluctance to go back.
        q: reluctance to go away from the node before.
        coalesced: whether edges are sorted by row and col first; if not, row has to ascend.
        num_nodes: number of nodes; without it one more than the largest number.
        return_edge_indices: whether to return also the number of the sorted edge of each step (walks, walk_length), -1
            for none.

    Raises:
        TypeError, ValueError: a dtype, a shape, a length, p or q does not fit, or row does not ascend.
        IndexError: a node does not exist.
    """
    check_edges("random_walk", row=row, col=col)
    check_vector("random_walk", "start", start)
    n = node_count("random_walk", num_nodes, row=row, col=col, start=start)
    row, col = row.long(), col.long()
    if coalesced:
        order = (row * n + col).argsort(stable=True)
        row, col = row[order], col[order]
    elif (row.diff() < 0).any():
        raise ValueError("random_walk: expected row in ascending order with coalesced=False; sort the edges by it")
    rowptr = torch.searchsorted(row, torch.arange(n + 1, device=row.device))
    nodes, edges = walk(rowptr, col, start.long(), walk_length, float(p), float(q))
    return (nodes, edges) if return_edge_indices else nodes


def walk(rowptr: Tensor, col: Tensor, start: Tensor, walk_length: int, p: float, q: float) -> tuple[Tensor, Tensor]:
    """Returns nodes and edges of random walks on a graph that is given by pointers."""
    if walk_length < 0:
        raise ValueError(f"random_walk: expected walk_length >= 0, got {walk_length}")
    if not (p > 0 and q > 0):
        raise ValueError(f"random_walk: expected p > 0 and q > 0, got {p} and {q}")
    degree, n = rowptr.diff(), rowptr.numel() - 1
    biased = p != 1 or q != 1
    keys = (torch.arange(n, device=col.device).repeat_interleave(degree) * n + col).sort().values if biased else col
    nodes, edges, before, here = [start], [], None, start
    for _ in range(walk_length):
        edge = _uniform(rowptr, degree, here)
        if biased and before is not None:
            pending = (degree[here] > 1).nonzero().flatten()  # one edge is no choice
            while len(pending):
                at = here[pending]
                edge[pending] = _uniform(rowptr, degree, at)
                accepted = _accepted(keys, n, before[pending], col[edge[pending]], p, q)
                pending = pending[~accepted]
        stuck = degree[here] == 0
        there = here.clone()
        there[~stuck] = col[edge[~stuck]]
        edges.append(torch.where(stuck, -1, edge))
        nodes.append(there)
        before, here = here, there
    return torch.stack(nodes, 1), torch.stack(edges, 1) if edges else start.new_empty(len(start), 0)


def _uniform(rowptr: Tensor, degree: Tensor, at: Tensor) -> Tensor:
    """Returns a random edge of each node."""
    choice = (torch.rand(len(at), dtype=torch.float64, device=at.device) * degree[at]).long()
    return rowptr[at] + choice


def _accepted(keys: Tensor, n: int, before: Tensor, there: Tensor, p: float, q: float) -> Tensor:
    """Decides on steps that were proposed uniformly, with probabilities in proportion to those of node2vec."""
    key = before * n + there
    place = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
    probability = torch.where(keys[place] == key, 1.0, 1 / q)
    probability = torch.where(there == before, 1 / p, probability)
    return torch.rand(len(key), dtype=torch.float64, device=key.device) * max(1 / p, 1.0, 1 / q) < probability
