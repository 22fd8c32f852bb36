"""A body of a scene: what it is made of, its shape and how it moves at the start."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import io
from geoops.geometry import Capsule, Cuboid, Gyroid, Mesh, MeshSolid, RoundedBox, Solid, Sphere, Star, Torus, fill, lattice

from ._construct import Value, call, check_options, chosen, options_of
from ._materials import MaterialSpec

SOLIDS = {kind.__name__: kind for kind in (Cuboid, Sphere, Torus, Capsule, RoundedBox, Gyroid, Star)}


@final
@dataclass(frozen=True)
class Body:
    r"""A body of one material.

    Its particles start with the velocity $v_p = v + \omega \times (x_p - c)$ around the centre c, undeformed; each has the
    same part of its volume.

    Args:
        material: see `resolve_material`; `name` among its options is what legends and trainings call it.
        shape: a solid of `geoops.geometry` by its name (`Sphere`) or with options (`{solid: Torus, tube: 0.2}`); the
            inside of a watertight mesh (`{mesh: bunny.stl}`, relative to the scene file); or a box of regular points that
            includes its faces (`{lattice: [10, 10, 10]}`).
        centre: where the centre of the shape goes.
        size: factors by which the shape, whose longest side is one, is scaled along each axis, or one for all.
        turn: how the shape is turned around its centre after that: an angle in degrees in the plane, in space three numbers,
            an axis times the angle.
        particles: how many there are (not for a lattice).
        spacing: distance between particles, instead of `particles`: there is one in each cube of this side.
        density: mass per volume.
        velocity: v, zero unless given.
        spin: angular velocity, zero unless given; one number in the plane.
        throw: seed of a random throw, instead of `velocity` and `spin`; see `random_throw`.
        seed: seed of the points.
        relaxations: see `geoops.geometry.fill`.

    Raises:
        ValueError: numbers do not fit, or what excludes each other is given.
    """

    material: MaterialSpec
    shape: str | dict[str, Value]
    centre: tuple[float, ...]
    size: float | tuple[float, ...] = 1.0
    particles: int | None = None
    spacing: float | None = None
    density: float = 1000.0
    velocity: tuple[float, ...] = ()
    spin: tuple[float, ...] = ()
    throw: int | None = None
    seed: int = 0
    relaxations: int = 5
    turn: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        d = len(self.centre)
        if d not in (2, 3):
            raise ValueError(f"centre: expected two or three numbers, got {list(self.centre)}")
        for name in ("centre", "velocity", "spin", "turn"):
            if not all(map(math.isfinite, getattr(self, name))):
                raise ValueError(f"expected finite numbers of {name}, got {list(getattr(self, name))}")
        if len(self.factors) != d or not all(0 < factor < math.inf for factor in self.factors):
            size = list(self.size) if isinstance(self.size, tuple) else self.size
            raise ValueError(f"expected size > 0, one number or {d}, got {size}")
        if len(self.turn) not in (0, 1 if d == 2 else 3):
            raise ValueError(f"in {d} dimensions expected {1 if d == 2 else 3} numbers of turn, got {len(self.turn)}")
        if len(self.velocity) not in (0, d) or len(self.spin) not in (0, 1 if d == 2 else 3):
            raise ValueError(
                f"in {d} dimensions expected {d} numbers of velocity and {1 if d == 2 else 3} of spin, "
                f"got {len(self.velocity)} and {len(self.spin)}"
            )
        if self.throw is not None and d != 3:
            raise ValueError("a throw needs three dimensions, got a centre of two numbers; give velocity and spin instead")
        if self.throw is not None and (self.velocity or self.spin):
            raise ValueError("throw takes the place of velocity and spin; give it or them")
        if self.is_lattice != (self.particles is None and self.spacing is None) or (
            self.particles is not None and self.spacing is not None
        ):
            raise ValueError(
                "expected one of particles and spacing, and neither for a lattice, "
                f"got particles {self.particles} and spacing {self.spacing} for the shape {self.shape}"
            )
        for name in ("density", "particles", "spacing"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"expected {name} > 0, got {value}")
        for name in ("throw", "seed", "relaxations"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"expected {name} >= 0, got {value}")
        if isinstance(self.material, dict) and "name" in self.material:
            label = self.material["name"]
            if not isinstance(label, str) or not label.strip():
                raise ValueError(f"expected a text for the name of the material, got {label!r}")

    @property
    def is_lattice(self) -> bool:
        """Whether the particles are on a lattice."""
        return isinstance(self.shape, dict) and "lattice" in self.shape

    @property
    def factors(self) -> tuple[float, ...]:
        """Size along each axis."""
        return (self.size,) * len(self.centre) if isinstance(self.size, float | int) else self.size

    def start(self, folder: Path = Path()) -> tuple[Float[Tensor, "particles d"], Float[Tensor, "particles d"], float]:
        """Returns positions, velocities and the volume of a particle, in float64.

        Args:
            folder: where relative paths of meshes begin.

        Raises:
            FileNotFoundError: there is no such mesh.
            ValueError: there is no such shape or option, or the mesh is not watertight.
        """
        d = len(self.centre)
        if self.is_lattice:
            assert isinstance(self.shape, dict)
            check_options("a lattice", self.shape, {"lattice": True})
            x = lattice(self.shape["lattice"], size=self.size, centre=self.centre)
            volume = float(np.prod(self.factors))
        else:
            solid = resolve_solid(self.shape, folder)
            volume = solid.volume(d) * float(np.prod(self.factors))
            count = self.particles or max(1, round(volume / (self.spacing or 1) ** d))
            x = fill(solid, count, size=self.size, centre=self.centre, seed=self.seed, relaxations=self.relaxations)
        x = turned(x, self.centre, self.turn) if self.turn else x
        velocity, spin = (self.velocity, self.spin) if self.throw is None else random_throw(self.throw)
        v = torch.tensor(velocity or (0.0,) * d, dtype=torch.float64).expand(x.shape)
        if spin:
            arm, w = x - torch.tensor(self.centre, dtype=torch.float64), torch.tensor(spin, dtype=torch.float64)
            turn = w * torch.stack([-arm[:, 1], arm[:, 0]], 1) if d == 2 else torch.linalg.cross(w.expand(x.shape), arm)
            v = v + turn
        return x, v, volume / len(x)


def resolve_solid(shape: str | dict[str, Value], folder: Path = Path()) -> Solid:
    """Returns the solid of a description, see `Body`.

    Raises:
        FileNotFoundError: there is no such mesh.
        ValueError: there is no such solid or option, or the mesh is not watertight.
    """
    options = {"solid": shape} if isinstance(shape, str) else dict(shape)
    if "mesh" in options:
        check_options("a mesh", options, {"mesh": True})
        path = folder / str(options["mesh"])
        mesh = io.read(path)
        if not isinstance(mesh, Mesh):
            raise ValueError(f"{path} is a cloud of points; a body needs a closed mesh")
        try:
            return MeshSolid(mesh)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    if "solid" not in options:
        raise ValueError(f"a shape needs 'solid', 'mesh' or 'lattice', got {', '.join(options)}")
    name = options.pop("solid")
    make = chosen("solid", name, SOLIDS)
    check_options(f"solid {name}", options, options_of(make))
    return call(f"solid {name}", make, **options)


def turned(x: Float[Tensor, "points d"], centre: tuple[float, ...], turn: tuple[float, ...]) -> Float[Tensor, "points d"]:
    """Returns points turned around a centre, by degrees in the plane and by a vector of degrees in space."""
    angle = torch.tensor(turn, dtype=x.dtype).deg2rad()
    if len(centre) == 2:
        skew = torch.stack([torch.stack([0 * angle[0], -angle[0]]), torch.stack([angle[0], 0 * angle[0]])])
    else:
        skew = torch.linalg.cross(torch.eye(3, dtype=x.dtype), angle.expand(3, 3))
    middle = torch.tensor(centre, dtype=x.dtype)
    return (x - middle) @ torch.linalg.matrix_exp(skew).T + middle


def random_throw(seed: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns velocity and angular velocity of a random throw downwards.

    Drawn in this order from the generator PCG64: a direction uniform in the cube [-1, 1]^3, whose second component is made
    negative before it is normalised; a speed uniform in [0, 3]; three components of the angular velocity, uniform in [0, 3].

    Source: Ma et al. 2023, "Learning neural constitutive laws from motion observations", the test of velocities.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    direction = generator.uniform(-1.0, 1.0, 3)
    direction[1] = -abs(direction[1])
    speed = generator.uniform(0.0, 3.0)
    spin = generator.uniform(0.0, 3.0, 3)
    return tuple((speed * direction / np.linalg.norm(direction)).tolist()), tuple(spin.tolist())
