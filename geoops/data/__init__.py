"""Folders of meshes, what is asked of them, normalisation, and batches for training; scenes of particles
and their trajectories.

Names load on first use, so that generators and command lines which need only one of them start quickly.
"""

from typing import TYPE_CHECKING

from ._task import Task as Task

if TYPE_CHECKING:
    from ._batch import FieldBatch as FieldBatch
    from ._before_start import before_start as before_start
    from ._body import Body as Body
    from ._body import random_throw as random_throw
    from ._folder import MeshFolder as MeshFolder
    from ._folder import split_files as split_files
    from ._frames import FrameBatch as FrameBatch
    from ._frames import Frames as Frames
    from ._materials import resolve_material as resolve_material
    from ._module import MeshData as MeshData
    from ._motion import Labels as Labels
    from ._motion import MotionData as MotionData
    from ._motion import MotionTest as MotionTest
    from ._normalizer import Normalizer as Normalizer
    from ._observe import materials_of as materials_of
    from ._observe import observe as observe
    from ._observe import simulated as simulated
    from ._pack import to_shapes as to_shapes
    from ._particle_data import ParticleData as ParticleData
    from ._particle_data import check_alike as check_alike
    from ._pvd import PVDWriter as PVDWriter
    from ._scene import Scene as Scene
    from ._scene import parse_scene as parse_scene
    from ._scene import read_scene as read_scene
    from ._trajectory_read import read_field as read_field
    from ._trajectory_read import read_motion as read_motion
    from ._trajectory_read import read_trajectory as read_trajectory
    from ._trajectory_write import MotionWriter as MotionWriter
    from ._trajectory_write import TrajectoryWriter as TrajectoryWriter
    from ._trajectory_write import write_motion as write_motion
    from ._trajectory_write import write_trajectory as write_trajectory
    from ._windows import Sampling as Sampling
    from ._windows import WindowBatch as WindowBatch
    from ._windows import Windows as Windows
    from ._windows import chosen_samples as chosen_samples
    from ._windows import connected_radius as connected_radius
    from ._windows import radius_of as radius_of
    from ._windows import random_walk as random_walk
    from ._windows import smooth_walk as smooth_walk
    from ._windows import window as window

_MODULES = {
    "FieldBatch": "_batch",
    "Body": "_body",
    "random_throw": "_body",
    "before_start": "_before_start",
    "FrameBatch": "_frames",
    "Frames": "_frames",
    "MeshFolder": "_folder",
    "split_files": "_folder",
    "resolve_material": "_materials",
    "MeshData": "_module",
    "Labels": "_motion",
    "MotionData": "_motion",
    "MotionTest": "_motion",
    "Normalizer": "_normalizer",
    "materials_of": "_observe",
    "observe": "_observe",
    "simulated": "_observe",
    "to_shapes": "_pack",
    "ParticleData": "_particle_data",
    "check_alike": "_particle_data",
    "PVDWriter": "_pvd",
    "Scene": "_scene",
    "parse_scene": "_scene",
    "read_scene": "_scene",
    "read_field": "_trajectory_read",
    "read_motion": "_trajectory_read",
    "read_trajectory": "_trajectory_read",
    "MotionWriter": "_trajectory_write",
    "TrajectoryWriter": "_trajectory_write",
    "write_motion": "_trajectory_write",
    "write_trajectory": "_trajectory_write",
    "Sampling": "_windows",
    "WindowBatch": "_windows",
    "Windows": "_windows",
    "chosen_samples": "_windows",
    "connected_radius": "_windows",
    "radius_of": "_windows",
    "random_walk": "_windows",
    "smooth_walk": "_windows",
    "window": "_windows",
}

__all__ = [
    "Body",
    "FieldBatch",
    "FrameBatch",
    "Frames",
    "Labels",
    "MeshData",
    "MeshFolder",
    "MotionData",
    "MotionTest",
    "MotionWriter",
    "Normalizer",
    "PVDWriter",
    "ParticleData",
    "Sampling",
    "Scene",
    "Task",
    "TrajectoryWriter",
    "WindowBatch",
    "Windows",
    "before_start",
    "check_alike",
    "chosen_samples",
    "connected_radius",
    "materials_of",
    "observe",
    "parse_scene",
    "radius_of",
    "random_throw",
    "random_walk",
    "read_field",
    "read_motion",
    "read_scene",
    "read_trajectory",
    "resolve_material",
    "simulated",
    "smooth_walk",
    "split_files",
    "to_shapes",
    "window",
    "write_motion",
    "write_trajectory",
]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
