"""What a simulation needs of its start."""

import torch
from torch import Tensor

from ._mpm_state import Box, Particles

ROUNDING = 1e-3  # cells by which a particle that rests against a face may seem too close to it


def check_start(box: Box, particles: Particles) -> None:
    """Checks that there are particles, that all values are finite, and that all particles fit into the box.

    Raises:
        ValueError: something is wrong; names the field, the particle and its place.
    """
    x, d = particles.x, len(box.cells)
    if x.shape[-1] != d:
        raise ValueError(f"MPM: the box has {d} dimensions and the particles have {x.shape[-1]}")
    if x.numel() == 0:
        raise ValueError("MPM: there are no particles to move")
    for name in ("x", "v", "C", "F", "mass", "volume"):
        value = getattr(particles, name)
        ends = tuple(range(particles.mass.ndim if name in ("mass", "volume") else x.ndim - 1, value.ndim))
        bad = ~value.isfinite()
        where = (bad.any(ends) if ends else bad).nonzero()
        if len(where):
            raise ValueError(f"MPM: {name} of {_which(where[0])} is not finite at the start")
    least = box.clip - ROUNDING
    cells = torch.tensor(box.cells, dtype=x.dtype, device=x.device)
    near = ((x / box.dx < least) | (x / box.dx > cells - least)).any(-1) & (particles.mass != 0)
    if len(where := near.nonzero()):
        place = tuple(round(v, 6) for v in x[tuple(where[0])].tolist())
        lengths = tuple(round(n, 6) for n in box.lengths)
        raise ValueError(
            f"MPM: {_which(where[0])} starts at {place}; in a box from 0 to {lengths} particles stay at least {box.clip:g} cells "
            f"({box.clip * box.dx:g}) away from the faces; move the body or enlarge the box ({len(where)} particles are concerned)"
        )


def _which(index: Tensor) -> str:
    *scene, particle = index.tolist()
    return f"particle {particle}{f' of scene {scene[0]}' if scene else ''}"
