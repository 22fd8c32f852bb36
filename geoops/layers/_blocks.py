"""Products of many points with few latents each, sorted by latent."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Blocks(NamedTuple):
    """Pairs of points and listed latents in the order of their latents: one block of rows for each latent of each shape.

    What is gathered once for a block, its latent's matrix, need not be gathered for each pair.

    Args:
        order: numbers of the pairs (of the flattened index), latent by latent.
        place: where each pair is in that order.
        sizes: number of pairs of each latent.
    """

    order: Int[Tensor, " pairs"]
    place: Int[Tensor, " pairs"]
    sizes: list[int]

    @classmethod
    def of(cls, index: Int[Tensor, "batch listed points"], latents: int) -> "Blocks":
        """Sorts the pairs of lists of `latents` latents per shape."""
        flat = (index + latents * torch.arange(len(index), device=index.device)[:, None, None]).flatten()
        order = flat.argsort(stable=True)
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        return cls(order, place, flat.bincount(minlength=latents * len(index)).tolist())

    def multiply(
        self,
        features: Float[Tensor, "batch listed points inner"],
        matrix: Float[Tensor, "batch latents inner outer"],
        offset: Float[Tensor, "batch latents outer"],
    ) -> Float[Tensor, "batch listed points outer"]:
        """Returns the features of each pair times the matrix of its latent, plus the offset of its latent."""
        rows = features.flatten(0, 2).index_select(0, self.order).split(self.sizes)
        both = zip(rows, matrix.flatten(0, 1).unbind(), offset.flatten(0, 1).unbind(), strict=True)
        parts = [torch.addmm(o, part, m) for part, m, o in both]
        return torch.cat(parts).index_select(0, self.place).unflatten(0, features.shape[:3])
