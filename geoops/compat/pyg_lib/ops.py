"""Searches and clusters on examples that are given by pointers, as torch_geometric 2.8 calls them."""

import torch
from torch import Tensor

from geoops import ops
from geoops.compat import torch_cluster
from geoops.compat.torch_cluster._points import as_points, from_ptr


def knn(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    k: int = 1,
    cosine: bool = False,
    num_workers: int = 1,
) -> Tensor:
    """Returns the pairs of `geoops.compat.torch_cluster.knn`."""
    return torch_cluster.knn(x, y, k, from_ptr(ptr_x, x.device), from_ptr(ptr_y, y.device), cosine)


def radius(
    x: Tensor,
    y: Tensor,
    ptr_x: Tensor | None = None,
    ptr_y: Tensor | None = None,
    r: float = 1.0,
    max_num_neighbors: int = 32,
    num_workers: int = 1,
    ignore_same_index: bool = False,
) -> Tensor:
    """Returns the pairs of `geoops.compat.torch_cluster.radius`, or of `radius_graph` where x and y are one set of points."""
    batch_x, batch_y = from_ptr(ptr_x, x.device), from_ptr(ptr_y, y.device)
    if not ignore_same_index or x.numel() == 0 or y.numel() == 0:
        return torch_cluster.radius(x, y, r, batch_x, batch_y, max_num_neighbors)
    if x.data_ptr() == y.data_ptr() and x.shape == y.shape:
        points, most = as_points(x), max_num_neighbors
        return ops.radius_graph(points, r, batch_x, max_num_neighbors=most, flow="target_to_source")
    pairs = torch_cluster.radius(x, y, r, batch_x, batch_y, max_num_neighbors + 1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    place = torch.arange(pairs.shape[1], device=x.device) - torch.searchsorted(pairs[0].contiguous(), pairs[0].contiguous())
    return pairs[:, place < max_num_neighbors]


def nearest(x: Tensor, y: Tensor, ptr_x: Tensor | None = None, ptr_y: Tensor | None = None) -> Tensor:
    """Returns the numbers of `geoops.compat.torch_cluster.nearest`."""
    return torch_cluster.nearest(x, y, from_ptr(ptr_x, x.device), from_ptr(ptr_y, y.device))


def fps(src: Tensor, ptr: Tensor, ratio: float = 0.5, random_start: bool = True) -> Tensor:
    """Returns the numbers of `geoops.compat.torch_cluster.fps`."""
    return torch_cluster.fps(src, None, ratio, random_start, ptr=ptr)


def grid_cluster(pos: Tensor, size: Tensor, start: Tensor | None = None, end: Tensor | None = None) -> Tensor:
    """Returns the numbers of `geoops.compat.torch_cluster.grid_cluster`."""
    return torch_cluster.grid_cluster(pos, size, start, end)


def graclus_cluster(rowptr: Tensor, col: Tensor, weight: Tensor | None = None) -> Tensor:
    """Returns the matching of `geoops.compat.torch_cluster.graclus_cluster`."""
    nodes = rowptr.numel() - 1
    row = torch.arange(nodes, device=col.device).repeat_interleave(rowptr.diff()).to(col.dtype)
    return torch_cluster.graclus_cluster(row, col, weight, nodes)
