"""Trajectories and motions back from HDF5."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from geoops.physics import Box, Motion, Particles, Trajectory

from ._frames_write import FORMAT
from ._scene import Scene, parse_scene
from ._trajectory_write import FIXED, MOVING


def read_trajectory(path: str | Path, scene: Scene | None = None) -> Trajectory:
    """Reads a trajectory that `geoops simulate` or `write_trajectory` wrote.

    Args:
        path: the file.
        scene: the scene that the trajectory must be of, if any.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no HDF5 file, a truncated or damaged one, or one without a trajectory; a field is missing, frames differ
            in size, or the trajectory is of another scene. The message begins with the path.
    """
    found = _opened(Path(path), _trajectory)
    if scene is not None and (not found.scene or parse_scene(found.scene, f"scene of {path}") != scene):
        raise ValueError(f"{path} is a trajectory of another scene; make it again with geoops simulate")
    return found


def read_motion(path: str | Path, frames: int | None = None) -> Motion:
    """Reads the positions of a file that `geoops simulate`, `geoops rollout`, `write_trajectory` or `write_motion` wrote.

    Args:
        path: the file.
        frames: only the first ones; all unless given.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no HDF5 file, a truncated or damaged one, or one without positions; a field is missing, frames differ in
            size, or the times between frames do. The message begins with the path.
    """
    return _opened(Path(path), lambda file: _motion(file, frames))


def read_field(path: str | Path, name: str) -> Tensor:
    """Returns a number of each particle that such a file holds beside the positions; errors as `read_motion`."""
    return _opened(Path(path), lambda file: torch.from_numpy(_numbers(file, f"VTKHDF/PointData/{name}")))


def _opened(path: Path, read: Callable[[h5py.File], Any]) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file; expected a trajectory of geoops simulate")
    try:
        with h5py.File(path, "r") as file:
            return read(file)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or damaged: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: {' '.join(str(error.args[0] if error.args else error).split())}") from error


def _trajectory(file: h5py.File) -> Trajectory:
    box, dt, names = _about(file)
    steps, material = _numbers(file, "geoops/steps"), _numbers(file, "VTKHDF/PointData/material")
    x = _points(file, len(steps), len(material))
    if not any(name in file["VTKHDF/PointData"] for name in MOVING):
        raise ValueError("holds positions only, as geoops rollout writes them; read it with geoops.data.read_motion")
    frames, n, d = len(steps), len(material), len(box.cells)
    fields = {name: _numbers(file, f"VTKHDF/PointData/{name}") for name in (*MOVING, *FIXED)}
    for name, value in fields.items():
        shape = (n,) if name in FIXED else (frames * n, d ** MOVING[name])
        if value.shape != shape or value.dtype != x.dtype:
            raise ValueError(f"expected {name} of shape {shape} and dtype {x.dtype}, got {value.shape} and {value.dtype}")
    moving = {name: torch.from_numpy(fields[name]).reshape(frames, n, *(d,) * axes) for name, axes in MOVING.items()}
    fixed = {name: torch.from_numpy(fields[name]) for name in FIXED}
    return Trajectory(
        frames=Particles(torch.from_numpy(x).reshape(frames, n, 3)[..., :d].contiguous(), **moving, **fixed),
        steps=torch.from_numpy(steps),
        box=box,
        dt=dt,
        material=torch.from_numpy(material),
        names=names,
        scene=_dataset(file, "geoops/scene").asstr()[()],
    )


def _motion(file: h5py.File, frames: int | None) -> Motion:
    box, dt, names = _about(file)
    steps, material = _numbers(file, "geoops/steps"), _numbers(file, "VTKHDF/PointData/material")
    x = _points(file, len(steps), len(material), frames)
    volume = _numbers(file, "VTKHDF/PointData/volume")
    if volume.shape != material.shape or volume.dtype != x.dtype:
        raise ValueError(f"expected volume of shape {material.shape} and dtype {x.dtype}, got {volume.shape} and {volume.dtype}")
    gaps = np.unique(np.diff(steps))
    if len(gaps) > 1 or (len(gaps) and gaps[0] < 1):
        raise ValueError(f"expected frames at even times, got steps between frames of {', '.join(map(str, gaps[:4]))}")
    return Motion(
        x=torch.from_numpy(x).reshape(len(steps[:frames]), len(material), 3)[..., : len(box.cells)].contiguous(),
        spacing=dt * (int(gaps[0]) if len(gaps) else 1),
        box=box,
        material=torch.from_numpy(material),
        names=names,
        volume=torch.from_numpy(volume),
        scene=_dataset(file, "geoops/scene").asstr()[()],
    )


def _about(file: h5py.File) -> tuple[Box, float, tuple[str, ...]]:
    if "geoops" not in file:
        raise ValueError("an HDF5 file, but not a trajectory of geoops; make one with geoops simulate")
    about = {name: _attribute(file, name) for name in ("format", "dt", "dim", "box", "names")}
    if int(about["format"]) > FORMAT:
        raise ValueError(f"written by a newer geoops (format {about['format']}, this one reads {FORMAT}); update geoops")
    box = Box(**{key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(about["box"]).items()})
    if len(box.cells) != int(about["dim"]):
        raise ValueError(f"the box has {len(box.cells)} axes and the attribute dim says {about['dim']}")
    return box, float(about["dt"]), tuple(str(name) for name in json.loads(about["names"]))


def _points(file: h5py.File, frames: int, n: int, most: int | None = None) -> np.ndarray:
    """Returns positions of all frames, or of the first ones, one under the other."""
    data = _dataset(file, "VTKHDF/Points")
    offsets = _numbers(file, "VTKHDF/Steps/PointOffsets")
    if not np.array_equal(offsets, n * np.arange(frames)) or data.shape != (frames * n, 3):
        raise ValueError(f"frames of different sizes: expected {frames} frames of {n} particles, got {len(data)} points")
    if data.dtype not in (np.float32, np.float64):
        raise ValueError(f"VTKHDF/Points: expected numbers, got {data.dtype}")
    return data[()] if most is None else data[: most * n]


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Returns a data set that lies in this file: links and virtual data could lead to any other."""
    at = file
    for part in name.split("/"):
        if not isinstance(at, h5py.Group) or part not in at:
            raise ValueError(f"{name} is missing")
        if not isinstance(at.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link, expected data")
        at = at[part]
    if not isinstance(at, h5py.Dataset) or at.is_virtual or at.external:
        raise ValueError(f"{name} is not data of this file")
    return at


def _numbers(file: h5py.File, name: str) -> np.ndarray:
    data = _dataset(file, name)
    if data.dtype not in (np.int64, np.float32, np.float64):
        raise ValueError(f"{name}: expected numbers, got {data.dtype}")
    return data[()]


def _attribute(file: h5py.File, name: str):
    if name not in file["geoops"].attrs:
        raise ValueError(f"the attribute {name!r} of the group geoops is missing")
    return file["geoops"].attrs[name]
