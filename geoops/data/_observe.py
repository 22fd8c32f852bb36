"""Motions to learn from: recorded ones, or scenes that are simulated."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from geoops import configs
from geoops.ops import Wall
from geoops.physics import Material, Particles, Trajectory

from ._materials import MaterialSpec, resolve_material
from ._scene import Scene, parse_scene, read_scene
from ._trajectory_read import read_trajectory

#: Suffixes of files with a whole trajectory, in lower case.
ENDINGS = (".vtkhdf", ".hdf")


def observe(
    source: str | Path,
    *,
    of: str | Path | None = None,
    steps: int | None = None,
    throw: int | None = None,
    every: int | None = None,
    walls: Wall | None = None,
    gravity: tuple[float, ...] | None = None,
) -> Trajectory:
    """Returns a motion.

    Args:
        source: a trajectory file, or a scene by name or as a YAML file, which is simulated.
        of: the scene, by name or file, that a trajectory file must be of.
        steps: in place of those of the scene.
        throw: seed of a random throw in place of the velocities of the bodies.
        every: steps between frames in place of those of the scene.
        walls: what all faces do in place of the walls of the scene.
        gravity: acceleration in place of that of the scene.

    Raises:
        FileNotFoundError: there is no such file or scene.
        ValueError: the file is not understood, or of another scene; the simulation cannot start; options for scenes are given
            with a file.
        FloatingPointError: the simulation breaks down.
    """
    box = {name: value for name, value in (("walls", walls), ("gravity", gravity)) if value is not None}
    if Path(source).suffix.lower() in ENDINGS:
        if box or not steps is throw is every is None:
            raise ValueError(f"{source} is a recorded motion: steps, throw, every, walls and gravity are for scenes")
        return read_trajectory(source, None if of is None else read_scene(configs.scene(str(of))))
    if of is not None:
        raise ValueError(f"{source} is a scene; say which scene it is `of` for recorded motions only")
    scene = read_scene(configs.scene(str(source)))
    if throw is not None:
        scene = replace(scene, bodies=tuple(replace(b, velocity=(), spin=(), throw=throw) for b in scene.bodies))
    return simulated(
        replace(scene, box=replace(scene.box, **box), steps=scene.steps if steps is None else steps, every=every or scene.every)
    )


def materials_of(motion: Trajectory) -> dict[str, MaterialSpec]:
    """Returns the descriptions of the materials of a motion by their names; names themselves where the scene is not known."""
    specs = parse_scene(motion.scene).materials if motion.scene else motion.names
    return dict(zip(motion.names, specs, strict=True))


def described(source: str | Path) -> dict[str, MaterialSpec]:
    """Returns the materials of a motion by their names, without a simulation; arguments and errors as for `observe`."""
    if Path(source).suffix.lower() in ENDINGS:
        return materials_of(read_trajectory(source))
    scene = read_scene(configs.scene(str(source)))
    return dict(zip(scene.names, scene.materials, strict=True))


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
    moving = {name: torch.stack([getattr(s, name) for s in states]) for name in ("x", "v", "C", "F")}
    return Trajectory(
        Particles(**moving, mass=start.mass, volume=start.volume),
        steps=torch.arange(len(states)) * scene.every,
        box=scene.box,
        dt=scene.dt,
        material=material,
        names=scene.names,
        scene=scene.yaml(),
    )
