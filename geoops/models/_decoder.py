"""What every decoder offers: from the motion of few samples to the motion of any number of points."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import softplus

from geoops.geometry import BodyBox
from geoops.layers import ModeFit


@final
@dataclass(frozen=True)
class DecoderStart:
    """Samples and queries at the start, checked.

    Args:
        samples: positions of the samples.
        queries: positions of the queries.
        sample_body: body of each sample, from 0 on.
        query_body: body of each query, one that has samples.
        bodies: number of bodies.
        bounds: lowest and highest place on each axis, None without walls.
    """

    samples: Float[Tensor, "samples dim"]
    queries: Float[Tensor, "queries dim"]
    sample_body: Int[Tensor, " samples"]
    query_body: Int[Tensor, " queries"]
    bodies: int
    bounds: Float[Tensor, "dim two"] | None

    def within(self, x: Float[Tensor, "*shape dim"]) -> Float[Tensor, "*shape dim"]:
        """Returns the nearest places within the walls."""
        return x if self.bounds is None else torch.minimum(torch.maximum(x, self.bounds[:, 0]), self.bounds[:, 1])


@final
@dataclass(frozen=True)
class DecoderState:
    """What goes from one call of `Decoder.place` to the next.

    Args:
        start: samples and queries at the start.
        own: what the decoder has of its own.
    """

    start: DecoderStart
    own: Any


class Decoder(nn.Module, ABC):
    """Places query points from the positions of samples.

    A subclass is constructed as ``Net(dim, **options)`` and implements `prepare` and `move`. Queries do not see each other: the
    place of a point is the same alone, in a chunk, or among a million others, and does not depend on the order of the samples.
    """

    #: Whether it places nothing sensible before it is trained or fitted.
    needs_training: bool = False

    #: Whether `move` goes on from the frame before (flow maps), so that frames must come one after the other.
    sequential: bool = False

    def __init__(self, dim: int):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected dim of 2 or 3, got {dim}")
        self.dim = dim

    @abstractmethod
    def prepare(self, start: DecoderStart) -> Any:
        """Returns what depends on the start alone, such as neighbours."""

    @abstractmethod
    def move(self, start: DecoderStart, own: Any, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, Any]:
        """Returns positions of the queries in each frame, `(frames, queries, dim)`, and what to go on from.

        Args:
            start: samples and queries at the start.
            own: from `prepare`, or from the frames before.
            samples: positions of the samples in any frames, or in those that follow if the decoder is `sequential`.
        """

    def begin(
        self,
        samples: Float[Tensor, "samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
        bounds: Float[Tensor, "dim two"] | None = None,
    ) -> DecoderState:
        """Returns what depends on the start alone, such as neighbours.

        Args:
            samples: positions of the samples at the start.
            queries: positions of the query points at the same time.
            sample_body: number of the body (or material) of each sample; only samples of its own body place a query.
            query_body: likewise of each query; both or neither.
            bounds: lowest and highest place on each axis, within which queries are kept, as `Motion.bounds` is.

        Raises:
            ValueError: there are fewer samples than d + 2, in all or of a body; a coordinate is not finite.
        """
        start = DecoderStart(samples, queries, *self._bodies(samples, queries, sample_body, query_body), bounds)
        return DecoderState(start, self.prepare(start))

    def place(
        self, state: DecoderState, samples: Float[Tensor, "frames samples dim"]
    ) -> tuple[Float[Tensor, "frames queries dim"], DecoderState]:
        """Returns positions of the queries in each frame, and the state to go on from.

        Args:
            state: from `begin`, or from the frames before.
            samples: positions of the samples in any frames, or in those that follow if the decoder is `sequential`.

        Raises:
            ValueError: another number of samples than at the start, or another dtype.
        """
        known = state.start.samples
        if samples.ndim != 3 or samples.shape[1:] != known.shape or samples.dtype != known.dtype:
            raise ValueError(
                f"{type(self).__name__}: expected samples of shape (frames, {len(known)}, {self.dim}) and {known.dtype} as at the "
                f"start, got {tuple(samples.shape)} and {samples.dtype}"
            )
        x, own = self.move(state.start, state.own, samples)
        return state.start.within(x), replace(state, own=own)

    def fit(self, motions: Sequence[Float[Tensor, "frames particles dim"]]) -> None:
        """Sets what is not learned by gradients, such as modes and sizes, from training motions; most have nothing.

        Args:
            motions: positions of all particles of one body each; the first frame is the start.
        """

    def loss(
        self,
        start_samples: Float[Tensor, "samples dim"],
        start_queries: Float[Tensor, "queries dim"],
        samples: Float[Tensor, "frames samples dim"],
        queries: Float[Tensor, "frames queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
    ) -> Float[Tensor, ""]:
        r"""Returns the mean square of the errors relative to that of the displacements.

        $$\frac{\sum_{t, q} |x_q(t) - x_q^*(t)|^2}{\sum_{t, q} |x_q^*(t) - X_q|^2}$$

        Args:
            start_samples: positions of the samples at the start, or, if the decoder is `sequential`, in any frame.
            start_queries: positions of the queries at the same time.
            samples: positions of the samples in any frames, or in those that follow the start if it is `sequential`.
            queries: the true positions of the queries in these frames.
            sample_body: as in `begin`.
            query_body: as in `begin`.

        Raises:
            ValueError: as in `begin`.
        """
        placed, _ = self.place(self.begin(start_samples, start_queries, sample_body, query_body), samples)
        moved = (queries - start_queries).square().mean()
        return (placed - queries).square().mean() / moved.clamp_min(torch.finfo(moved.dtype).tiny ** 0.5)

    def forward(
        self,
        samples: Float[Tensor, "frames samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
        bounds: Float[Tensor, "dim two"] | None = None,
        chunk: int = 4096,
    ) -> Float[Tensor, "frames queries dim"]:
        """Returns positions of queries in all frames, of which the first is the start.

        Args:
            samples: positions of the samples.
            queries: positions of the queries at the start.
            sample_body: as in `begin`.
            query_body: as in `begin`.
            bounds: as in `begin`.
            chunk: places computed at a time, queries times frames, which bounds the memory.

        Raises:
            ValueError: as in `begin`.
        """
        if chunk < 1:
            raise ValueError(f"{type(self).__name__}: expected a chunk >= 1, got {chunk}")
        columns = []
        for i in range(0, max(len(queries), 1), chunk):
            some = slice(i, i + chunk)
            state = self.begin(samples[0], queries[some], sample_body, None if query_body is None else query_body[some], bounds)
            parts = []
            for frames in samples.split(max(1, chunk // max(1, len(queries[some])))):
                placed, state = self.place(state, frames)
                parts.append(placed)
            columns.append(torch.cat(parts))
        return torch.cat(columns, 1)

    def _bodies(
        self,
        samples: Float[Tensor, "samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None,
        query_body: Int[Tensor, " queries"] | None,
    ) -> tuple[Int[Tensor, " samples"], Int[Tensor, " queries"], int]:
        """Returns the body of each sample and query, from 0 on, and how many there are; checks what `begin` is given."""
        name = type(self).__name__
        for what, points in (("samples", samples), ("queries", queries)):
            if points.ndim != 2 or points.shape[1] != self.dim:
                raise ValueError(f"{name}: expected {what} of shape (points, {self.dim}), got {tuple(points.shape)}")
            if len(bad := (~points.isfinite()).any(1).nonzero()):
                raise ValueError(f"{name}: {what} has NaN or infinity at {len(bad)} points, first {int(bad[0])}; remove them")
        if len(samples) < self.dim + 2:
            raise ValueError(f"{name}: expected at least {self.dim + 2} samples in {self.dim}D, got {len(samples)}; take more")
        if sample_body is None and query_body is None:
            device = samples.device
            zeros = [torch.zeros(len(points), dtype=torch.int64, device=device) for points in (samples, queries)]
            return zeros[0], zeros[1], 1
        if sample_body is None or query_body is None:
            raise ValueError(f"{name}: expected both of sample_body and query_body, or neither")
        if sample_body.shape != samples.shape[:1] or query_body.shape != queries.shape[:1]:
            raise ValueError(
                f"{name}: expected a body for each of {len(samples)} samples and {len(queries)} queries, got shapes "
                f"{tuple(sample_body.shape)} and {tuple(query_body.shape)}"
            )
        names, number = torch.unique(torch.cat([sample_body, query_body]), return_inverse=True)
        of_samples, of_queries = number[: len(samples)], number[len(samples) :]
        count = torch.bincount(of_samples, minlength=len(names))
        if len(few := (count[of_queries] < self.dim + 2).nonzero()):
            body = int(of_queries[few[0]])
            raise ValueError(
                f"{name}: expected at least {self.dim + 2} samples of each body that has queries, got {int(count[body])} of "
                f"body {int(names[body])}; take more, or join it with another body"
            )
        return of_samples, of_queries, len(names)


class _Modes(NamedTuple):
    size: Float[Tensor, " bodies"]
    fit: ModeFit
    asked: Float[Tensor, "queries dim rank"]


class ModalDecoder(Decoder):
    r"""Displacements $u(X) / L = c + \sum_k z_k \Psi_k(X)$ in the box of each body at the start, whose longest side is L."""

    needs_training = True
    ridge: float

    @abstractmethod
    def at(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim rank"]:
        """Returns the modes at places in the unit cube."""

    def prepare(self, start: DecoderStart) -> _Modes:
        """Returns the modes at the queries, and the least squares at the samples."""
        box = BodyBox.around(start.samples, start.sample_body, start.bodies)
        known, asked = (self.at(box.unit(x, b)) for x, b in ((start.samples, start.sample_body), (start.queries, start.query_body)))
        return _Modes(box.size, ModeFit(known, start.sample_body, start.bodies, self.ridge), asked)

    def move(self, start: DecoderStart, own: _Modes, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Modes]:
        """Returns positions of the queries in each frame."""
        z, c = own.fit.amounts((samples - start.samples) / own.size[start.sample_body, None])
        u = c[:, start.query_body] + (own.asked @ z[:, start.query_body, :, None])[..., 0]
        return start.queries + own.size[start.query_body, None] * u, own


def learned_weights(weight: Float[Tensor, "*weights k"], score: Float[Tensor, "*scores k"]) -> Float[Tensor, "*scores k"]:
    r"""Returns $w_i \propto b_i\,\mathrm{softplus}(s_i)$, positive and with the sum 1, of such weights $b_i$ and scores."""
    w = weight * softplus(score).clamp_min(1e-12)  # all of them can be 0 by rounding
    return w / w.sum(-1, keepdim=True)
