"""The tests that every decoder passes: a new decoder's test is one class with a `build`."""

import copy
import io
import itertools
import math
import unittest
from typing import Any

import torch
from torch import Tensor

from ._assertions import largest


class DecoderSuite:
    """Inherited tests of a decoder; subclass it as ``TestMyDecoder`` and implement `build`.

    ```python
    class TestMyDecoder(DecoderSuite):
        def build(self, dim):
            return MyDecoder(dim, hidden=16)
    ```

    Parameters are moved away from where they start, so that nothing that begins at zero hides a mistake.
    """

    #: Dimensions that are tested.
    dims: tuple[int, ...] = (2, 3)

    #: Largest difference allowed by comparisons in float32, for bodies of size 1.
    atol = 1e-5

    #: Whether shifting all samples shifts all queries likewise.
    translates = True

    #: Names of parameters that may have no gradient.
    no_gradient: tuple[str, ...] = ()

    def build(self, dim: int) -> Any:
        """Returns a small decoder."""
        raise NotImplementedError("implement build(self, dim) and return a small decoder")

    def bodies(self, dim: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """Returns 60 samples in 3 frames and 45 queries at the start, in a box of length 1 that bends."""
        generator = torch.Generator().manual_seed(1)
        X = torch.rand(60, dim, generator=generator, dtype=torch.float64)
        queries = torch.rand(45, dim, generator=generator, dtype=torch.float64)
        return self.motion(X).to(dtype), queries.to(dtype)

    def motion(self, X: Tensor) -> Tensor:
        """Returns where points are in 3 frames, of which the first is the start."""
        bend = 0.05 * torch.sin(math.pi * X).roll(1, -1)
        return torch.stack([X, X + bend, 1.1 * X + 2 * bend + 0.1])

    def ready(self, dim: int, dtype: torch.dtype = torch.float32) -> Any:
        """Returns a fitted decoder, moved away from where it starts, in evaluation mode."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = self.build(dim)
            X = torch.rand(400, dim)
            decoder.fit([self.motion(X), self.motion(X).roll(1, -1)])
            for parameter in decoder.parameters():
                parameter.data += 0.05 * torch.randn_like(parameter)
        return decoder.eval().to(dtype)

    def run(self, decoder: Any, samples: Tensor, queries: Tensor, *bodies: Tensor, chunk: int = 4096) -> Tensor:
        """Returns places without gradients."""
        with torch.no_grad():
            return decoder(samples, queries, *bodies, chunk=chunk)

    def test_dtypes_agree(self):
        """Keeps the dtype, and computes the same places in both."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            placed = self.run(decoder, samples, queries)
            assert placed.dtype == torch.float32
            assert placed.shape == (3, 45, dim)
            wide = self.run(copy.deepcopy(decoder).double(), samples.double(), queries.double())
            assert wide.dtype == torch.float64
            assert largest(placed.double(), wide) <= 10 * self.atol

    def test_save_and_load(self):
        """Comes back from a file of plain tensors."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            file = io.BytesIO()
            torch.save(decoder.state_dict(), file)
            file.seek(0)
            other = self.build(dim)
            other.load_state_dict(torch.load(file, weights_only=True))
            assert torch.equal(self.run(decoder, samples, queries), self.run(other.eval(), samples, queries))

    def test_chunks(self):
        """Places a query the same alone, in a chunk and among others, and nothing where there is none."""
        for dim, dtype in itertools.product(self.dims, (torch.float32, torch.float64)):
            decoder, (samples, queries) = self.ready(dim, dtype), self.bodies(dim, dtype)
            whole = self.run(decoder, samples, queries)
            for chunk in (1, 7):
                assert largest(whole, self.run(decoder, samples, queries, chunk=chunk)) <= 1e-6
            assert self.run(decoder, samples, queries[:0]).shape == (3, 0, dim)

    def test_order(self):
        """Does not depend on the order of samples or queries."""
        for dim, dtype in itertools.product(self.dims, (torch.float32, torch.float64)):
            decoder, (samples, queries) = self.ready(dim, dtype), self.bodies(dim, dtype)
            whole = self.run(decoder, samples, queries)
            assert largest(whole, self.run(decoder, samples.flip(1), queries)) <= 1e-6
            assert largest(whole.flip(1), self.run(decoder, samples, queries.flip(0))) <= 1e-6

    def test_frames(self):
        """Places frames together as one by one; a decoder that is not sequential in any order."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            with torch.no_grad():
                start = decoder.begin(samples[0], queries)
                together, state = decoder.place(start, samples), start
                for t in range(3):
                    alone, state = decoder.place(state, samples[t : t + 1])
                    assert largest(together[0][t], alone[0]) <= self.atol
                if not decoder.sequential:
                    assert largest(together[0].flip(0), decoder.place(start, samples.flip(0))[0]) <= self.atol
                assert decoder.place(start, samples[:0])[0].shape == (0, 45, dim)

    def test_translation(self):
        """Moves queries as the samples are, where all move by the same vector."""
        for dim in self.dims if self.translates else ():
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            way = torch.tensor([0.3, -0.2, 0.5])[:dim]
            moved = samples[:1] + torch.tensor([0.0, 0.5, 1.0])[:, None, None] * way
            placed = self.run(decoder, moved, queries)
            assert largest(placed[2], queries + way) <= self.atol

    def test_walls(self):
        """Keeps queries within bounds, and leaves alone those that are within them anyway."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            bounds = torch.tensor([[0.2, 0.9]]).repeat(dim, 1)
            with torch.no_grad():
                placed = decoder(samples, queries, bounds=bounds)
                assert placed.amin() >= bounds[0, 0]
                assert placed.amax() <= bounds[0, 1]
                far = decoder(samples, queries, bounds=torch.tensor([[-9.0, 9.0]]).repeat(dim, 1))
            assert torch.equal(far, self.run(decoder, samples, queries))

    def test_bodies_do_not_mix(self):
        """Sees only samples of the own body, in whatever order they come, and as if it were alone."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            one = self.run(decoder, samples, queries)
            two = self.run(decoder, 2 * samples - 0.3, queries)
            order, asked = torch.randperm(120), torch.randperm(90)
            both = torch.cat([samples, 2 * samples - 0.3], 1)[:, order]
            sample_body = torch.tensor([7, 3]).repeat_interleave(60)[order]
            query_body = torch.tensor([7, 3]).repeat_interleave(45)[asked]
            placed = self.run(decoder, both, queries.repeat(2, 1)[asked], sample_body, query_body)
            assert largest(torch.cat([one, two], 1)[:, asked], placed) <= 2 * self.atol

    def test_gradients(self):
        """Gives a finite gradient to every parameter and to the samples, and a few steps lower the loss."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim).train(), self.bodies(dim)
            true = self.motion(queries)
            samples.requires_grad_()
            decoder.loss(samples[0].detach(), queries, samples[1:], true[1:]).backward()
            assert samples.grad is not None
            assert samples.grad.isfinite().all()
            assert samples.grad.abs().sum() > 0
            names = {name for name, parameter in decoder.named_parameters() if parameter.requires_grad}
            for name, parameter in decoder.named_parameters():
                if parameter.grad is not None and parameter.grad.abs().sum() > 0:
                    assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
                    names.discard(name)
            assert not (left := names - set(self.no_gradient)), f"no gradient reaches {sorted(left)}"
            parameters = list(decoder.parameters())
            if not parameters:
                continue
            optimiser, history = torch.optim.AdamW(parameters, lr=1e-3), []
            for _ in range(8):
                optimiser.zero_grad()
                loss = decoder.loss(samples[0].detach(), queries, samples[1:].detach(), true[1:])
                loss.backward()
                optimiser.step()
                history.append(float(loss.detach()))
            assert min(history[1:]) < history[0], f"does not learn: {history}"

    def test_odd_samples(self):
        """Is finite, gradients too, with coincident or collinear samples, with the fewest, and for queries upon samples."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            X = samples[0]
            line = torch.linspace(0.0, 1.0, 60)[:, None].expand(60, dim)
            for rest in (X[:1].expand(60, dim), line, torch.cat([X[:1].expand(30, dim), X[30:]]), X[: dim + 2]):
                frames = self.motion(rest).clone().requires_grad_()
                state = decoder.begin(rest, torch.cat([queries, rest]))
                placed, _ = decoder.place(state, frames)
                assert placed.isfinite().all()
                placed.sum().backward()
                assert frames.grad is not None
                assert frames.grad.isfinite().all()

    def test_bad_input(self):
        """Says what is wrong with too few samples, with bodies, and with coordinates that are not finite."""
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            body = torch.zeros(60, dtype=torch.int64)
            body[0] = 5
            _raises(f"at least {dim + 2} samples", decoder.begin, samples[0, : dim + 1], queries)
            _raises("1 of body 5", decoder.begin, samples[0], queries, body, torch.full((45,), 5))
            _raises("0 of body 9", decoder.begin, samples[0], queries, body, torch.full((45,), 9))
            _raises("both of sample_body and query_body", decoder.begin, samples[0], queries, body)
            _raises("NaN or infinity", decoder.begin, samples[0], queries * math.nan)

    def test_cuda(self):
        """Gives the same places on a GPU, where there is one."""
        if not torch.cuda.is_available():
            raise unittest.SkipTest("no CUDA device")
        for dim in self.dims:
            decoder, (samples, queries) = self.ready(dim), self.bodies(dim)
            placed = self.run(decoder, samples, queries)
            there = self.run(decoder.cuda(), samples.cuda(), queries.cuda()).cpu()
            assert largest(placed, there) <= 10 * self.atol


def _raises(words: str, function, *args) -> None:
    message = None
    try:
        function(*args)
    except ValueError as error:
        message = str(error)
    assert message is not None, f"no ValueError with {words!r}"
    assert words in message, f"expected {words!r} in {message!r}"
