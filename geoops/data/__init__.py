"""Folders of meshes, what is asked of them, normalisation, and batches for training.

Names load on first use, so that generators and command lines which need only one of them start quickly.
"""

from typing import TYPE_CHECKING

from ._task import Task as Task

if TYPE_CHECKING:
    from ._batch import FieldBatch as FieldBatch
    from ._folder import MeshFolder as MeshFolder
    from ._folder import split_files as split_files
    from ._module import MeshData as MeshData
    from ._motion import MotionData as MotionData
    from ._motion import MotionTest as MotionTest
    from ._normalizer import Normalizer as Normalizer
    from ._pack import to_shapes as to_shapes

_MODULES = {
    "FieldBatch": "_batch",
    "MeshFolder": "_folder",
    "split_files": "_folder",
    "MeshData": "_module",
    "MotionData": "_motion",
    "MotionTest": "_motion",
    "Normalizer": "_normalizer",
    "to_shapes": "_pack",
}

__all__ = ["FieldBatch", "MeshData", "MeshFolder", "MotionData", "MotionTest", "Normalizer", "Task", "split_files", "to_shapes"]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
