"""Random particles in a box, for tests of steppers and decoders."""

import math

import torch

from geoops.geometry._particle_graph import ParticleGraph
from geoops.physics import Box, Motion


def random_particles(
    count: int = 40,
    dim: int = 2,
    *,
    materials: int = 2,
    history: int = 5,
    degree: float = 8.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> ParticleGraph:
    """Returns uniform random particles in [0.1, 0.9]^dim with smooth motion, and their edges.

    Args:
        count: number of particles.
        dim: 2 or 3.
        materials: number of materials, which are drawn at random.
        history: velocities; there is one position more.
        degree: mean number of neighbours away from walls, which sets the radius.
        seed: of the random numbers; the same seed gives the same particles.
        dtype: of all floating tensors.

    Raises:
        ValueError: if `dim` is neither 2 nor 3.
    """
    if dim not in (2, 3):
        raise ValueError(f"dim must be 2 or 3, got {dim}")
    generator = torch.Generator().manual_seed(seed)
    x = 0.1 + 0.8 * torch.rand(count, dim, generator=generator, dtype=torch.float64)
    wave = 2 * torch.pi * torch.rand(dim, dim, generator=generator, dtype=torch.float64)
    v = 0.01 * torch.sin(x @ wave)
    a = 1e-3 * torch.cos(x @ wave.T)
    t = torch.arange(-history, 1, dtype=torch.float64)[:, None]
    positions = x[:, None] + v[:, None] * t + a[:, None] * t.square() / 2
    spacing = 0.8 / max(count, 1) ** (1 / dim)
    ball = math.pi if dim == 2 else 4 * math.pi / 3
    gravity = torch.zeros(1, dim, dtype=torch.float64)
    gravity[0, 1] = -1e-3
    return ParticleGraph(
        positions=positions.to(dtype),
        rest=positions[:, 0].to(dtype),
        material=torch.randint(materials, (count,), generator=generator),
        radius=torch.tensor([spacing * (degree / ball) ** (1 / dim)], dtype=dtype),
        spacing=torch.tensor([spacing], dtype=dtype),
        bounds=torch.tensor([0.1, 0.9], dtype=dtype).repeat(1, dim, 1),
        gravity=gravity.to(dtype),
        num_nodes=count,
    ).joined()


def random_motion(
    count: int = 80,
    dim: int = 2,
    *,
    frames: int = 30,
    names: tuple[str, ...] = ("jelly",),
    spacing: float = 5e-3,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Motion:
    """Returns bodies of random points that fly freely, turn and pulsate, one beside the other; nothing is simulated.

    Args:
        count: number of particles, in all.
        dim: 2 or 3.
        frames: number of frames, the start among them.
        names: materials, one for each body.
        spacing: time between frames.
        seed: of the random numbers; the same seed gives the same motion.
        dtype: of positions and volumes.

    Raises:
        ValueError: if `dim` is neither 2 nor 3.
    """
    if dim not in (2, 3):
        raise ValueError(f"dim must be 2 or 3, got {dim}")
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return 2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1

    material = torch.arange(count) * len(names) // max(count, 1)
    radius = 0.3 / (1 + len(names))
    arm = torch.randn(count, dim, generator=generator, dtype=torch.float64)
    arm = radius * arm / arm.norm(dim=1, keepdim=True) * uniform(count, 1).abs() ** (1 / dim)
    t = spacing * torch.arange(frames, dtype=torch.float64)
    x = torch.empty(frames, count, dim, dtype=torch.float64)
    box = Box((32,) * dim, 1 / 32)
    for body in range(len(names)):
        mine = material == body
        skew, beat = 5 * uniform(dim, dim), 20 + 10 * uniform(1)
        turn = torch.linalg.matrix_exp((skew - skew.T) * t[:, None, None])
        size = 1 + 0.2 * torch.sin(beat * t)
        centre = 0.5 + 0.1 * uniform(dim)
        centre[0] = (body + 1) / (len(names) + 1)
        path = centre + t[:, None] * 0.5 * uniform(dim) + t[:, None].square() / 2 * torch.tensor(box.gravity, dtype=t.dtype)
        x[:, mine] = path[:, None] + size[:, None, None] * (arm[mine] @ turn.mT)
    ball = math.pi if dim == 2 else 4 * math.pi / 3
    volume = torch.full((count,), len(names) * ball * radius**dim / max(count, 1), dtype=dtype)
    return Motion(x.to(dtype), spacing, box, material, names, volume)
