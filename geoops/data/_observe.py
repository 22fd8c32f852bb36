"""Motions to learn from: recorded ones, or scenes that are simulated."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import torch

from geoops import configs
from geoops.physics import Material, Particles, Trajectory

from ._materials import MaterialSpec, resolve_material
from ._scene import Scene, read_scene


def observe(source: str | Path, *, steps: int | None = None, throw: int | None = None, every: int | None = None) -> Trajectory:
    """Returns a motion.

    Args:
        source: a scene, by name or as a YAML file.
        steps, every: in place of those of the scene.
        throw: seed of a random throw in place of the velocities of the bodies.

    Raises:
        FileNotFoundError: there is no such scene.
        ValueError: the scene is not understood, or its simulation cannot start.
        FloatingPointError: the simulation breaks down.
    """
    scene = read_scene(configs.scene(str(source)))
    if throw is not None:
        scene = replace(scene, bodies=tuple(replace(b, velocity=(), spin=(), throw=throw) for b in scene.bodies))
    return simulated(replace(scene, steps=steps or scene.steps, every=every or scene.every))


def simulated(scene: Scene, resolve: Callable[[MaterialSpec], Material] = resolve_material) -> Trajectory:
    """Returns the motion of a scene, in memory.

    Args:
        scene: what moves, and the frames to keep.
        resolve: makes materials of their descriptions.

    Raises:
        ValueError: the simulation cannot start.
        FloatingPointError: the simulation breaks down.
    """
    start, material = scene.start()
    mpm = scene.simulator(material, resolve)
    with torch.no_grad():
        states = [start, *mpm.steps(start, scene.steps, scene.every)]
    moving = {f.name: torch.stack([getattr(s, f.name) for s in states]) for f in fields(Particles) if f.name not in ("mass", "volume")}
    return Trajectory(
        Particles(**moving, mass=start.mass, volume=start.volume),
        steps=torch.arange(len(states)) * scene.every,
        box=scene.box,
        dt=scene.dt,
        material=material,
        names=scene.names,
        scene=scene.yaml(),
    )
