"""Trajectories in HDF5, frame by frame, in the layout that VTK and ParaView play."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import final

import h5py
import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from geoops import __version__
from geoops.io._atomic import replacing
from geoops.physics import Box, Particles, Trajectory

#: Version of the group `geoops`; readers refuse newer ones.
FORMAT = 1
#: Fields that change, with the number of axes of a value, and those that stay.
MOVING = {"v": 1, "C": 2, "F": 2}
FIXED = ("mass", "volume")
#: Errors after which the frames so far are kept: the motion diverged, or somebody has seen enough.
KEPT = (FloatingPointError, KeyboardInterrupt)
_PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


@final
class TrajectoryWriter:
    """Writes a trajectory to HDF5 while it is computed; to be used as a context.

    The file is written under a temporary name and moved to `path` at the end. After a `FloatingPointError` (the motion
    diverged) or an interruption from the keyboard the frames so far are kept, after another error nothing is.

    Args:
        path: file to write, usually with the suffix `.vtkhdf`.
        box: box of the scene.
        dt: time step.
        material: for each particle a place in `names`.
        names: names of the materials.
        scene: the scene as YAML text.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """

    def __init__(
        self, path: str | Path, *, box: Box, dt: float, material: Int[Tensor, " particles"], names: Sequence[str], scene: str = ""
    ):
        self.path, self.steps = Path(path), list[int]()
        self._material, self._dt = material, dt
        self._target = replacing(self.path)
        self._file: h5py.File | None = None
        temporary = self._target.__enter__()
        try:
            self._file = h5py.File(temporary, "w")
            self._describe(box, names, scene)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __enter__(self) -> "TrajectoryWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        keep = error is None or (isinstance(error, KEPT) and bool(self.steps))
        try:
            if self._file is not None:
                with self._file:
                    self._finish(error)
        except BaseException:
            keep = False
            raise
        finally:
            # an error makes `replacing` remove the file
            failure = None if keep else error or RuntimeError()
            self._target.__exit__(None if failure is None else type(failure), failure, trace)

    def append(self, particles: Particles, step: int) -> None:
        """Adds a frame: the state after `step` steps.

        Raises:
            ValueError: another number of particles, or another dtype, than in the frames before.
        """
        n = len(self._material)
        if particles.x.shape[:-1] != (n,):
            raise ValueError(f"{self.path}: expected {n} particles in each frame, got {tuple(particles.x.shape[:-1])}")
        if not self.steps:
            self._start(particles)
        root = self._file["VTKHDF"]
        if root["Points"].dtype != _array(particles.x).dtype:
            raise ValueError(f"{self.path}: expected frames of dtype {root['Points'].dtype}, got {particles.x.dtype}")
        x = particles.x
        _extend(root["Points"], _array(torch.nn.functional.pad(x, (0, 3 - x.shape[1]))))
        for name in MOVING:
            _extend(root[f"PointData/{name}"], _array(getattr(particles, name)).reshape(n, -1))
        self.steps.append(step)

    def _describe(self, box: Box, names: Sequence[str], scene: str) -> None:
        own = self._file.create_group("geoops")
        versions = {"geoops": __version__, "torch": str(torch.__version__)}
        about = {"dt": self._dt, "dim": len(box.cells), "box": json.dumps(asdict(box)), "names": json.dumps(list(names))}
        for name, value in {"format": FORMAT, **about, **versions}.items():
            own.attrs[name] = value
        own.create_dataset("scene", data=scene, dtype=h5py.string_dtype())

    def _start(self, particles: Particles) -> None:
        """Makes the data sets, for which the first frame has the dtypes, and writes what stays the same."""
        n, root = len(self._material), self._file.create_group("VTKHDF")
        root.attrs["Version"] = np.array([2, 0], np.int64)
        root.attrs.create("Type", b"PolyData", dtype=h5py.string_dtype("ascii", len(b"PolyData")))
        root["NumberOfPoints"] = np.array([n], np.int64)
        for name in ("Vertices", "Lines", "Polygons", "Strips"):
            count = n if name == "Vertices" else 0
            group = root.create_group(name)
            group["NumberOfCells"] = group["NumberOfConnectivityIds"] = np.array([count], np.int64)
            group.create_dataset("Offsets", data=np.arange(count + 1), **_PACKED)
            group.create_dataset("Connectivity", data=np.arange(count), **(_PACKED if count else {}))
        point = root.create_group("PointData")
        fixed = {"material": self._material, **{name: getattr(particles, name) for name in FIXED}}
        for name, value in fixed.items():
            point.create_dataset(name, data=_array(value), **_PACKED)
        for group, name, width in ((root, "Points", 3), *((point, name, particles.x.shape[1] ** k) for name, k in MOVING.items())):
            dtype = _array(particles.x[:0]).dtype
            group.create_dataset(name, (0, width), dtype, maxshape=(None, width), chunks=(n, width), **_PACKED)

    def _finish(self, error: BaseException | None) -> None:
        """Says where each frame begins (what stays the same is stored once, at 0), and what stopped the motion."""
        file, count, n = self._file, len(self.steps), len(self._material)
        file["geoops/steps"] = np.array(self.steps, np.int64)
        if error is not None:
            file["geoops"].attrs["stopped"] = str(error) or type(error).__name__
        if "VTKHDF" not in file:
            return
        for data in (file["VTKHDF/Points"], *(file[f"VTKHDF/PointData/{name}"] for name in MOVING)):
            data.resize(count * n, 0)  # cuts off a frame that was interrupted
        group, zeros, first = file.create_group("VTKHDF/Steps"), np.zeros(count, np.int64), n * np.arange(count)
        group.attrs["NSteps"] = count
        group["Values"] = np.array(self.steps) * self._dt
        group["NumberOfParts"], group["PartOffsets"], group["PointOffsets"] = zeros + 1, zeros, first
        group["CellOffsets"] = group["ConnectivityIdOffsets"] = np.zeros((count, 4), np.int64)
        for name in file["VTKHDF/PointData"]:
            group[f"PointDataOffsets/{name}"] = first if name in MOVING else zeros


def write_trajectory(path: str | Path, trajectory: Trajectory) -> None:
    """Writes a trajectory to HDF5, see `TrajectoryWriter`; the file appears whole or not at all.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """
    about = {name: getattr(trajectory, name) for name in ("box", "dt", "material", "names", "scene")}
    with TrajectoryWriter(path, **about) as out:
        for i, step in enumerate(trajectory.steps.tolist()):
            out.append(trajectory.frame(i), step)


def _extend(data: h5py.Dataset, rows: np.ndarray) -> None:
    first = len(data)
    data.resize(first + len(rows), 0)
    data[first:] = rows


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().contiguous().numpy()
