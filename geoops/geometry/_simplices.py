"""Cells into triangles or tetrahedra that meet face to face."""

import torch
from jaxtyping import Int
from torch import Tensor

from ._boundary import pieces, refuse_higher_order
from ._kinds import KINDS
from ._mesh import Mesh

# Corners and the pieces of the octahedron between the mid-side nodes.
_TETRA10 = (
    (0, 4, 6, 7), (4, 1, 5, 8), (6, 5, 2, 9), (7, 8, 9, 3), (4, 5, 6, 8), (4, 6, 7, 8), (6, 7, 8, 9), (5, 6, 8, 9),
)  # fmt: skip


def simplices(mesh: Mesh) -> Int[Tensor, "simplices corners"]:
    """Splits the cells of the largest dimension, 2 or 3, into simplices.

    A solid is split from its smallest node number to the faces without that node, each split from its own smallest node
    (Dompierre et al., How to subdivide pyramids, prisms and hexahedra into tetrahedra, 1999), so neighbours agree on
    the face between them. Of quadratic solids other than tetrahedra only the vertices are used.
    """
    if mesh.cells.dim == 2:
        return pieces(mesh)[0]
    found = []
    for name, _, nodes in mesh.cells.groups():
        kind = KINDS[name]
        if kind.dim != 3:
            continue
        refuse_higher_order(name)
        if name == "tetra":
            found.append(nodes)
        elif name == "tetra10":
            found.append(nodes[:, torch.tensor(_TETRA10)].flatten(0, 1))
        else:
            found.append(_star(nodes[:, : kind.corners], [[v for v in f if v < kind.corners] for f in kind.faces]))
    return torch.cat(found)


def _star(nodes: Tensor, faces: list[list[int]]) -> Tensor:
    apex = nodes.min(1).values
    found = []
    for face in faces:
        ring = nodes[:, face]
        first = ring.argmin(1, keepdim=True)
        ring = ring.gather(1, (first + torch.arange(len(face))) % len(face))
        away = (ring != apex[:, None]).all(1)
        found += [torch.stack([ring[:, 0], ring[:, i], ring[:, i + 1], apex], 1)[away] for i in range(1, len(face) - 1)]
    return torch.cat(found)
