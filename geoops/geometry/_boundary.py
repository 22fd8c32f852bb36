"""The facets that bound a shape, with normals that point out of the material."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._kinds import KINDS
from ._mesh import Mesh
from ._polygons import fan_or_ears


@dataclass(frozen=True, eq=False)
class Facets:
    """Pieces of a boundary: segments in the plane, triangles in space.

    Args:
        points: corners. In the plane the material lies to the left of the way from the first to the second; in space
            the corners turn anticlockwise seen from outside.
        index: numbers of the corners in the mesh.
        pos: midpoints.
        normal: unit normals, out of the material (zero for a facet without extent).
        size: lengths or areas.
        cell: the cell that each facet bounds.
    """

    points: Float[Tensor, "facets corners dim"]
    index: Int[Tensor, "facets corners"]
    pos: Float[Tensor, "facets dim"]
    normal: Float[Tensor, "facets dim"]
    size: Float[Tensor, "facets 1"]
    cell: Int[Tensor, " facets"]

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        dim = self.points.shape[2]
        return f"Facets({len(self)} {'segments' if dim == 2 else 'triangles'} in {dim}D)"

    @classmethod
    def from_index(
        cls,
        points: Float[Tensor, "nodes dim"],
        index: Int[Tensor, "facets corners"],
        cell: Int[Tensor, " facets"] | None = None,
    ) -> "Facets":
        """Measures facets given by the numbers of their corners."""
        corners = points[index]
        if points.shape[1] == 2:
            along = corners[:, 1] - corners[:, 0]
            area = torch.stack([along[:, 1], -along[:, 0]], 1)
        else:
            area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
        size = area.norm(dim=1, keepdim=True)
        normal = torch.where(size > 0, area / size.clamp_min(torch.finfo(size.dtype).tiny), torch.zeros_like(area))
        cell = torch.arange(len(index)) if cell is None else cell
        return cls(corners, index, corners.mean(1), normal, size, cell)


def boundary_facets(mesh: Mesh) -> Facets:
    r"""Returns the boundary of a shape, in pieces.

    In the plane: the edges that one cell uses (quadratic edges as two segments). In space: the faces that one solid
    cell uses; for a surface, its cells. Quadrilaterals, polygons and quadratic faces are split into triangles. Only
    cells of the largest dimension count, so the lines that mesh generators add along a boundary change nothing.
    Normals leave the cell that owns the facet, whatever the order of its nodes; a surface keeps its own orientation,
    turned outwards if it is closed.

    Raises:
        ValueError: no cells, or cells without a boundary (vertices; lines in space; higher-order kinds).
    """
    if not isinstance(mesh, Mesh):
        raise TypeError(f"boundary_facets needs a Mesh with cells, got {type(mesh).__name__}")
    top = mesh.cells.dim
    if top == 0 or (mesh.dim == 3 and top == 1):
        raise ValueError(
            f"a mesh of {mesh.cells.counts() or 'no cells'} in {mesh.dim}D has no boundary facets; it needs cells of "
            f"dimension {mesh.dim} (or {mesh.dim - 1}, as a curve or surface)"
        )
    if top == mesh.dim:
        index, cell = _edges_of_areas(mesh) if mesh.dim == 2 else _faces_of_solids(mesh)
    else:
        from ._orient import oriented

        index, cell = oriented(mesh, *pieces(mesh))
    return Facets.from_index(mesh.points, index, cell)


def refuse_higher_order(name: str) -> None:
    """Raises for kinds that are only carried through files."""
    if name.startswith("VTK_"):
        raise ValueError(f"cells of kind {name} have no geometry in geoops; write them as linear or quadratic cells")


def pieces(mesh: Mesh) -> tuple[Int[Tensor, "pieces corners"], Int[Tensor, " pieces"]]:
    """Splits the cells of the largest dimension, if that is 1 or 2, into segments or triangles; returns them and their
    cells.
    """
    top = mesh.cells.dim
    index, owner = [], []
    for name, cells, nodes in mesh.cells.groups():
        if KINDS[name].dim != top:
            continue
        refuse_higher_order(name)
        parts = segments(name, nodes) if top == 1 else triangles(name, nodes, mesh.points)
        index.append(parts.flatten(0, 1))
        owner.append(cells.repeat_interleave(parts.shape[1]))
    owners = torch.cat(owner)
    order = torch.argsort(owners, stable=True)
    return torch.cat(index)[order], owners[order]


def segments(name: str, nodes: Int[Tensor, "cells nodes"]) -> Int[Tensor, "cells segments 2"]:
    """Splits cells of dimension 1."""
    if name == "line3":
        nodes = nodes[:, [0, 2, 1]]
    elif name == "line4":
        nodes = nodes[:, [0, 2, 3, 1]]
    return torch.stack([nodes[:, :-1], nodes[:, 1:]], 2)


def triangles(name: str, nodes: Int[Tensor, "cells nodes"], points: Tensor) -> Int[Tensor, "cells triangles 3"]:
    """Splits cells of dimension 2, keeping their sense of turn."""
    if name == "triangle_strip":
        flipped = [(i + 1, i, i + 2) if i % 2 else (i, i + 1, i + 2) for i in range(nodes.shape[1] - 2)]
        return nodes[:, torch.tensor(flipped).reshape(-1, 3)]
    kind = KINDS[name]
    loop = nodes if name == "polygon" else nodes[:, list(kind.loop)]
    if kind.centre is not None:
        return _round_fan(loop, nodes[:, kind.centre])
    return fan_or_ears(loop, points)


def _round_fan(loop: Tensor, centre: Tensor) -> Tensor:
    return torch.stack([centre[:, None].expand_as(loop), loop, loop.roll(-1, 1)], 2)


def signed_areas(loop: Int[Tensor, "cells corners"], points: Float[Tensor, "nodes 2"]) -> Float[Tensor, " cells"]:
    r"""Returns $\frac12 \sum_i x_i \times x_{i+1}$ about the first node, positive for anticlockwise polygons."""
    p = (points[loop] - points[loop[:, :1]]).to(torch.float64)
    q = p.roll(-1, 1)
    return (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / 2


def _edges_of_areas(mesh: Mesh) -> tuple[Tensor, Tensor]:
    chains, ends, owner = [], [], []
    for name, cells, nodes in mesh.cells.groups():
        kind = KINDS[name]
        if kind.dim != 2:
            continue
        refuse_higher_order(name)
        if name == "triangle_strip":
            loops, cells = (
                triangles(name, nodes, mesh.points).flatten(0, 1),
                cells.repeat_interleave(nodes.shape[1] - 2),
            )
            vertex = [True] * 3
        else:
            local = list(range(nodes.shape[1])) if name == "polygon" else list(kind.loop)
            loops, vertex = nodes[:, local], [name == "polygon" or v < kind.corners for v in local]
        clockwise = signed_areas(loops, mesh.points) < 0
        # Edges run from vertex to vertex, through the mid-side node where there is one (marked by -1 where not).
        at = [i for i, is_vertex in enumerate(vertex) if is_vertex]
        for i, j in zip(at, at[1:] + at[:1], strict=True):
            curved = (j - i) % len(vertex) == 2
            chain = loops[:, [i, (i + 1) % len(vertex), j]]
            chain[clockwise] = chain[clockwise].flip(1)
            if not curved:
                chain[:, 1] = -1
            chains.append(chain)
            ends.append(loops[:, [i, j]].sort(1).values)
            owner.append(cells)
    chain, pair, cell = torch.cat(chains), torch.cat(ends), torch.cat(owner)
    _, inverse, uses = torch.unique(pair[:, 0] * len(mesh.points) + pair[:, 1], return_inverse=True, return_counts=True)
    alone = (uses[inverse] == 1).nonzero().flatten()
    alone = alone[torch.argsort(cell[alone], stable=True)]
    chain, cell = chain[alone], cell[alone]
    straight = chain[:, 1] < 0
    first = torch.where(straight[:, None], chain[:, [0, 2]], chain[:, [0, 1]])
    index = torch.cat([first, chain[~straight][:, 1:]])
    cell = torch.cat([cell, cell[~straight]])
    order = torch.argsort(cell, stable=True)
    return index[order], cell[order]


def _faces_of_solids(mesh: Mesh) -> tuple[Tensor, Tensor]:
    keys, owner, group, local = [], [], [], []
    groups = [g for g in mesh.cells.groups() if KINDS[g[0]].dim == 3]
    for g, (name, cells, nodes) in enumerate(groups):
        refuse_higher_order(name)
        kind = KINDS[name]
        for f, loop in enumerate(kind.faces):
            corners = nodes[:, [v for v in loop if v < kind.corners]].sort(1).values
            # The three smallest vertices name a face of a conforming mesh.
            keys.append(corners[:, :3])
            owner.append(cells)
            group.append(torch.full((len(cells), 2), g))
            group[-1][:, 1] = f
            local.append(torch.arange(len(cells)))
    key = torch.cat(keys).numpy()
    low, high = key[:, 0] * len(mesh.points) + key[:, 1], key[:, 2]
    order = np.lexsort((high, low))
    same = (low[order][1:] == low[order][:-1]) & (high[order][1:] == high[order][:-1])
    alone = np.ones(len(order), dtype=bool)
    alone[1:] &= ~same
    alone[:-1] &= ~same
    single = torch.from_numpy(order[alone])
    cell, face, row = torch.cat(owner)[single], torch.cat(group)[single], torch.cat(local)[single]
    index, of = [], []
    for g, (name, _, nodes) in enumerate(groups):
        kind = KINDS[name]
        for f, (loop, centre) in enumerate(zip(kind.faces, kind.centres, strict=True)):
            here = ((face[:, 0] == g) & (face[:, 1] == f)).nonzero().flatten()
            if not len(here):
                continue
            of_cell = nodes[row[here]]
            ring = of_cell[:, list(loop)]
            parts = fan_or_ears(ring, mesh.points) if centre is None else _round_fan(ring, of_cell[:, centre])
            inside_out = solid_volumes(name, of_cell, mesh.points) < 0
            parts[inside_out] = parts[inside_out].flip(2)
            index.append(parts.flatten(0, 1))
            of.append(cell[here].repeat_interleave(parts.shape[1]))
    none = torch.zeros(0, dtype=torch.int64)
    found, cells = torch.cat([none.reshape(0, 3), *index]), torch.cat([none, *of])
    order = torch.argsort(cells, stable=True)
    return found[order], cells[order]


def solid_volumes(name: str, nodes: Tensor, points: Tensor) -> Tensor:
    """Signed volumes of solid cells by the divergence theorem, positive where the table's faces look outwards."""
    kind = KINDS[name]
    p = (points[nodes] - points[nodes[:, :1]]).to(torch.float64)
    volume = torch.zeros(len(nodes), dtype=torch.float64)
    for loop, centre in zip(kind.faces, kind.centres, strict=True):
        apex = loop[0] if centre is None else centre
        for a, b in pairwise(loop if centre is None else (*loop, loop[0])):
            if apex in (a, b):
                continue
            volume += torch.linalg.det(torch.stack([p[:, apex], p[:, a], p[:, b]], 1)) / 6
    return volume
