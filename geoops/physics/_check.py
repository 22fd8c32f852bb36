"""What a simulation needs of its start."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ._mpm_state import Box, Particles

ROUNDING = 1e-3  # cells by which a particle that rests against a face may seem too close to it


def check_start(box: Box, particles: Particles) -> None:
    """Checks that there are particles, all values finite, masses and volumes not negative, and all particles in the box.

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
    for name in ("mass", "volume"):
        if len(where := ((value := getattr(particles, name)) < 0).nonzero()):
            got = value[tuple(where[0])].item()
            raise ValueError(f"MPM: expected {name} >= 0, got {got:g} of {_which(where[0])} at the start")
    if words := too_near(box, x, particles.mass != 0):
        raise ValueError(f"MPM: {words}")


def too_near(box: Box, x: Float[Tensor, "*scenes particles d"], active: Bool[Tensor, "*#scenes particles"]) -> str | None:
    """Returns what to say of the first particle that is too near to a face of the box or outside, if any is."""
    least = box.clip - ROUNDING
    cells = torch.tensor(box.cells, dtype=x.dtype, device=x.device)
    near = ((x / box.dx < least) | (x / box.dx > cells - least)).any(-1) & active
    if not len(where := near.nonzero()):
        return None
    place = tuple(round(v, 6) for v in x[tuple(where[0])].tolist())
    lengths = tuple(round(n, 6) for n in box.lengths)
    return (
        f"{_which(where[0])} starts at {place}; in a box from 0 to {lengths} particles stay at least {box.clip:g} cells "
        f"({box.clip * box.dx:g}) away from the faces; move the body or enlarge the box ({len(where)} particles are concerned)"
    )


def _which(index: Tensor) -> str:
    *scene, particle = index.tolist()
    return f"particle {particle}{f' of scene {scene[0]}' if scene else ''}"
