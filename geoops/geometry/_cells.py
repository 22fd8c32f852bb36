"""Cells of mixed kinds in one list, in VTK's layout."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from ._kinds import CODES, KINDS, kind_named

_POLYHEDRON = 42


@dataclass(frozen=True, eq=False)
class Cells:
    """A list of cells; cell i has the nodes ``connectivity[offsets[i]:offsets[i + 1]]``.

    Args:
        kinds: VTK's type code of each cell.
        offsets: where the nodes of each cell begin; starts at 0, ends with the length of `connectivity`.
        connectivity: node numbers in VTK's order.

    Raises:
        TypeError: a dtype other than uint8, int64, int64.
        ValueError: offsets that do not fit, an unknown type code, a wrong number of nodes, or a negative node number.
    """

    kinds: UInt8[Tensor, " cells"]
    offsets: Int[Tensor, " ends"]
    connectivity: Int[Tensor, " uses"]

    def __post_init__(self) -> None:
        for name, dtype in (("kinds", torch.uint8), ("offsets", torch.int64), ("connectivity", torch.int64)):
            value = getattr(self, name)
            if not isinstance(value, Tensor) or value.dtype != dtype or value.ndim != 1:
                got = f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise TypeError(f"cells: {name} must be a one-axis tensor of {dtype}, got {got}")
        count, uses = len(self.kinds), len(self.connectivity)
        if len(self.offsets) != count + 1:
            raise ValueError(f"cells: {count} cells need {count + 1} offsets, got {len(self.offsets)}")
        sizes = self.sizes()
        if self.offsets[0] != 0 or self.offsets[-1] != uses or (count and int(sizes.min()) < 1):
            raise ValueError(
                f"cells: offsets must rise from 0 to the length of connectivity ({uses}); "
                f"they start at {int(self.offsets[0])} and end at {int(self.offsets[-1])}"
            )
        for code in self.kinds.unique().tolist():
            if code == _POLYHEDRON:
                raise ValueError(
                    "cells: polyhedra are not supported; split them into tetrahedra first (pyvista: grid.triangulate())"
                )
            if code not in CODES:
                raise ValueError(f"cells: VTK type code {code} is not supported; known: {sorted(CODES)}")
            kind, found = CODES[code], sizes[self.kinds == code]
            if kind.nodes is not None and bool((found != kind.nodes).any()):
                wrong = int(found[found != kind.nodes][0])
                raise ValueError(f"cells: a {kind.name} has {kind.nodes} nodes, got one with {wrong}")
        if uses and int(self.connectivity.min()) < 0:
            cell = self.owner()[int(self.connectivity.argmin())]
            raise ValueError(f"cells: cell {int(cell)} refers to the absent point {int(self.connectivity.min())}")

    @classmethod
    def from_blocks(cls, blocks: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> "Cells":
        """Joins blocks of one kind each, in the order given: ``{"triangle": (m, 3) tensor, ...}`` or a list of
        pairs.
        """
        kinds, sizes, nodes = [], [], []
        for name, block in blocks.items() if isinstance(blocks, Mapping) else blocks:
            kind = kind_named(name)
            if not isinstance(block, Tensor) or block.ndim != 2 or block.is_floating_point():
                got = f"{block.dtype} of shape {tuple(block.shape)}" if isinstance(block, Tensor) else type(block).__name__
                raise TypeError(f"cells: block {name!r} must be an integer tensor (cells, nodes per cell), got {got}")
            if kind.nodes is not None and len(block) and block.shape[1] != kind.nodes:
                raise ValueError(f"cells: a {name} has {kind.nodes} nodes, got a block of shape {tuple(block.shape)}")
            kinds.append(torch.full((len(block),), kind.code, dtype=torch.uint8))
            sizes.append(torch.full((len(block),), block.shape[1], dtype=torch.int64))
            nodes.append(block.reshape(-1).to(torch.int64))
        if not kinds:
            return cls.empty()
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), torch.cat(sizes).cumsum(0)])
        return cls(torch.cat(kinds), offsets, torch.cat(nodes))

    @classmethod
    def empty(cls) -> "Cells":
        """Returns a list without cells."""
        none = torch.zeros(0, dtype=torch.int64)
        return cls(none.to(torch.uint8), torch.zeros(1, dtype=torch.int64), none)

    def __len__(self) -> int:
        return len(self.kinds)

    def __repr__(self) -> str:
        return f"Cells({', '.join(f'{n} {name}' for name, n in self.counts().items()) or 'none'})"

    @property
    def dim(self) -> int:
        """The largest topological dimension among the cells (0 for an empty list)."""
        return max((CODES[c].dim for c in self.kinds.unique().tolist()), default=0)

    def sizes(self) -> Int[Tensor, " cells"]:
        """Returns the number of nodes of each cell."""
        return self.offsets[1:] - self.offsets[:-1]

    def owner(self) -> Int[Tensor, " uses"]:
        """Returns the cell that each entry of `connectivity` belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.sizes())

    def counts(self) -> dict[str, int]:
        """Returns how many cells there are of each kind, in the order of the type codes."""
        codes, counts = self.kinds.unique(return_counts=True)
        return {CODES[c].name: n for c, n in zip(codes.tolist(), counts.tolist(), strict=True)}

    def blocks(self) -> list[tuple[str, Int[Tensor, "cells nodes"]]]:
        """Returns consecutive runs of cells of the same kind and size, as (kind name, node numbers)."""
        if not len(self):
            return []
        sizes = self.sizes()
        change = (self.kinds[1:] != self.kinds[:-1]) | (sizes[1:] != sizes[:-1])
        starts = [0, *(change.nonzero().flatten() + 1).tolist(), len(self)]
        blocks = []
        for a, b in pairwise(starts):
            nodes = self.connectivity[int(self.offsets[a]) : int(self.offsets[b])]
            blocks.append((CODES[int(self.kinds[a])].name, nodes.reshape(b - a, -1)))
        return blocks

    def groups(self) -> list[tuple[str, Int[Tensor, " cells"], Int[Tensor, "cells nodes"]]]:
        """Returns all cells of each kind and size together, as (kind name, cell numbers, node numbers)."""
        sizes, groups = self.sizes(), []
        for code in self.kinds.unique().tolist():
            of_kind = self.kinds == code
            for size in sizes[of_kind].unique().tolist():
                cells = (of_kind & (sizes == size)).nonzero().flatten()
                groups.append((CODES[code].name, cells, self._nodes(cells, size)))
        return groups

    def of_kind(self, name: str) -> Int[Tensor, "cells nodes"]:
        """Returns the node numbers of all cells of a kind, in order.

        Raises:
            ValueError: cells of this kind differ in size (polygons); use `groups`.
        """
        kind = kind_named(name)
        cells = (self.kinds == kind.code).nonzero().flatten()
        sizes = self.sizes()[cells].unique()
        if len(sizes) > 1:
            raise ValueError(f"cells of kind {name!r} have {sizes.tolist()} nodes and make no rectangle; use groups()")
        return self._nodes(cells, int(sizes[0]) if len(sizes) else kind.nodes or 0)

    def select(self, cells: Tensor) -> "Cells":
        """Returns some of the cells, given by a mask or by numbers."""
        cells = cells.nonzero().flatten() if cells.dtype == torch.bool else cells
        sizes = self.sizes()[cells]
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
        place = torch.arange(int(offsets[-1])) + torch.repeat_interleave(self.offsets[cells] - offsets[:-1], sizes)
        return Cells(self.kinds[cells], offsets, self.connectivity[place])

    def _nodes(self, cells: Tensor, size: int) -> Tensor:
        return self.connectivity[self.offsets[cells, None] + torch.arange(size)]


def known_kinds() -> tuple[str, ...]:
    """Returns the names of all kinds of cells, which are meshio's."""
    return tuple(KINDS)
