"""Frames of motions: what a decoder sees, and what it has to place."""

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.physics import Motion

from ._windows import Sampling, chosen_samples


class FrameBatch(NamedTuple):
    """Positions of samples and of other particles in the same frames; the first one is the start.

    Args:
        samples: positions of the samples.
        queries: positions of the particles to be placed.
        sample_body: material of each sample.
        query_body: material of each of the others.
    """

    samples: Float[Tensor, "frames samples dim"]
    queries: Float[Tensor, "frames queries dim"]
    sample_body: Int[Tensor, " samples"]
    query_body: Int[Tensor, " queries"]


@final
class Frames:
    """Batches of one motion each, by step; each is a function of the seed and its number alone.

    Args:
        motions: of the training.
        sampling: which particles are samples.
        queries: how many others are placed.
        frames: how many they are placed in.
        in_a_row: whether these follow a random frame, which stands for the start, one after the other; otherwise they are any,
            and the start is the first of the motion.
        seed: of all draws.
        start: number of the first batch of the iteration.
    """

    def __init__(
        self,
        motions: Sequence[Motion],
        *,
        sampling: Sampling,
        queries: int,
        frames: int,
        in_a_row: bool = False,
        seed: int = 0,
        start: int = 0,
    ):
        self.motions, self.sampling, self.queries, self.frames = list(motions), sampling, queries, frames
        self.in_a_row, self.seed, self.start = in_a_row, seed, start
        for motion in self.motions:
            if len(motion) < 1 + frames:
                raise ValueError(f"steps of {frames} frames need motions of at least {1 + frames} frames, got {len(motion)}")

    def __iter__(self) -> Iterator[FrameBatch]:
        return (self[i] for i in count(self.start))

    def __getitem__(self, step: int) -> FrameBatch:
        draw, s = np.random.default_rng([self.seed, 4, step]), self.sampling
        motion = self.motions[draw.integers(len(self.motions))]
        n = min(round(math.exp(draw.uniform(math.log(s.least), math.log(s.most)))), len(motion.material))
        samples = chosen_samples(motion, n, s.choices[draw.integers(len(s.choices))], int(draw.integers(2**31)))
        queries = torch.from_numpy(draw.permutation(len(motion.material))[: self.queries])
        if self.in_a_row:
            first = int(draw.integers(len(motion) - self.frames))
            frames = torch.arange(first, first + self.frames + 1)
        else:
            frames = torch.from_numpy(np.concatenate([[0], 1 + draw.permutation(len(motion) - 1)[: self.frames]]))
        x, body = motion.x[frames], motion.material
        return FrameBatch(x[:, samples], x[:, queries], body[samples], body[queries])
