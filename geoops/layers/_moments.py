"""Mean and standard deviation over batches."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
class Moments:
    """Mean and standard deviation of each channel over any number of batches of rows, in double precision."""

    def __init__(self):
        self.count = 0
        self.sum: Tensor | float = 0.0
        self.square: Tensor | float = 0.0

    def add(self, rows: Float[Tensor, "rows channels"]) -> None:
        """Counts rows in."""
        rows = rows.detach().double()
        self.count += len(rows)
        self.sum = self.sum + rows.sum(0)
        self.square = self.square + rows.square().sum(0)

    def fill(self, mean: Float[Tensor, " channels"], std: Float[Tensor, " channels"]) -> None:
        """Writes mean and standard deviation into tensors; 1 where nothing varies.

        Raises:
            ValueError: if no rows were counted.
        """
        if not self.count:
            raise ValueError("cannot fit statistics: the training set has no shapes")
        average = torch.as_tensor(self.sum) / self.count
        spread = (torch.as_tensor(self.square) / self.count - average**2).clamp_min(0).sqrt()
        # Rounding of the squares must not pass for variation.
        varies = spread > 1e-6 * average.abs().clamp_min(1e-6)
        mean.copy_(average)
        std.copy_(torch.where(varies, spread, torch.ones_like(spread)))
