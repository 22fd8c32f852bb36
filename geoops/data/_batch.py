"""Batches of fields: what a training or evaluation step receives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from geoops.geometry import Shapes

from ._normalizer import Normalizer, Scaler
from ._pack import Pack


class FieldBatch(NamedTuple):
    """Shapes with query points, the field there in normalised units, and which queries are not padding."""

    shapes: Shapes
    pos: Float[Tensor, "shapes queries dim"]
    sdf: Float[Tensor, "shapes queries 1"]
    target: Float[Tensor, "shapes queries outputs"]
    mask: Bool[Tensor, "shapes queries"]


@dataclass(frozen=True)
class Reflection:
    """Mirrors shapes along an axis through the centre of the training boxes: v' = a v + b per channel of each array."""

    axis: int
    x: tuple[Tensor, Tensor]
    y: tuple[Tensor, Tensor]
    mu: tuple[Tensor, Tensor]

    @classmethod
    def build(
        cls, axis: int, place: int, axes: int, normalizer: Normalizer, signs: dict[str, list[int] | list[list[int]]]
    ) -> "Reflection":
        """Builds the mirror for the `place`-th of `axes` axes from the signs that its channels take."""

        def affine(scalers: Sequence[Scaler], role: str) -> tuple[Tensor, Tensor]:
            a, b = [], []
            for s in scalers:
                sign = [1] * s.channels
                if s.name in signs:
                    given = signs[s.name]
                    sign = given[place] if axes > 1 else given
                elif role == "targets" and s.channels > 1 and not s.categories:
                    example = {s.name: [-1] + [1] * (s.channels - 1)}
                    raise ValueError(
                        f"reflect: say how the {s.channels} channels of target {s.name!r} change sign under a mirror "
                        f"along axis {axis}, for example reflect_signs: {example}"
                    )
                if not isinstance(sign, list) or len(sign) != s.channels or any(v not in (1, -1) for v in sign):
                    raise ValueError(
                        f"reflect_signs[{s.name!r}] must be {s.channels} numbers 1 or -1"
                        f"{' for each of the axes' if axes > 1 else ''}, got {signs[s.name]}"
                    )
                a += sign
                mean = s.mean or (0.0,) * s.channels
                std = s.std or (1.0,) * s.channels
                # z-scores of s·u are s·z + (s - 1)·mean/std.
                b += [(v - 1) * m / d for v, m, d in zip(sign, mean, std, strict=True)]
            return torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)

        return cls(
            axis,
            affine(normalizer.inputs, "inputs"),
            affine(normalizer.targets, "targets"),
            affine(normalizer.globals, "globals"),
        )

    def apply(self, batch: FieldBatch, flip: Bool[Tensor, " shapes"]) -> FieldBatch:
        """Mirrors the shapes where `flip` is True."""
        if not flip.any():
            return batch
        sign = 1.0 - 2.0 * flip.float()[:, None]

        def position(v: Tensor) -> Tensor:
            v = v.clone()
            v[..., self.axis] *= sign
            return v

        def field(v: Tensor, affine: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
            a, b = affine
            if (a == 1).all():
                return v
            mirrored = a * v + b
            if mask is not None:
                mirrored = mirrored * mask[..., None]
            return torch.where(flip.view(-1, *[1] * (v.ndim - 1)), mirrored, v)

        s = batch.shapes
        shapes = replace(
            s,
            pos=position(s.pos),
            token_pos=position(s.token_pos),
            token_normal=position(s.token_normal),
            x=field(s.x, self.x, s.mask),
            token_x=field(s.token_x, self.x, s.token_mask),
            mu=field(s.mu, self.mu, None),
        )
        # Queries at the nodes stay the same tensor: networks may then take one pass.
        pos = shapes.pos if batch.pos is s.pos else position(batch.pos)
        return FieldBatch(shapes, pos, batch.sdf, field(batch.target, self.y, batch.mask), batch.mask)


@final
class StepBatches:
    """Training batches; the batch of step i is a function of the seed and i alone.

    Epochs are seeded permutations laid end to end; step i takes the shapes from i·B on. Each slot of a batch draws its
    nodes and mirrors from its own stream, so that processes which share the slots of a batch see what one process
    would.

    Args:
        pack: the training set.
        batch_size: shapes in a batch, over all processes.
        points: random nodes per shape as queries; all nodes when None. A smaller shape repeats some.
        encode_points: random nodes per shape that the encoder sees; all when None. They share the draw with the
            queries.
        reflections: mirrors, each applied with probability 1/2.
        seed, start: of the draws; the first step.
        rank, world: this process and the number of them.
        with_nodes: False for networks that read tokens only.
    """

    def __init__(
        self,
        pack: Pack,
        *,
        batch_size: int,
        points: int | None,
        seed: int,
        encode_points: int | None = None,
        reflections: Sequence[Reflection] = (),
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        with_nodes: bool = True,
    ):
        if batch_size % world:
            raise ValueError(f"batch_size ({batch_size}, over all processes) must be divisible by the {world} processes")
        self.pack, self.batch_size, self.points, self.encode_points = pack, batch_size, points, encode_points
        self.reflections, self.seed, self.start = reflections, seed, start
        self.rank, self.world, self.with_nodes = rank, world, with_nodes
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def __iter__(self) -> Iterator[FieldBatch]:
        return self.every(1)

    def every(self, stride: int, first: int = 0) -> Iterator[FieldBatch]:
        """Iterates over each `stride`-th step: the share of one worker."""
        return (self[i] for i in count(self.start + first, stride))

    def __getitem__(self, step: int) -> FieldBatch:
        slots = range(self.rank, self.batch_size, self.world)
        which = torch.tensor([self._shape(step * self.batch_size + slot) for slot in slots])
        draws = [np.random.default_rng([self.seed, 1, step, slot]) for slot in slots]
        flips = np.stack([d.random(len(self.reflections)) < 0.5 for d in draws])
        most = max(self.points or 0, self.encode_points or 0)
        drawn = None
        if most:
            counts, start = self.pack.counts[which].tolist(), self.pack.node_ptr[which]
            drawn = start[:, None] + torch.stack([_draw(d, n, most) for d, n in zip(draws, counts, strict=True)])

        def nodes(limit: int | None) -> tuple[Tensor, Tensor]:
            if limit is None or drawn is None:
                return self.pack.rows(which)
            return drawn[:, :limit], torch.ones(len(which), limit, dtype=torch.bool)

        encoded = nodes(self.encode_points)
        phase = None
        if self.pack.phases > 1:
            phase = torch.tensor([int(d.integers(self.pack.phases)) for d in draws])
        shapes = self.pack.shapes(which, encoded, with_nodes=self.with_nodes, phase=phase)
        bits = torch.from_numpy(flips @ (1 << np.arange(len(self.reflections), dtype=np.int64)))
        # A subset of the nodes is another input each time: no code of it may be kept.
        subset = self.pack.phases > 1 or (self.encode_points is not None and self.with_nodes)
        shapes.key = torch.full_like(shapes.key, -1) if subset else shapes.key + bits
        same = self.points == self.encode_points and self.with_nodes
        batch = query(self.pack, shapes, encoded if same else nodes(self.points), at_nodes=same)
        for j, reflection in enumerate(self.reflections):
            batch = reflection.apply(batch, torch.from_numpy(flips[:, j]))
        return batch

    def mirrored(self, which: Int[Tensor, " shapes"], bits: int) -> Shapes:
        """Returns whole training shapes, mirrored along the axes whose bits are set."""
        rows = self.pack.rows(which)
        shapes = self.pack.shapes(which, rows, with_nodes=self.with_nodes)
        shapes.key = shapes.key + bits
        batch = query(self.pack, shapes, rows, at_nodes=self.with_nodes)
        for j, reflection in enumerate(self.reflections):
            batch = reflection.apply(batch, torch.full((len(which),), bool(bits >> j & 1)))
        return batch.shapes

    def _shape(self, position: int) -> int:
        epoch, place = divmod(position, len(self.pack))
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.pack)))
        return int(self._order[1][place])


