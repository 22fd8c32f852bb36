"""Solids that can be filled with points: formulas and closed meshes, all with a longest side of one around the origin."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ._boundary import boundary_facets
from ._mesh import Mesh
from ._orient import merged, ridges, signed_content
from ._winding import winding_2d, winding_3d


class Solid(ABC):
    """A solid around the origin whose longest side is one, in the plane or in space."""

    @abstractmethod
    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Tells which points are inside."""

    @abstractmethod
    def volume(self, dim: int = 3) -> float:
        """Returns the volume, or the area in the plane."""

    def sides(self, dim: int = 3) -> tuple[float, ...]:
        """Returns the lengths of the box around the solid."""
        return (1.0,) * dim


@final
class Cuboid(Solid):
    """The unit cube, or square."""

    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        return (points.abs() <= 0.5).all(1)

    def volume(self, dim: int = 3) -> float:
        """Returns one."""
        return 1.0


@final
class Sphere(Solid):
    """The ball, or disc, of diameter one."""

    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        return points.norm(dim=1) <= 0.5

    def volume(self, dim: int = 3) -> float:
        """Returns π / 6, in the plane π / 4."""
        return _ball(0.5, dim)


@final
class Torus(Solid):
    """A ring of outer diameter one around the second axis, in space.

    Args:
        tube: radius of the tube.

    Raises:
        ValueError: the tube is not thinner than the ring.
    """

    def __init__(self, tube: float = 0.15):
        self.tube = _between("Torus", "tube", tube, 0.25)

    def inside(self, points: Float[Tensor, "points 3"]) -> Bool[Tensor, " points"]:
        """Tells which points are closer to the ring than the radius of the tube."""
        ring = points[:, [0, 2]].norm(dim=1) - (0.5 - self.tube)
        return ring.square() + points[:, 1].square() <= self.tube**2

    def volume(self, dim: int = 3) -> float:
        """Returns 2 π² R r² for the radii R of the ring and r of the tube."""
        _space("Torus", dim)
        return 2 * math.pi**2 * (0.5 - self.tube) * self.tube**2

    def sides(self, dim: int = 3) -> tuple[float, ...]:
        """Returns one along the ring and the thickness of the tube across it."""
        return (1.0, 2 * self.tube, 1.0)


@final
class Capsule(Solid):
    """A rod of length one along the second axis with round ends.

    Args:
        radius: its radius.

    Raises:
        ValueError: the radius is not between 0 and 0.5.
    """

    def __init__(self, radius: float = 0.25):
        self.radius = _between("Capsule", "radius", radius, 0.5)

    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        half, off = 0.5 - self.radius, points.clone()
        off[:, 1] -= points[:, 1].clamp(-half, half)
        return off.norm(dim=1) <= self.radius

    def volume(self, dim: int = 3) -> float:
        """Returns the volume of the cylinder and of the two halves of a ball."""
        return (1 - 2 * self.radius) * _ball(self.radius, dim - 1) + _ball(self.radius, dim)

    def sides(self, dim: int = 3) -> tuple[float, ...]:
        """Returns one along the rod and its thickness across it."""
        return tuple(1.0 if a == 1 else 2 * self.radius for a in range(dim))


@final
class RoundedBox(Solid):
    """A box with round edges.

    Args:
        radius: radius of the edges.
        lengths: sides of the box relative to each other, two in the plane; the longest becomes one.

    Raises:
        ValueError: a length is not positive, or the radius is more than half of the shortest side.
    """

    def __init__(self, radius: float = 0.1, lengths: Sequence[float] = (1.0, 1.0, 1.0)):
        if not all(n > 0 for n in lengths):
            raise ValueError(f"RoundedBox: expected lengths > 0, got {tuple(lengths)}")
        self.lengths = tuple(n / max(lengths) for n in lengths)
        self.radius = _between("RoundedBox", "radius", radius, min(self.lengths) / 2)

    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        half = torch.tensor(self.sides(points.shape[1]), dtype=points.dtype) / 2 - self.radius
        return (points.abs() - half).clamp_min(0).norm(dim=1) <= self.radius

    def volume(self, dim: int = 3) -> float:
        """Returns the volume by the formula of Steiner: that of a convex body which grows by a radius."""
        flat = [n - 2 * self.radius for n in self.sides(dim)]
        return sum(_ball(self.radius, dim - k) * sum(math.prod(some) for some in combinations(flat, k)) for k in range(dim + 1))

    def sides(self, dim: int = 3) -> tuple[float, ...]:
        """Returns the lengths; the longest is one."""
        if set(self.lengths) == {1.0}:
            return (1.0,) * dim
        if len(self.lengths) != dim:
            raise ValueError(f"RoundedBox: {len(self.lengths)} lengths do not make a box in {dim} dimensions")
        return self.lengths


