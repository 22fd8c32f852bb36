"""Lengths, areas and volumes of cells."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._boundary import refuse_higher_order, segments, signed_areas, solid_volumes, triangles
from ._kinds import KINDS
from ._mesh import Mesh


def cell_measures(mesh: Mesh) -> Float[Tensor, " cells"]:
    r"""Returns the length, area or volume of each cell (zero for vertices), never negative.

    Polygons and solids with flat faces are exact, $\frac12 \sum x_i \times x_{i+1}$ and $\frac16 \sum a \cdot (b
    \times c)$ over the faces; quadratic cells count as the linear pieces between all their nodes.
    """
    measures = torch.zeros(len(mesh.cells), dtype=mesh.points.dtype)
    for name, cells, nodes in mesh.cells.groups():
        refuse_higher_order(name)
        dim = KINDS[name].dim
        if dim == 1:
            ends = mesh.points[segments(name, nodes)]
            found = (ends[..., 1, :] - ends[..., 0, :]).norm(dim=-1).sum(1)
        elif dim == 2 and mesh.dim == 2 and name != "triangle_strip":
            loop = nodes if name == "polygon" else nodes[:, list(KINDS[name].loop)]
            found = signed_areas(loop, mesh.points).abs()
        elif dim == 2:
            a, b, c = mesh.points[triangles(name, nodes, mesh.points)].unbind(2)
            u, v = (torch.nn.functional.pad(e - a, (0, 3 - mesh.dim)) for e in (b, c))
            found = torch.linalg.cross(u, v).norm(dim=-1).sum(1) / 2
        elif dim == 3:
            found = solid_volumes(name, nodes, mesh.points).abs()
        else:
            continue
        measures[cells] = found.to(measures.dtype)
    return measures


def edges(mesh: Mesh) -> Int[Tensor, "edges 2"]:
    """Returns the pairs of vertices joined by an edge of some cell, each once, the smaller number first."""
    pairs = []
    for name, _, nodes in mesh.cells.groups():
        refuse_higher_order(name)
        kind = KINDS[name]
        if kind.dim == 0:
            continue
        if name == "poly_line":
            pairs.append(torch.stack([nodes[:, :-1], nodes[:, 1:]], 2))
        elif name == "polygon":
            pairs.append(torch.stack([nodes, nodes.roll(-1, 1)], 2))
        elif name == "triangle_strip":
            pairs += [torch.stack([nodes[:, :-k], nodes[:, k:]], 2) for k in (1, 2)]
        else:
            pairs.append(nodes[:, torch.tensor(kind.edges)])
    if not pairs:
        return torch.zeros(0, 2, dtype=torch.int64)
    both = torch.cat([p.reshape(-1, 2) for p in pairs]).sort(1).values
    key = torch.unique(both[:, 0] * len(mesh.points) + both[:, 1])
    return torch.stack([key // len(mesh.points), key % len(mesh.points)], 1)


def mean_edge_length(mesh: Mesh) -> float:
    """Returns the mean distance between the ends of the edges, each edge counted once.

    Raises:
        ValueError: no cell has an edge.
    """
    ends = mesh.points[edges(mesh)]
    if not len(ends):
        raise ValueError(f"the mesh has no edges (cells: {mesh.cells.counts() or 'none'})")
    return float((ends[:, 1] - ends[:, 0]).norm(dim=1).to(torch.float64).mean())
