"""Random particles in a box, for tests of steppers."""

import math

import torch

from geoops.geometry._particle_graph import ParticleGraph


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