@final
class Gyroid(Solid):
    r"""The cube filled with a curved sheet around the surface of Schoen, in space.

    $$|\sin X \cos Y + \sin Y \cos Z + \sin Z \cos X| \le t, \qquad (X, Y, Z) = 2\pi k\,(x, y, z)$$

    Args:
        periods: k, repetitions along a side.
        thickness: t, between 0 and 1.5; the sheet fills about 0.65 t of the cube.

    Raises:
        ValueError: a constant is out of range.
    """

    def __init__(self, periods: float = 1.0, thickness: float = 0.6):
        if not periods > 0:
            raise ValueError(f"Gyroid: expected periods > 0, got {periods}")
        self.periods, self.thickness = periods, _between("Gyroid", "thickness", thickness, 1.5)

    def inside(self, points: Float[Tensor, "points 3"]) -> Bool[Tensor, " points"]:
        """Tells which points of the cube are in the sheet."""
        angle = 2 * math.pi * self.periods * points
        level = (angle.sin() * angle.roll(-1, 1).cos()).sum(1)
        return (level.abs() <= self.thickness) & (points.abs() <= 0.5).all(1)

    def volume(self, dim: int = 3) -> float:
        """Returns the volume as the share of 96³ regular points that are inside."""
        _space("Gyroid", dim)
        axis = (torch.arange(96, dtype=torch.float64) + 0.5) / 96 - 0.5
        return float(self.inside(torch.cartesian_prod(axis, axis, axis)).double().mean())


@final
class Star(Solid):
    """A star with straight edges whose tips lie on the circle of diameter one, in the plane.

    Args:
        tips: how many.
        inner: distance of the corners between the tips from the centre, as a share of that of the tips.

    Raises:
        ValueError: there are fewer than three tips, or the share is not between 0 and 1.
    """

    def __init__(self, tips: int = 5, inner: float = 0.5):
        if tips < 3:
            raise ValueError(f"Star: expected at least 3 tips, got {tips}")
        self.tips, self.inner = tips, _between("Star", "inner", inner, 1.0)

    def inside(self, points: Float[Tensor, "points 2"]) -> Bool[Tensor, " points"]:
        """Tells which points lie on the near side of the edge that is next to them."""
        half = math.pi / self.tips
        angle = torch.atan2(points[:, 0], points[:, 1])
        folded = (angle - 2 * half * (angle / (2 * half)).round()).abs()
        x, y = points.norm(dim=1) * folded.sin(), points.norm(dim=1) * folded.cos()
        a, b = 0.5 * self.inner * math.sin(half), 0.5 * self.inner * math.cos(half)
        return x * (b - 0.5) - a * (y - 0.5) >= 0

    def volume(self, dim: int = 2) -> float:
        """Returns the area."""
        if dim != 2:
            raise ValueError(f"Star: lies in the plane, got {dim} dimensions")
        return self.tips * 0.25 * self.inner * math.sin(math.pi / self.tips)


@final
class MeshSolid(Solid):
    """The inside of a watertight mesh, moved to the origin and scaled to a longest side of one.

    Args:
        mesh: triangles or other faces in space, solid cells, or areas in the plane.

    Raises:
        ValueError: the surface has holes, or no extent; says how many edges are open.
    """

    def __init__(self, mesh: Mesh):
        facets = boundary_facets(mesh)
        corners = facets.points.detach().to(torch.float64).numpy()
        _check_watertight(corners)
        low, high = corners.min((0, 1)), corners.max((0, 1))
        longest = (high - low).max()
        self._corners = (corners - (low + high) / 2) / longest
        self._sides = tuple(((high - low) / longest).tolist())
        self._volume = signed_content(self._corners)
        if not self._volume > 1e-9:
            raise ValueError(f"the mesh encloses no volume ({self._volume:.3g} at a longest side of 1); is it flat?")

    def inside(self, points: Float[Tensor, "points dim"]) -> Bool[Tensor, " points"]:
        """Tells which points the surface winds around."""
        winding: Callable[..., np.ndarray] = winding_2d if self._corners.shape[2] == 2 else winding_3d
        return torch.from_numpy(winding(self._corners, points.to(torch.float64).numpy()) > 0)

    def volume(self, dim: int = 3) -> float:
        """Returns the volume that the facets enclose."""
        if dim != len(self._sides):
            raise ValueError(f"a mesh in {len(self._sides)} dimensions cannot fill a body in {dim}")
        return self._volume

    def sides(self, dim: int = 3) -> tuple[float, ...]:
        """Returns the sides of the box around the mesh; the longest is one."""
        return self._sides


def _check_watertight(corners: np.ndarray) -> None:
    if not len(corners):
        raise ValueError("the mesh has no boundary, so there is no inside to fill")
    places = merged(corners.reshape(-1, corners.shape[2])).reshape(corners.shape[:2])
    ridge, sign = ridges(places)
    open_edges = np.flatnonzero(np.bincount(ridge.ravel(), sign.ravel()))
    if len(open_edges):
        piece, corner = np.argwhere(ridge == open_edges[0])[0]
        near = np.round(corners[piece, corner], 6).tolist()
        raise ValueError(
            f"the mesh is not watertight: {len(open_edges)} boundary edges belong to one face only, one near {near}; "
            "close the holes before, for example with trimesh.repair.fill_holes"
        )


def _ball(radius: float, dim: int) -> float:
    return math.pi ** (dim / 2) / math.gamma(dim / 2 + 1) * radius**dim


def _between(solid: str, name: str, value: float, most: float) -> float:
    if not 0 < value <= most:
        raise ValueError(f"{solid}: expected {name} > 0 and at most {most:g}, got {value}")
    return float(value)


def _space(solid: str, dim: int) -> None:
    if dim != 3:
        raise ValueError(f"{solid}: needs three dimensions, got {dim}")
