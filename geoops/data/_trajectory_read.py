"""Trajectories back from HDF5."""

import json
from pathlib import Path

import h5py
import numpy as np
import torch

from geoops.physics import Box, Particles, Trajectory

from ._scene import Scene, parse_scene
from ._trajectory_write import FIXED, FORMAT, MOVING


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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path} is no HDF5 file; expected a trajectory of geoops simulate")
    try:
        with h5py.File(path, "r") as file:
            found = _read(file)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or damaged: {' '.join(str(error).split())}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: {' '.join(str(error.args[0] if error.args else error).split())}") from error
    if scene is not None and (not found.scene or parse_scene(found.scene, f"scene of {path}") != scene):
        raise ValueError(f"{path} is a trajectory of another scene; make it again with geoops simulate")
    return found


def _read(file: h5py.File) -> Trajectory:
    if "geoops" not in file:
        raise ValueError("an HDF5 file, but not a trajectory of geoops; make one with geoops simulate")
    about = {name: _attribute(file, name) for name in ("format", "dt", "dim", "box", "names")}
    if int(about["format"]) > FORMAT:
        raise ValueError(f"written by a newer geoops (format {about['format']}, this one reads {FORMAT}); update geoops")
    box = {key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(about["box"]).items()}
    steps, material = _numbers(file, "geoops/steps"), _numbers(file, "VTKHDF/PointData/material")
    frames, n, d = len(steps), len(material), int(about["dim"])
    x = _numbers(file, "VTKHDF/Points")
    fields = {name: _numbers(file, f"VTKHDF/PointData/{name}") for name in (*MOVING, *FIXED)}
    offsets = _numbers(file, "VTKHDF/Steps/PointOffsets")
    if not np.array_equal(offsets, n * np.arange(frames)) or len(x) != frames * n:
        raise ValueError(f"frames of different sizes: expected {frames} frames of {n} particles, got {len(x)} points")
    for name, value in fields.items():
        shape = (n,) if name in FIXED else (frames * n, d ** MOVING[name])
        if value.shape != shape or value.dtype != x.dtype:
            raise ValueError(f"expected {name} of shape {shape} and dtype {x.dtype}, got {value.shape} and {value.dtype}")
    moving = {name: torch.from_numpy(fields[name]).reshape(frames, n, *(d,) * axes) for name, axes in MOVING.items()}
    fixed = {name: torch.from_numpy(fields[name]) for name in FIXED}
    return Trajectory(
        frames=Particles(torch.from_numpy(x).reshape(frames, n, 3)[..., :d].contiguous(), **moving, **fixed),
        steps=torch.from_numpy(steps),
        box=Box(**box),
        dt=float(about["dt"]),
        material=torch.from_numpy(material),
        names=tuple(str(name) for name in json.loads(about["names"])),
        scene=_dataset(file, "geoops/scene").asstr()[()],
    )


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
