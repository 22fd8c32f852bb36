"""Windows of motions: what a stepper sees, and what comes next."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, final, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Batch

from geoops.geometry import Choice, check_samples, choose_samples, connecting_radius, degree_radius, sample_spacing
from geoops.geometry._particle_graph import ParticleGraph
from geoops.physics import Motion

from ._before_start import before_start

NOISY = 5  # velocities of a window that noise is added to: the last ones, those before are the memory of a stepper


class WindowBatch(NamedTuple):
    """Graphs of several scenes, and the positions in the frames after their windows."""

    graph: ParticleGraph
    future: Float[Tensor, "particles steps dim"]


@final
@dataclass(frozen=True)
class Sampling:
    """Which particles are simulated.

    Args:
        least: fewest particles of a sample.
        most: most particles of a sample; the number is drawn evenly in its logarithm.
        choices: ways to choose them, of which one is drawn: `random`, `fps` (farthest points) or `boundary`.
        degree: mean number of neighbours within the radius; 12 in the plane and 20 in space unless given.
        jitter: most that the radius is changed at random, as a share.
    """

    least: int
    most: int
    choices: tuple[Choice, ...] = ("random", "fps")
    degree: float | None = None
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 4 <= self.least <= self.most:
            raise ValueError(f"samples: expected 4 <= least <= most, got {self.least} and {self.most}")
        if not self.choices or set(self.choices) - set(get_args(Choice)):
            raise ValueError(f"samples: expected choices of {', '.join(get_args(Choice))}, got {list(self.choices)}")
        if self.degree is not None and not self.degree > 0:
            raise ValueError(f"samples: expected a degree > 0, got {self.degree}")


@final
class Windows:
    """Batches by step; each is a function of the seed and its number alone.

    A batch has samples of one size, and as many of them as `particles` allow, so that all steps cost about the same. In front of
    the start the bodies fly as rigid ones, see `before_start`, so that windows can end at the first frame.

    Args:
        motions: of the training.
        names: names of the materials, in the order of their numbers.
        history: velocities in a window.
        sampling: which particles are simulated.
        particles: about how many a batch has.
        noise: deviation of the random walk that is added to the newest velocity, in lengths per frame.
        strain: deviation of the strain per frame of smooth noise of the newest velocity, see `smooth_walk`.
        restore: whether the next frames do not have the noise of the newest position; otherwise they keep it, as in GNS.
        steps: frames after the window.
        symmetric: whether axes are mirrored and exchanged at random, and gravity with them, in boxes whose walls are all alike.
        seed: of all draws.
        start: number of the first batch of the iteration.
    """

    def __init__(
        self,
        motions: Sequence[Motion],
        names: Sequence[str],
        *,
        history: int,
        sampling: Sampling,
        particles: int,
        noise: float = 0.0,
        strain: float = 0.0,
        restore: bool = False,
        steps: int = 1,
        symmetric: bool = False,
        seed: int = 0,
        start: int = 0,
    ):
        self.motions, self.names, self.history, self.sampling = list(motions), list(names), history, sampling
        self.particles, self.noise, self.steps, self.symmetric = particles, noise, steps, symmetric
        self.strain, self.restore = strain, restore
        self.seed, self.start = seed, start
        for motion in self.motions:
            if len(motion) < 1 + steps:
                raise ValueError(f"a window with {steps} frames after it needs motions of {1 + steps} frames, got {len(motion)}")

    def __iter__(self) -> Iterator[WindowBatch]:
        return (self[i] for i in count(self.start))

    def __getitem__(self, step: int) -> WindowBatch:
        draw = np.random.default_rng([self.seed, 1, step])
        s = self.sampling
        n = round(math.exp(draw.uniform(math.log(s.least), math.log(s.most))))
        graphs, futures = [], []
        for _ in range(max(1, round(self.particles / n))):
            graph, future = self._one(draw, n)
            graphs.append(graph)
            futures.append(future)
        return WindowBatch(Batch.from_data_list(graphs).joined(), torch.cat(futures))

    def _one(self, draw: np.random.Generator, n: int) -> tuple[ParticleGraph, Tensor]:
        motion = self.motions[draw.integers(len(self.motions))]
        n = min(n, len(motion.material))
        last = int(draw.integers(0, len(motion) - self.steps))
        way = self.sampling.choices[draw.integers(len(self.sampling.choices))]
        chosen = chosen_samples(motion, n, way, int(draw.integers(2**31)))
        radius = radius_of(motion, n, self.sampling.degree) * (1 + self.sampling.jitter * draw.uniform(-1, 1))
        graph = window(motion, chosen, last, self.names, self.history, radius)
        future = motion.x[last + 1 : last + 1 + self.steps, chosen].transpose(0, 1)
        if self.noise or self.strain:
            generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
            early, late = graph.positions[:, : -NOISY - 1], graph.positions[:, -NOISY - 1 :]
            walk = random_walk(late, self.noise, generator)
            if self.strain:
                walk = walk + smooth_walk(late, self.strain, float(graph.spacing), generator)
            graph.positions = torch.cat([early, late + walk], 1)
            if not self.restore:
                future = future + walk[:, -1:]
        if self.symmetric and len(set(motion.box.walls)) == 1:
            future = _changed(graph, future, draw)
        return graph, future


def window(
    motion: Motion, chosen: Int[Tensor, " samples"], last: int, names: Sequence[str], history: int, radius: float
) -> ParticleGraph:
    """Returns the window of a sample that ends at a frame, without edges.

    Args:
        motion: of all particles.
        chosen: numbers of the sample.
        last: the newest frame of the window.
        names: names of the materials, in the order of their numbers.
        history: velocities in the window.
        radius: of the edges.

    Raises:
        ValueError: a material is not among the names; a sample is there twice, or not in the motion; there are fewer than d + 2.
    """
    check_samples(chosen, *motion.x.shape[1:])
    if unknown := [name for name in motion.names if name not in names]:
        raise ValueError(f"the material {unknown[0]!r} was not there in the training, which had {', '.join(names)}")
    x = motion.x[max(0, last - history) : last + 1, chosen]
    if (missing := history + 1 - len(x)) > 0:
        x = torch.cat([before_start(motion.x[0], motion.x[1], motion.gravity, missing, motion.body)[:, chosen], x])
    numbers = torch.tensor([list(names).index(name) for name in motion.names], device=x.device)
    spacing = sample_spacing(float(motion.volume.sum()), len(chosen), x.shape[2])
    return ParticleGraph(
        positions=x.transpose(0, 1).contiguous(),
        rest=motion.x[0, chosen],
        material=numbers[motion.material[chosen]],
        radius=x.new_tensor([radius]),
        spacing=x.new_tensor([spacing]),
        bounds=motion.bounds[None],
        gravity=motion.gravity[None],
        num_nodes=len(chosen),
    )


def radius_of(motion: Motion, n: int, degree: float | None = None) -> float:
    """Returns the radius in which a sample of n particles has about `degree` neighbours, which training windows take.

    See `geoops.geometry.degree_radius`; whether such samples hang together only `connected_radius` knows.
    """
    d = motion.x.shape[2]
    return degree_radius(sample_spacing(float(motion.volume.sum()), n, d), d, degree)


def connected_radius(motion: Motion, chosen: Int[Tensor, " samples"], degree: float | None = None) -> float:
    """Returns the radius of a roll-out: that of `radius_of`, or more where a body of the sample would fall into parts at the start.

    Raises:
        ValueError: the sample does not hang together at a radius of up to half of the box.
    """
    x = motion.x[0]
    return connecting_radius(
        x[chosen],
        sample_spacing(float(motion.volume.sum()), len(chosen), x.shape[1]),
        degree=degree,
        body=motion.body[chosen],
        most=float((motion.bounds[:, 1] - motion.bounds[:, 0]).max()) / 2,
    )


def chosen_samples(motion: Motion, n: int, way: Choice, seed: int) -> Int[Tensor, " samples"]:
    """Returns the numbers of n particles, chosen at the start."""
    if n >= len(motion.material):
        everything = torch.arange(len(motion.material), device=motion.x.device)
        return check_samples(everything, len(everything), motion.x.shape[2])
    body = motion.material if len(motion.names) > 1 else None
    return choose_samples(motion.x[0], n, way, seed=seed, body=body)


def random_walk(
    positions: Float[Tensor, "particles frames dim"], noise: float, generator: torch.Generator | None = None
) -> Float[Tensor, "particles frames dim"]:
    r"""Returns noise of positions whose velocities walk at random, the last of them with the deviation `noise`.

    Each velocity gets a normal draw of deviation $\mathrm{noise} / \sqrt{w}$ more than the one before; positions are their sums,
    from zero on (Sanchez-Gonzalez et al. 2020, "Learning to simulate complex physics with graph networks").
    """
    n, frames, d = positions.shape
    steps = torch.randn(n, frames - 1, d, generator=generator, dtype=positions.dtype) * noise / math.sqrt(frames - 1)
    walk = steps.cumsum(1).cumsum(1)
    return torch.cat([torch.zeros(n, 1, d, dtype=positions.dtype), walk], 1).to(positions.device)


def smooth_walk(
    positions: Float[Tensor, "particles frames dim"],
    strain: float,
    spacing: float,
    generator: torch.Generator | None = None,
    waves: int = 4,
) -> Float[Tensor, "particles frames dim"]:
    r"""Returns noise that neighbours share: waves whose velocities walk at random, each of them with the same strain per frame.

    $$\epsilon(x) = \tfrac{1}{\sqrt W} \sum_w \sin(2 \pi\, k_w \cdot x / \lambda_w + \varphi_w)\, c_w, \qquad
    |c_w| \sim \mathrm{strain}\ \lambda_w / 2 \pi$$

    Wave lengths are drawn evenly in their logarithm, from four times the spacing to twice the size of the cloud: errors of
    roll-outs grow at all lengths, and independent noise has hardly any strain over long ones.
    """
    n, frames, d = positions.shape
    x = positions[:, -1]
    size = float((x.amax(0) - x.amin(0)).max()) if n else 0.0
    least, most = math.log(4 * spacing), math.log(max(2 * size, 4 * spacing))
    length = torch.exp(least + (most - least) * torch.rand(waves, generator=generator, dtype=x.dtype))
    along = torch.nn.functional.normalize(torch.randn(waves, d, generator=generator, dtype=x.dtype), dim=1)
    phase = 2 * math.pi * torch.rand(waves, generator=generator, dtype=x.dtype)
    shape = torch.sin(2 * math.pi * x.cpu() @ along.T / length + phase)
    walk = random_walk(torch.zeros(waves, frames, d, dtype=x.dtype), strain, generator)
    walk = walk * (length / (2 * math.pi * math.sqrt(waves)))[:, None, None]
    return torch.einsum("nw,wfd->nfd", shape, walk).to(x.device)


def _changed(graph: ParticleGraph, future: Tensor, draw: np.random.Generator) -> Tensor:
    """Mirrors a scene at the middle of its walls and exchanges its axes at random, and returns its future likewise."""
    d = future.shape[-1]
    axes, sign = torch.from_numpy(draw.permutation(d)), torch.from_numpy(draw.choice([-1.0, 1.0], d)).to(future.dtype)
    low, high = graph.bounds[0, axes].unbind(1)
    shift = (low + high) * (sign < 0)
    graph.positions, graph.rest = graph.positions[..., axes] * sign + shift, graph.rest[..., axes] * sign + shift
    graph.gravity, graph.bounds = graph.gravity[:, axes] * sign, graph.bounds[:, axes]
    return future[..., axes] * sign + shift
