"""Scenes: a box, bodies in it, and how long to look at them; read from YAML."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, final

import torch
import yaml
from jaxtyping import Int
from torch import Tensor

from geoops.physics import MPM, Box, ByMaterial, Material, Particles

from ._body import Body
from ._materials import MaterialSpec, material_label, resolve_material


@final
@dataclass(frozen=True)
class Scene:
    """Bodies that move in a box.

    Args:
        box: the grid and its walls.
        dt: time step.
        steps: how many.
        bodies: what moves.
        every: steps between the frames that are kept.
        dtype: precision.
        folder: where relative paths of meshes begin; not a part of the file.

    Raises:
        ValueError: a number is out of range, or bodies and box differ in dimension.
    """

    box: Box
    dt: float
    steps: int
    bodies: tuple[Body, ...]
    every: int = 1
    dtype: Literal["float32", "float64"] = "float32"
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        if not self.bodies:
            raise ValueError("a scene needs at least one body")
        if not self.dt > 0 or self.steps < 0 or self.every < 1:
            raise ValueError(f"expected dt > 0, steps >= 0 and every >= 1, got {self.dt}, {self.steps} and {self.every}")
        d = len(self.box.cells)
        for i, body in enumerate(self.bodies, 1):
            if len(body.centre) != d:
                raise ValueError(f"body {i} has {len(body.centre)} dimensions and the box has {d}")

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

        Raises:
            FileNotFoundError: a mesh is missing.
            ValueError: a shape is unknown or cannot be filled; names the body.
        """
        dtype, parts, material = getattr(torch, self.dtype), [], []
        for i, body in enumerate(self.bodies, 1):
            try:
                x, v, volume = body.start(self.folder)
            except ValueError as error:
                raise ValueError(f"body {i}: {error}") from error
            parts.append(Particles.undeformed(x.to(dtype), v.to(dtype), volume=volume, density=body.density))
            material.append(torch.full((len(x),), self.materials.index(body.material)))
        joined = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Particles)}
        return Particles(**joined), torch.cat(material)

    def simulator(self, material: Int[Tensor, " particles"], resolve: Callable[[MaterialSpec], Material] = resolve_material) -> MPM:
        """Returns the simulator of the scene.

        Args:
            material: for each particle the place of its material, from `start`.
            resolve: makes a material of its description.

        Raises:
            ValueError: a material is unknown.
        """
        found = [resolve(spec) for spec in self.materials]
        if len(found) == 1:
            return MPM(self.box, self.dt, found[0].elastic, found[0].plastic)
        laws = [ByMaterial([getattr(m, role) for m in found], material) for role in ("elastic", "plastic")]
        return MPM(self.box, self.dt, *laws)

    def yaml(self) -> str:
        """Returns the scene as YAML, which `read_scene` understands; equal for equal scenes."""
        plain = {key: value for key, value in asdict(self).items() if key != "folder"}
        defaults = {f.name: f.default for f in fields(Body)}
        plain["bodies"] = [{k: v for k, v in body.items() if v != defaults[k]} for body in plain["bodies"]]
        return yaml.safe_dump(_lists(plain), sort_keys=False, default_flow_style=None)


def read_scene(path: str | Path) -> Scene:
    """Reads a scene from a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a key is unknown or missing, or a value does not fit; names the file and the key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no scene {path}: give a YAML file")
    return replace(parse_scene(path.read_text(encoding="utf-8"), str(path)), folder=path.parent)


def parse_scene(text: str, name: str = "scene") -> Scene:
    """Reads a scene from YAML text; `name` stands in errors.

    Raises:
        ValueError: a key is unknown or missing, or a value does not fit.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Scene, skip={"folder"})
    try:
        return Scene(**parser.instantiate(parser.parse_string(text)))
    except (ArgumentError, ValueError, TypeError) as error:
        raise ValueError(f"{name}: {' '.join(str(error).split())}") from error


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(v) for key, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, list | tuple) else value
