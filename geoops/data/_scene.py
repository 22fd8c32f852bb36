"""Scenes: a box, bodies in it, and how long to look at them; read from YAML."""

import math
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import combinations
from pathlib import Path
from typing import Literal, final

import torch
from jaxtyping import Int
from torch import Tensor

from geoops.physics import MPM, Box, ByMaterial, Material, Particles
from geoops.physics._check import too_near

from ._body import Body
from ._construct import placed
from ._materials import MaterialSpec, material_label, resolve_material
from ._plain import dump, entries, load

#: Fields of a scene that its file does not give.
OUTSIDE = ("folder", "source")


@final
@dataclass(frozen=True)
class Scene:
    """Bodies that move in a box.

    Args:
        box: the grid and its walls.
        dt: time step.
        steps: how many.
        bodies: what moves.
        every: steps between the frames that are kept; a divisor of `steps`.
        dtype: precision.
        folder: where relative paths of meshes begin; not a part of the file.
        source: what errors call the scene, such as its file; not a part of it.

    Raises:
        ValueError: a number is out of range, bodies and box differ in dimension, or different materials share a name.
    """

    box: Box
    dt: float
    steps: int
    bodies: tuple[Body, ...]
    every: int = 1
    dtype: Literal["float32", "float64"] = "float32"
    folder: Path = field(default=Path(), compare=False)
    source: str = field(default="scene", compare=False)

    def __post_init__(self) -> None:
        if not self.bodies:
            raise ValueError(f"{self.source}: a scene needs at least one body")
        if not 0 < self.dt < math.inf or self.steps < 0 or self.every < 1:
            raise ValueError(
                f"{self.source}: expected dt > 0, steps >= 0 and every >= 1, got {self.dt}, {self.steps} and {self.every}"
            )
        if self.steps % self.every:
            raise ValueError(f"{self.source}: steps must be a multiple of every, got {self.steps} and {self.every}")
        d = len(self.box.cells)
        for i, body in enumerate(self.bodies, 1):
            if len(body.centre) != d:
                raise ValueError(
                    f"{self.source}: body {i}: expected a centre of {d} numbers as the box has {d} axes, got {list(body.centre)}"
                )
        for name, spec in zip(self.names, self.materials, strict=True):
            if (first := self.materials[self.names.index(name)]) != spec:
                raise ValueError(
                    f"{self.source}: {self._user(spec)}: another material than that of {self._user(first)} has the same name "
                    f"{name!r}; give each its own"
                )

    @property
    def materials(self) -> tuple[MaterialSpec, ...]:
        """The different materials, in the order in which bodies name them."""
        found: list[MaterialSpec] = []
        for body in self.bodies:
            found += [] if body.material in found else [body.material]
        return tuple(found)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the materials."""
        return tuple(material_label(spec) for spec in self.materials)

    def start(self) -> tuple[Particles, Int[Tensor, " particles"]]:
        """Returns the particles at the start, and for each the place of its material in `materials`.

        Bodies that overlap give a warning.

        Raises:
            FileNotFoundError: a mesh is missing.
            ValueError: a shape is unknown or cannot be filled, or a body is not within the box; names the body.
        """
        dtype, parts, material = getattr(torch, self.dtype), list[Particles](), []
        for i, body in enumerate(self.bodies, 1):
            with placed(f"{self.source}: body {i}"):
                x, v, volume = body.start(self.folder)
                part = Particles.undeformed(x.to(dtype), v.to(dtype), volume=volume, density=body.density)
                if words := too_near(self.box, part.x, part.mass != 0):
                    raise ValueError(words)
            parts.append(part)
            material.append(torch.full((len(x),), self.materials.index(body.material)))
        for (i, one), (j, other) in combinations(enumerate(parts, 1), 2):
            if count := _overlap(one, other):
                warnings.warn(
                    f"{self.source}: bodies {i} and {j} overlap or touch: {count} particles of body {i} are nearer to those of "
                    f"body {j} than half of the distance between particles; move one of the bodies, or make it smaller",
                    stacklevel=2,
                )
        joined = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Particles)}
        return Particles(**joined), torch.cat(material)

    def simulator(self, material: Int[Tensor, " particles"], resolve: Callable[[MaterialSpec], Material] = resolve_material) -> MPM:
        """Returns the simulator of the scene.

        Args:
            material: for each particle the place of its material, from `start`.
            resolve: makes a material of its description.

        Raises:
            FileNotFoundError: the file of a material is missing.
            ValueError: a material is unknown or wrong; names the body.
        """
        found = []
        for spec in self.materials:
            with placed(f"{self.source}: {self._user(spec)}"):
                found.append(resolve(spec))
        if len(found) == 1:
            return MPM(self.box, self.dt, found[0].elastic, found[0].plastic)
        laws = [ByMaterial([getattr(m, role) for m in found], material) for role in ("elastic", "plastic")]
        return MPM(self.box, self.dt, *laws)

    def yaml(self) -> str:
        """Returns the scene as YAML, which `read_scene` understands; equal for equal scenes."""
        plain = {key: value for key, value in asdict(self).items() if key not in OUTSIDE}
        defaults = {f.name: f.default for f in fields(Body)}
        plain["bodies"] = [{k: v for k, v in body.items() if v != defaults[k]} for body in plain["bodies"]]
        return dump(_lists(plain))

    def _user(self, spec: MaterialSpec) -> str:
        """Returns the first body of a material, in words."""
        return f"body {[body.material for body in self.bodies].index(spec) + 1}"


def read_scene(path: str | Path) -> Scene:
    """Reads a scene from a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no text, a key is unknown or missing, or a value does not fit; names the file, the body and the key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no scene {path}: give a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a scene in YAML, got a file that is not text") from error
    return replace(parse_scene(text, str(path)), folder=path.parent)


def parse_scene(text: str, name: str = "scene") -> Scene:
    """Reads a scene from YAML text; `name` stands in errors.

    Raises:
        ValueError: a key is unknown or missing, or a value does not fit.
    """
    with placed(name):
        given = load(text)
    found = entries(Scene, given, name, skip=OUTSIDE)
    box = entries(Box, found["box"], f"{name}: box")
    bodies = []
    for i, body in enumerate(found["bodies"], 1):
        options = entries(Body, body, f"{name}: body {i}")
        with placed(f"{name}: body {i}"):
            bodies.append(Body(**options))
    with placed(name):
        found["box"] = Box(**box)
    return Scene(**{**found, "bodies": tuple(bodies)}, source=name)


def _overlap(one: Particles, other: Particles) -> int:
    """Returns how many particles of a body are nearer to another body than half of the finer spacing of the two."""
    a, b, d = one.x.double(), other.x.double(), one.x.shape[-1]
    near = min(one.volume.min().item(), other.volume.min().item()) ** (1 / d) / 2
    low, high = b.amin(0) - near, b.amax(0) + near
    a = a[((a >= low) & (a <= high)).all(1)]
    if not len(a):
        return 0
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(b.numpy()).query(a.numpy(), distance_upper_bound=near)
    return int((distance < near).sum())


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(v) for key, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value
