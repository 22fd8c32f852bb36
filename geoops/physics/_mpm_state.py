"""Where particles move, and their state."""

import math
from dataclasses import dataclass
from typing import final, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.ops import Wall


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
        if not all(map(math.isfinite, self.gravity)):
            raise ValueError(f"Box: expected finite numbers of gravity, got {self.gravity}")
        if unknown := [wall for wall in self.walls if wall not in get_args(Wall)]:
            raise ValueError(f"Box: expected walls of {', '.join(get_args(Wall))}, got {unknown[0]!r}")
        if self.bound < 0 or not 0 <= self.clip < math.inf or not 0 <= self.eps < math.inf:
            raise ValueError(f"Box: expected bound >= 0, clip >= 0 and eps >= 0, got {self.bound}, {self.clip} and {self.eps}")

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
        """Returns particles without deformation, at rest unless v is given.

        Args:
            x: positions.
            v: velocities.
            volume: rest volume, one number or one for each particle.
            density: mass per volume, likewise.

        Raises:
            ValueError: a volume or density is not positive, or there are not as many as particles.
        """
        d = x.shape[-1]
        size = _positive("volume", volume, x)
        return cls(
            x=x,
            v=torch.zeros_like(x) if v is None else v.expand(x.shape),
            C=x.new_zeros(*x.shape, d),
            F=torch.eye(d, dtype=x.dtype, device=x.device).expand(*x.shape, d),
            mass=size * _positive("density", density, x),
            volume=size,
        )

    def to(self, *args, **kwargs) -> "Particles":
        """Returns the particles in another dtype or on another device, as `Tensor.to`."""
        return Particles(*(getattr(self, name).to(*args, **kwargs) for name in ("x", "v", "C", "F", "mass", "volume")))


def _positive(name: str, given: float | Tensor, x: Tensor) -> Tensor:
    """Returns a positive number for each particle."""
    value, count = torch.as_tensor(given, dtype=x.dtype, device=x.device), x.shape[-2]
    if value.shape not in ((), (1,), (count,)):
        raise ValueError(f"Particles: expected one {name} or {count}, one for each particle, got the shape {tuple(value.shape)}")
    if len(bad := value[~((value > 0) & value.isfinite())]):
        raise ValueError(f"Particles: expected {name} > 0, got {bad[0].item():g}")
    return value.expand(x.shape[:-1])