@final
class EvalBatches:
    """All shapes once with all their nodes as queries, in order, a share of the batches for each process."""

    def __init__(self, pack: Pack, *, batch_size: int, rank: int = 0, world: int = 1, with_nodes: bool = True):
        self.pack, self.rank, self.world, self.with_nodes = pack, rank, world, with_nodes
        self.batches = torch.arange(len(pack)).split(batch_size)

    def __iter__(self) -> Iterator[FieldBatch]:
        for which in self.batches[self.rank :: self.world]:
            rows = self.pack.rows(which)
            shapes = self.pack.shapes(which, rows, with_nodes=self.with_nodes)
            yield query(self.pack, shapes, rows, at_nodes=self.with_nodes)


@final
class Stream(IterableDataset):
    """Batches as `DataLoader` takes them; workers take turns, so that their number changes nothing."""

    def __init__(self, batches: StepBatches | EvalBatches):
        self.batches = batches

    def __iter__(self) -> Iterator[FieldBatch]:
        worker = get_worker_info()
        if worker is None or isinstance(self.batches, EvalBatches):
            return iter(self.batches)
        return self.batches.every(worker.num_workers, worker.id)


def query(pack: Pack, shapes: Shapes, nodes: tuple[Tensor, Tensor], *, at_nodes: bool) -> FieldBatch:
    """Adds query points (rows, mask) with their targets; `at_nodes`: they are the nodes of the shapes."""
    rows, mask = nodes
    pos = shapes.pos if at_nodes else pack.arrays["pos"][rows]
    sdf = shapes.sdf if at_nodes else pack.arrays["sdf"][rows]
    return FieldBatch(shapes, pos, sdf, pack.arrays["y"][rows], mask)


def _draw(rng: np.random.Generator, n: int, k: int) -> Tensor:
    """Returns k of n without repetition; in rounds of all n where k is larger."""
    rounds = [rng.permutation(n) for _ in range(-(-k // n))]
    return torch.from_numpy(np.concatenate(rounds)[:k])
