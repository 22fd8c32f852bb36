"""Material point method: particles that carry a material through a grid which is made anew in every step."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from geoops import ops

from ._check import check_start
from ._mpm_state import Box, Particles
from ._order import EVERY, LEAST, grid_order, taken
from ._return_maps import Unchanged


@final
class MPM(nn.Module):
    r"""One explicit step of time: stress, transfer to the grid and back, return map.

    $$\tau = E(F), \qquad (x, v, C, F^*) \leftarrow \mathrm{step}(x, v, C, F, \tau), \qquad F = P(F^*)$$

    Args:
        box: the grid and its walls.
        dt: time step.
        elastic: E, the Kirchhoff stress of deformation gradients.
        plastic: P, the return map; none for elastic materials.

    Laws map the deformation gradient of a particle alone, or are `ByMaterial`. The step is `geoops.ops.mpm_step`;
    everything is differentiable.

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

    def steps(self, particles: Particles, count: int, every: int = 1) -> Iterator[Particles]:
        """Yields the state after each `every` of `count` steps.

        Under `torch.no_grad()` more than 10,000 particles of one scene are sorted by blocks of the grid now and then, which
        makes steps up to three times as fast. The states have the order of the particles given.

        Raises:
            ValueError: no particles, a value of the start is NaN, or a particle is too close to a face of the box or
                outside; the time step is longer than pressure waves take through a cell, where the law knows its waves.
            FloatingPointError: a value is no longer finite; names the step, the scene and the particle.
        """
        if every < 1:
            raise ValueError(f"MPM: expected every >= 1, got {every}")
        check_start(self.box, particles)
        self._check_time_step(particles)
        places = None
        for step in range(1, count + 1):
            if step % EVERY == 1 and particles.x.ndim == 2 and len(particles.x) > LEAST and not torch.is_grad_enabled():
                order = grid_order(self.box, particles, (self.elastic, self.plastic))
                particles, places = taken(particles, order), order if places is None else places[order]
            particles = self(particles)
            self._check_finite(particles, step, places)
            if step % every == 0:
                yield particles if places is None else taken(particles, places.argsort())

    def run(self, particles: Particles, count: int) -> Particles:
        """Returns the state after `count` steps; errors as in `steps`."""
        return next(self.steps(particles, count, count), particles) if count else particles

    def _check_finite(self, particles: Particles, step: int, places: Tensor | None) -> None:
        total = particles.x.detach().sum() + particles.F.detach().sum()
        if torch.isfinite(total):  # one number to look at instead of all
            return
        bad = (~(particles.x.isfinite().all(-1) & particles.F.isfinite().all(-1).all(-1))).nonzero()
        if len(bad):
            *scene, particle = bad[0].tolist()
            where = f" of scene {scene[0]}" if scene else ""
            particle = particle if places is None else int(places[particle])
            raise FloatingPointError(f"MPM: after step {step} particle {particle}{where} is not finite; a smaller dt may help")

    def _check_time_step(self, particles: Particles) -> None:
        density = particles.mass.detach() / particles.volume
        density = density[density > 0]
        speed = getattr(self.elastic, "wave_speed", None)
        if speed is None or density.numel() == 0:
            return
        fastest = speed(float(density.min()))
        if self.dt * fastest > self.box.dx:
            bound = self.box.dx / fastest
            raise ValueError(
                f"MPM: dt = {self.dt:g} is unstable: pressure waves cross a cell in {bound:.3g}; take a smaller dt or a larger dx"
            )
