"""Material point method: particles that carry a material through a grid which is made anew in every step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops
from geoops.ops import Wall

from ._return_maps import Unchanged


@final
@dataclass(frozen=True)
class Box:
    """The box of a simulation, from 0 to cells * dx along each axis.

    Args:
        cells: cells along each axis, two or three numbers.
        dx: length of a cell.
        gravity: acceleration; downwards along the second axis unless given.
        walls: what the faces do, lower and upper of each axis, or one word for all; see `geoops.ops.mpm_step`.
        bound: walls act on nodes i < bound and i > cells - bound.
        clip: least distance of particles from the faces, in cells.
        eps: added to the masses of nodes.

    Raises:
        ValueError: numbers of axes differ, or a constant is out of range.
    """

    cells: tuple[int, ...]
    dx: float
    gravity: tuple[float, ...] = ()
    walls: tuple[Wall, ...] | Wall = "free-slip"
    bound: int = 3
    clip: float = 0.5
    eps: float = 0.0

    def __post_init__(self) -> None:
        d = len(self.cells)
        if d not in (2, 3) or min(self.cells) < 1:
            raise ValueError(f"Box: expected two or three numbers of cells >= 1, got {self.cells}")
        if not (self.dx > 0 and math.isfinite(self.dx)):
            raise ValueError(f"Box: expected dx > 0, got {self.dx}")
        if not self.gravity:
            object.__setattr__(self, "gravity", (0.0, -9.8, 0.0)[:d])
        if isinstance(self.walls, str):
            object.__setattr__(self, "walls", (self.walls,) * (2 * d))
        if len(self.gravity) != d or len(self.walls) != 2 * d:
            raise ValueError(
                f"Box: {d} axes need {d} numbers of gravity and {2 * d} walls, got {len(self.gravity)} and {len(self.walls)}"
            )

    @property
    def lengths(self) -> tuple[float, ...]:
        """Lengths of the box."""
        return tuple(n * self.dx for n in self.cells)


@final
@dataclass(frozen=True)
class Particles:
    """The state of any number of scenes of equally many particles.

    Args:
        x: positions.
        v: velocities.
        C: affine velocities, C[i, j] = dv_i / dx_j.
        F: elastic deformation gradients.
        mass: masses; particles of mass 0 take no part.
        volume: rest volumes.
    """

    x: Float[Tensor, "*scenes particles d"]
    v: Float[Tensor, "*scenes particles d"]
    C: Float[Tensor, "*scenes particles d d"]
    F: Float[Tensor, "*scenes particles d d"]
    mass: Float[Tensor, "*#scenes particles"]
    volume: Float[Tensor, "*#scenes particles"]

    @classmethod
    def undeformed(
        cls,
        x: Float[Tensor, "*scenes particles d"],
        v: Float[Tensor, "*#scenes particles d"] | None = None,
        *,
        volume: float | Float[Tensor, " particles"],
        density: float | Float[Tensor, " particles"],
    ) -> "Particles":
        """Returns particles without deformation, at rest unless v is given."""
        d = x.shape[-1]
        size = torch.as_tensor(volume, dtype=x.dtype, device=x.device).expand(x.shape[:-1])
        return cls(
            x=x,
            v=torch.zeros_like(x) if v is None else v.expand(x.shape),
            C=x.new_zeros(*x.shape, d),
            F=torch.eye(d, dtype=x.dtype, device=x.device).expand(*x.shape, d),
            mass=size * density,
            volume=size,
        )

    def to(self, *args, **kwargs) -> "Particles":
        """Returns the particles in another dtype or on another device, as `Tensor.to`."""
        return Particles(*(getattr(self, name).to(*args, **kwargs) for name in ("x", "v", "C", "F", "mass", "volume")))


@final
class MPM(nn.Module):
    r"""One explicit step of time: stress, transfer to the grid and back, return map.

    $$\tau = E(F), \qquad (x, v, C, F^*) \leftarrow \mathrm{step}(x, v, C, F, \tau), \qquad F = P(F^*)$$

    Args:
        box: the grid and its walls.
        dt: time step.
        elastic: E, the Kirchhoff stress of deformation gradients.
        plastic: P, the return map; none for elastic materials.

    The step is `geoops.ops.mpm_step`; everything is differentiable.

    Example:
        >>> import torch
        >>> from geoops.physics import MPM, Box, FixedCorotated, Particles
        >>> mpm = MPM(Box((20, 20, 20), 0.05), 5e-4, FixedCorotated(1e5, 0.2))
        >>> cube = Particles.undeformed(torch.full((1, 3), 0.5), volume=1e-3, density=1e3)
        >>> mpm(cube).v
        tensor([[ 0.0000, -0.0049,  0.0000]])
    """

    def __init__(self, box: Box, dt: float, elastic: nn.Module, plastic: nn.Module | None = None):
        super().__init__()
        if not (dt > 0 and math.isfinite(dt)):
            raise ValueError(f"MPM: expected dt > 0, got {dt}")
        self.box, self.dt = box, dt
        self.elastic, self.plastic = elastic, plastic or Unchanged()

    def forward(self, particles: Particles) -> Particles:
        now, box = particles, self.box
        x, v, C, F = ops.mpm_step(
            now.x,
            now.v,
            now.C,
            now.F,
            self.elastic(now.F),
            now.mass,
            now.volume,
            dt=self.dt,
            **{name: getattr(box, name) for name in ("cells", "dx", "gravity", "walls", "bound", "clip", "eps")},
        )
        return replace(now, x=x, v=v, C=C, F=self.plastic(F))

    def steps(self, particles: Particles, count: int) -> Iterator[Particles]:
        """Yields the state after each of `count` steps.

        Raises:
            ValueError: the time step is longer than pressure waves take through a cell, where the law knows its waves.
            FloatingPointError: a value is no longer finite; names the step, the scene and the particle.
        """
        self._check_time_step(particles)
        for step in range(1, count + 1):
            particles = self(particles)
            bad = (~(particles.x.isfinite().all(-1) & particles.F.isfinite().all(-1).all(-1))).nonzero()
            if len(bad):
                *scene, particle = bad[0].tolist()
                where = f" of scene {scene[0]}" if scene else ""
                raise FloatingPointError(f"MPM: after step {step} particle {particle}{where} is not finite; a smaller dt may help")
            yield particles

    def _check_time_step(self, particles: Particles) -> None:
        density = particles.mass.detach() / particles.volume
        density = density[density > 0]
        speed = getattr(self.elastic, "wave_speed", None)
        if speed is None or density.numel() == 0:
            return
        bound = self.box.dx / speed(float(density.min()))
        if self.dt > bound:
            raise ValueError(
                f"MPM: dt = {self.dt:g} is unstable: pressure waves cross a cell in {bound:.3g}; take a smaller dt or a larger dx"
            )

    def run(self, particles: Particles, count: int) -> Particles:
        """Returns the state after `count` steps; errors as in `steps`."""
        last = particles
        for state in self.steps(particles, count):
            last = state
        return last
