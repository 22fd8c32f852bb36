"""Scenes of one seed: shapes, places, turns and velocities of the bodies."""

import math
from typing import Literal

import numpy as np
import torch

from geoops.data import Body, Scene
from geoops.data._body import resolve_solid, turned
from geoops.physics import MATERIALS, Box

#: What is drawn at random beyond the training: nothing, shapes that training has not, or speeds above those of training.
Variant = Literal["usual", "geometry", "velocity"]

#: Time steps below the bound of the material on the grids here.
STEPS = {"jelly": 5e-4, "plasticine": 5e-4, "sand": 2.5e-4, "water": 5e-4}
CELLS = {2: 64, 3: 32}
VOLUME = {2: (0.07, 0.12), 3: (0.025, 0.045)}
SPEED = 2.0
MARGIN = 4  # cells between a body and the faces of the box


def random_scene(
    material: str, dim: int, seed: int, *, particles: int, frames: int, spacing: float = 5e-3, variant: Variant = "usual"
) -> Scene:
    """Returns a scene in which bodies of random shape are thrown into a box.

    Draws come from the generator PCG64 with the seed: for each body a solid (ellipses, boxes, rods, round boxes), its volume and
    proportions, a turn, a place, a velocity of up to 2 length units per second in any direction, and a spin of up to 5 per
    second. The volume is that of all bodies together, and divided evenly between them; several bodies are made smaller
    where they would not fit one beside the other.

    Args:
        material: jelly, plasticine, sand or water; several with a plus between them, such as `jelly+water`, make one body each.
        dim: 2 or 3.
        seed: equal seeds give equal scenes.
        particles: in all.
        frames: after the start.
        spacing: time between frames.
        variant: `geometry` draws stars (in space rings and gyroids) instead, `velocity` speeds from 2 to 3.

    Raises:
        ValueError: there is no such material, or a number does not fit.
    """
    names = material.split("+")
    if unknown := [name for name in names if name not in MATERIALS]:
        raise ValueError(f"no material {unknown[0]!r}; there are {', '.join(sorted(MATERIALS))}, and several with '+' between them")
    if len(set(names)) != len(names) or len(names) > 3:
        raise ValueError(f"expected up to three different materials, got {material!r}")
    if dim not in (2, 3):
        raise ValueError(f"expected dim of 2 or 3, got {dim}")
    if particles < 10 * len(names) or frames < 1:
        raise ValueError(f"expected at least 10 particles of each material and 1 frame, got {particles} and {frames}")
    dt = min(STEPS[name] for name in names)
    every = round(spacing / dt)
    if every < 1 or not math.isclose(every * dt, spacing, rel_tol=1e-6):
        raise ValueError(f"spacing: expected a multiple of the time step {dt:g} of {material}, got {spacing}")
    draw = np.random.Generator(np.random.PCG64(seed))
    cells = CELLS[dim]
    volume = draw.uniform(*VOLUME[dim])
    shaped = [_shaped(dim, draw, volume / len(names), variant) for _ in names]
    # one beside the other, along the first axis, with a cell between them
    width = (1 - 2 * MARGIN / cells) / len(names)
    widest = max(_half_width(shape, size, turn) for shape, size, turn, _ in shaped)
    fit = min(1.0, (width - 1 / cells) / 2 / widest) if len(names) > 1 else 1.0
    bodies = []
    for i, (name, (shape, size, turn, reach)) in enumerate(zip(names, shaped, strict=True)):
        low, high = np.full(dim, MARGIN / cells + fit * reach), np.full(dim, 1 - MARGIN / cells - fit * reach)
        low, high = np.minimum(low, 0.5), np.maximum(high, 0.5)
        if len(names) > 1:
            low[0] = high[0] = MARGIN / cells + (i + 0.5) * width
        count = particles // len(names) + (i < particles % len(names))
        bodies.append(_thrown(name, shape, fit * size, turn, draw.uniform(low, high), count, draw, variant))
    box = Box((cells,) * dim, 1 / cells)
    return Scene(box, dt, frames * every, tuple(bodies), every=every, source=f"scene {seed} of {material}")


def _shaped(dim: int, draw: np.random.Generator, volume: float, variant: Variant) -> tuple[dict, np.ndarray, np.ndarray, float]:
    """Returns a shape, its size and turn, and half of the diagonal of the box around it."""
    shape = _shape(dim, draw, variant)
    solid = resolve_solid(shape)
    aspect = np.array([1.0, draw.uniform(0.6, 1.0), *draw.uniform(0.7, 1.0, dim - 2)])
    size = aspect * (volume / (solid.volume(dim) * np.prod(aspect))) ** (1 / dim)
    turn = draw.uniform(0, 360, 1) if dim == 2 else draw.normal(size=3)
    if dim == 3:
        turn *= draw.uniform(0, 180) / np.linalg.norm(turn)
    return shape, size, turn, 0.5 * float(np.linalg.norm(size * np.array(solid.sides(dim))))


def _half_width(shape: dict, size: np.ndarray, turn: np.ndarray) -> float:
    """Returns half of the length along the first axis of the turned box around a shape."""
    sides = [(-side / 2, side / 2) for side in size * np.array(resolve_solid(shape).sides(len(size)))]
    corners = torch.cartesian_prod(*(torch.tensor(ends, dtype=torch.float64) for ends in sides))
    return float(turned(corners, (0.0,) * len(size), tuple(turn.tolist()))[:, 0].max())


def _thrown(
    name: str,
    shape: dict,
    size: np.ndarray,
    turn: np.ndarray,
    centre: np.ndarray,
    particles: int,
    draw: np.random.Generator,
    variant: Variant,
) -> Body:
    dim = len(centre)
    direction = draw.normal(size=dim)
    speed = draw.uniform(0, SPEED) if variant != "velocity" else draw.uniform(SPEED, 1.5 * SPEED)
    velocity = speed * direction / np.linalg.norm(direction)
    spin = draw.uniform(-5, 5, 1 if dim == 2 else 3)
    return Body(
        material=name,
        shape=shape,
        centre=tuple(centre.tolist()),
        size=tuple(size.tolist()),
        particles=particles,
        velocity=tuple(velocity.tolist()),
        spin=tuple(spin.tolist()),
        turn=tuple(turn.tolist()),
        seed=int(draw.integers(2**31)),
    )


def _shape(dim: int, draw: np.random.Generator, variant: Variant) -> dict:
    if variant == "geometry":
        if dim == 2:
            return {"solid": "Star", "tips": int(draw.integers(4, 7)), "inner": float(draw.uniform(0.4, 0.6))}
        return {"solid": "Torus", "tube": float(draw.uniform(0.15, 0.22))} if draw.random() < 0.5 else {"solid": "Gyroid"}
    kind = draw.choice(["Sphere", "Cuboid", "Capsule", "RoundedBox"])
    if kind == "Capsule":
        return {"solid": "Capsule", "radius": float(draw.uniform(0.2, 0.35))}
    if kind == "RoundedBox":
        return {"solid": "RoundedBox", "radius": float(draw.uniform(0.1, 0.3))}
    return {"solid": str(kind)}
