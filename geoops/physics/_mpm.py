"""Material point method: particles that carry a material through a grid which is made anew in every step."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from geoops import ops

from ._by_material import ByMaterial
from ._check import check_start
from ._elastic import SOLID
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
        for name, law in {"elastic": elastic, "plastic": plastic or Unchanged()}.items():
            if not isinstance(law, nn.Module):
                raise TypeError(
                    f"MPM: expected {name} to be a module such as FixedCorotated(1e5, 0.2), got {law!r}; materials with names come "
                    "from geoops.physics.material, which has the attributes elastic and plastic"
                )
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
            ValueError: `every` is below 1, `count` is negative, or `check` refuses the start.
            FloatingPointError: a value is no longer finite; names the step, the scene and the particle.
        """
        if every < 1 or count < 0:
            name, least, value = ("every", 1, every) if every < 1 else ("count", 0, count)
            raise ValueError(f"MPM: expected {name} >= {least}, got {value}")
        self.check(particles)
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
        return next(self.steps(particles, count, max(count, 1)), particles)

    def check(self, particles: Particles) -> None:
        """Checks a start as `steps` does.

        The time step must not be longer than `courant` of the time in which pressure waves cross a cell, of each law that knows
        its waves (`wave_speed`) and its lightest particle. Waves of a material that is compressed are faster than those at rest,
        so steps near the bound may be unstable all the same.

        Raises:
            ValueError: there are no particles, a value is not finite, a particle is too close to a face of the box or
                outside, or the time step is too long.
        """
        check_start(self.box, particles)
        density = particles.mass.detach() / particles.volume.detach()
        density = density.where(density > 0, math.inf)  # without mass there are no waves
        for law, own in self.elastic.shares(density) if isinstance(self.elastic, ByMaterial) else [(self.elastic, density)]:
            fastest = law.wave_speed(float(own.min())) if hasattr(law, "wave_speed") else 0.0
            courant = getattr(law, "courant", SOLID)
            if self.dt * fastest > courant * self.box.dx:
                bound = courant * self.box.dx / fastest
                raise ValueError(
                    f"MPM: dt = {self.dt:g} is unstable: the bound of {type(law).__name__} is {bound:.3g} ({courant:g} of the time "
                    "in which pressure waves cross a cell); take a smaller dt or a larger dx"
                )

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
