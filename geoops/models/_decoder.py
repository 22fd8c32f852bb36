"""What every decoder offers: from the motion of few samples to the motion of any number of points."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Decoder(nn.Module, ABC):
    """Places query points from the positions of samples.

    A subclass is constructed as ``Net(dim, **options)`` and implements `begin` and `place`. Queries do not see each other: the
    place of a point is the same alone, in a chunk, or among a million others, and does not depend on the order of the samples.
    """

    #: Whether `place` goes on from the frame before (flow maps), so that frames must come one after the other.
    sequential: bool = False

    def __init__(self, dim: int):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected dim of 2 or 3, got {dim}")
        self.dim = dim

    @abstractmethod
    def begin(
        self,
        samples: Float[Tensor, "samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
    ) -> Any:
        """Returns what depends on the start alone, such as neighbours.

        Args:
            samples: positions of the samples at the start.
            queries: positions of the query points at the same time.
            sample_body: number of the body (or material) of each sample; only samples of its own body place a query.
            query_body: likewise of each query; both or neither.

        Raises:
            ValueError: there are fewer samples than d + 2, in all or of a body; a coordinate is not finite.
        """

    @abstractmethod
    def place(self, state: Any, samples: Float[Tensor, "frames samples dim"]) -> tuple[Float[Tensor, "frames queries dim"], Any]:
        """Returns positions of the queries in each frame, and the state to go on from.

        Args:
            state: from `begin`, or from the frames before.
            samples: positions of the samples in any frames, or in those that follow if the decoder is `sequential`.
        """

    def forward(
        self, samples: Float[Tensor, "frames samples dim"], queries: Float[Tensor, "queries dim"], chunk: int = 16384
    ) -> Float[Tensor, "frames queries dim"]:
        """Returns positions of queries in all frames, of which the first is the start; computed by chunks of queries."""
        parts = [self.place(self.begin(samples[0], some), samples)[0] for some in queries.split(chunk)]
        return torch.cat(parts, 1) if parts else samples.new_empty(len(samples), 0, self.dim)
