"""Shapes of different sizes end to end in memory, and their padded batches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from geoops.geometry import Shapes

if TYPE_CHECKING:
    from torch_geometric.data import Batch, Data

NODE = ("pos", "x", "sdf", "y")
TOKEN = ("token_pos", "token_normal", "token_size", "token_x")


@final
class Pack:
    """Samples concatenated along nodes and tokens, from which padded batches are gathered.

    A row of zeros ends every array; padding points at it, so that a batch is one gather per array whatever the sizes.

    Args:
        samples: of `Normalizer.encode`.
        variants: mirror images of each shape that a key tells apart.
        phases: how often each sample holds its tokens.
    """

    def __init__(self, samples: Sequence["Data"], variants: int = 2, phases: int = 1):
        def ends(counts: list[int]) -> Tensor:
            return torch.tensor([0, *counts]).cumsum(0)

        def joined(key: str) -> Tensor:
            parts = [s[key] for s in samples]
            return torch.cat([*parts, torch.zeros(1, parts[0].shape[1])])

        self.node_ptr = ends([len(s.pos) for s in samples])
        self.token_ptr = ends([int(s.tokens) for s in samples for _ in range(phases)])
        self.arrays = {key: joined(key) for key in (*NODE, *TOKEN) if key in samples[0]}
        self.mu = torch.cat([s.mu for s in samples])
        self.index = torch.cat([s.index for s in samples])
        self.variants, self.phases = variants, phases

    @classmethod
    def from_batch(cls, batch: "Batch") -> "Pack":
        """Takes over the arrays of a torch_geometric batch of samples."""
        pack = cls.__new__(cls)
        pack.node_ptr = batch.ptr
        pack.token_ptr = torch.cat([batch.tokens.new_zeros(1), batch.tokens.cumsum(0)])
        kept = [key for key in (*NODE, *TOKEN) if key in batch]
        pack.arrays = {key: torch.cat([batch[key], batch[key].new_zeros(1, batch[key].shape[1])]) for key in kept}
        pack.mu, pack.index, pack.variants, pack.phases = batch.mu, batch.index, 2, 1
        return pack

    def __len__(self) -> int:
        return len(self.index)

    @property
    def counts(self) -> Int[Tensor, " shapes"]:
        """Number of nodes of each shape."""
        return self.node_ptr.diff()

    def rows(self, which: Int[Tensor, " shapes"]) -> tuple[Int[Tensor, "shapes nodes"], Bool[Tensor, "shapes nodes"]]:
        """Returns for shapes the rows of all their nodes in the arrays, and which are not padding."""
        return _rows(self.node_ptr, which)

    def shapes(
        self,
        which: Int[Tensor, " shapes"],
        nodes: tuple[Tensor, Tensor] | None = None,
        *,
        with_nodes: bool = True,
        phase: Int[Tensor, " shapes"] | None = None,
    ) -> Shapes:
        """Returns shapes, padded; `nodes` (rows, mask) chooses nodes, `with_nodes=False` leaves them out.

        `phase` chooses among the tokens of each shape.
        """
        token_rows, token_mask = _rows(self.token_ptr, self.phases * which + (self.phases // 2 if phase is None else phase))
        rows, mask = nodes or self.rows(which)
        if not with_nodes:
            rows, mask = rows[:, :0], mask[:, :0]
        return Shapes(
            mask=mask,
            token_mask=token_mask,
            mu=self.mu[which],
            key=self.variants * self.index[which],
            **{key: self.arrays[key][rows] for key in ("pos", "x", "sdf")},
            **{key: self.arrays[key][token_rows] for key in TOKEN},
        )


def to_shapes(batch: "Batch") -> Shapes:
    """Returns a torch_geometric batch of samples (see `Normalizer.sample`) as shapes, padded to the largest."""
    pack = Pack.from_batch(batch)
    shapes = pack.shapes(torch.arange(len(pack), device=batch.pos.device))
    shapes.key = torch.where(pack.index < 0, pack.index.new_tensor(-1), shapes.key)
    return shapes


def _rows(ptr: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    start, count = ptr[which], ptr[which + 1] - ptr[which]
    step = torch.arange(int(count.max()) if len(which) else 0, device=ptr.device)
    mask = step < count[:, None]
    return torch.where(mask, start[:, None] + step, ptr[-1]), mask
