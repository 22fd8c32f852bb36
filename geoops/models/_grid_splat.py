"""The grid-splat decoder of GIOROM: displacements are spread on a lattice, read at queries, and corrected by a network."""

import math
from itertools import product
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import gelu

from geoops.geometry import BodyBox, combine, lattice_nodes, mean_of_bodies, nearest_samples
from geoops.layers import mlp

from ._decoder import Decoder, DecoderStart

_LEAST_DENSITY = 1e-5


class _Lattices(NamedTuple):
    size: Float[Tensor, " bodies"]
    splat: tuple[Int[Tensor, "samples corners"], Float[Tensor, "samples corners"], int]
    read: tuple[Int[Tensor, "queries nodes"], Float[Tensor, "queries nodes"]]
    fallback: tuple[Int[Tensor, "queries 1"], Float[Tensor, "queries 1"]]
    code: Float[Tensor, "queries codes"]


@final
class GridSplat(Decoder):
    r"""Spreads the displacements of samples on a lattice and reads them at queries, smoothed, and with a learned correction.

    $$\langle c \rangle_q = \frac{\mathrm{read}_q(\mathrm{splat}(c))}{\mathrm{read}_q(\mathrm{splat}(1))}, \qquad
      x_q = X_q + \langle u \rangle_q + \mathrm{MLP}(\langle f \rangle_q, \langle u \rangle_q, \mathrm{code}(X_q)), \qquad
      f_i = \mathrm{GELU}(W u_i + b)$$

    Splatting and reading are multilinear, at positions of the start. Reading smooths with a Gaussian of 0.8 cells; the code
    has the sines and cosines of $2^k \pi X_q$, k = 0, 1, 2. In 3D it has 5,967 parameters.

    Ours works in the box of each body, on displacements less their mean, with a lattice as coarse as the samples ask for and
    the nearest sample where there is none about; it smooths by the two-point rule of Gauss and Hermite along each axis, which
    is not random; and what the MLP says where nothing moves is taken away, so that a shift is exact. The correction starts at 0.
    `authors=True` is as published: positions are scaled by one pair of numbers for all axes, smoothing draws `draws` random
    places, in evaluation too, and

    $$x_q = \mathrm{clip}(\langle u \rangle_q + \mathrm{MLP}(\cdot),\ 0.001,\ 0.999)$$

    so that the network has to learn to say where the query is.

    Args:
        dim: 2 or 3.
        resolution: nodes along each axis; None for about one node for each sample, or 64 as published.
        hidden: width of the two hidden layers.
        smoothing: deviation of the Gaussian, in cells.
        draws: random places of each query, as published.
        authors: whether to do as published.
        lower: coordinate that is 0 as published.
        upper: coordinate that is 1 as published.

    Raises:
        ValueError: an option is out of its bounds, or as in `begin`.

    Source: Viswanath et al. 2026, "Learning Lagrangian interaction dynamics with sampling-based model order reduction", TMLR.
    """

    needs_training = True

    def __init__(
        self,
        dim: int,
        *,
        resolution: int | None = None,
        hidden: int = 64,
        smoothing: float = 0.8,
        draws: int = 8,
        authors: bool = False,
        lower: float = 0.0,
        upper: float = 1.0,
    ):
        super().__init__(dim)
        if (resolution is not None and resolution < 2) or smoothing < 0 or draws < 1 or not upper > lower:
            raise ValueError(
                f"GridSplat: expected resolution >= 2, smoothing >= 0, draws >= 1 and upper > lower, got {resolution}, "
                f"{smoothing}, {draws}, {upper} and {lower}"
            )
        self.resolution = 64 if authors and resolution is None else resolution
        self.smoothing, self.draws, self.authors, self.lower, self.upper = smoothing, draws, authors, lower, upper
        self.lift = nn.Linear(dim, dim)
        self.net = mlp([8 * dim, hidden, hidden, dim], "gelu")
        if not authors:
            nn.init.zeros_(self.net[-1].weight)
            nn.init.zeros_(self.net[-1].bias)

    def prepare(self, start: DecoderStart) -> _Lattices:
        """Returns nodes and weights of samples and queries."""
        samples, queries, count = start.samples, start.queries, start.bodies
        of_samples, of_queries = start.sample_body, start.query_body
        if self.authors:
            size = samples.new_full((count,), self.upper - self.lower)
            box = BodyBox(samples.new_full((count, self.dim), self.lower), size[:, None].expand(-1, self.dim), size)
        else:
            box = BodyBox.around(samples, of_samples, count)
        at, asked = box.unit(samples, of_samples), box.unit(queries, of_queries)
        each = [self.resolution] * count
        if self.resolution is None:
            each = [max(2, round(int(n) ** (1 / self.dim))) for n in torch.bincount(of_samples, minlength=count)]

        where, weight = self._nodes(at, of_samples, each)
        places = asked[:, None] + self._jitter(asked, of_queries, each)
        read, share = self._nodes(places, of_queries, each)
        read, share = read.flatten(1), share.flatten(1) / places.shape[1]
        nodes = sum(r**self.dim for r in each)
        density = combine(read, share, self._splat((where, weight, nodes), torch.ones_like(samples[None, :, :1])))[0, :, 0]
        empty = density < _LEAST_DENSITY
        share = torch.where(empty, 0.0, 1 / density.clamp_min(_LEAST_DENSITY))[:, None] * share
        nearest = nearest_samples(samples, queries, 1, of_samples, of_queries).index
        fallback = (empty & (not self.authors)).to(share.dtype)[:, None]
        waves = math.pi * asked[..., None] * 2.0 ** torch.arange(3, dtype=asked.dtype, device=asked.device)
        code = torch.cat([waves.sin(), waves.cos()], -1).flatten(1)
        return _Lattices(box.size, (where, weight, nodes), (read, share), (nearest, fallback), code)

    def move(self, start: DecoderStart, own: _Lattices, samples: Float[Tensor, "frames samples dim"]) -> tuple[Tensor, _Lattices]:
        """Returns positions of the queries in each frame."""
        of_samples, of_queries, count = start.sample_body, start.query_body, start.bodies
        u = samples - start.samples
        mean = torch.zeros_like(u[:, :1]).expand(-1, count, -1) if self.authors else mean_of_bodies(u, of_samples, count)
        u = (u - mean[:, of_samples]) / own.size[of_samples, None]
        content = torch.cat([gelu(self.lift(u)), u], -1)
        seen = combine(*own.read, self._splat(own.splat, content)) + combine(*own.fallback, content)
        moved = seen[..., self.dim :] + self._corrected(seen, own.code)
        if self.authors:
            return self.lower + (self.upper - self.lower) * moved.clamp(0.001, 0.999), own
        still = torch.cat([gelu(self.lift.bias), torch.zeros_like(self.lift.bias)])
        moved = moved - self._corrected(still.expand(1, len(start.queries), -1), own.code)
        return start.queries + mean[:, of_queries] + own.size[of_queries, None] * moved, own

    def _corrected(self, seen: Tensor, code: Tensor) -> Tensor:
        return self.net(torch.cat([seen, code.expand(len(seen), -1, -1)], -1))

    def _nodes(self, x: Tensor, body: Tensor, each: list[int]) -> tuple[Tensor, Tensor]:
        """Returns nodes and weights in the lattices of all bodies, one after the other."""
        index = body.new_zeros(*x.shape[:-1], 2**self.dim)
        weight = x.new_zeros(*x.shape[:-1], 2**self.dim)
        first = 0
        for number, resolution in enumerate(each):
            mine = body == number
            index[mine], weight[mine] = lattice_nodes(x[mine], resolution)
            index[mine] += first
            first += resolution**self.dim
        return index, weight

    def _splat(self, splat: tuple[Tensor, Tensor, int], values: Tensor) -> Tensor:
        """Returns sums of the values of samples at the nodes."""
        index, weight, nodes = splat
        spread = (weight[..., None] * values[:, :, None]).flatten(1, 2)
        return values.new_zeros(len(values), nodes, values.shape[-1]).index_add(1, index.flatten(), spread)

    def _jitter(self, x: Tensor, body: Tensor, each: list[int]) -> Tensor:
        """Returns offsets in the unit cube over which reading takes the mean."""
        cell = 1 / (torch.tensor(each, dtype=x.dtype, device=x.device) - 1)[body][:, None, None]
        if self.authors:
            return self.smoothing * cell * torch.randn(len(x), self.draws, self.dim, dtype=x.dtype, device=x.device)
        signs = torch.tensor(list(product((-1.0, 1.0), repeat=self.dim)), dtype=x.dtype, device=x.device)
        return self.smoothing * cell * signs
