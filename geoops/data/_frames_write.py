"""Frames of particles in HDF5, one after the other, in the layout that VTK and ParaView play."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from geoops import __version__
from geoops.io._atomic import replacing

#: Version of the group `geoops`; readers refuse newer ones.
FORMAT = 1
#: Errors after which the frames so far are kept: the motion diverged, or somebody has seen enough.
KEPT = (FloatingPointError, KeyboardInterrupt)
_PACKED = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


class FrameWriter:
    """Writes frames of equally many particles while they are computed; to be used as a context.

    The file is written under a temporary name and moved to `path` at the end. After a `FloatingPointError` (the motion
    diverged) or an interruption from the keyboard the frames so far are kept, after another error nothing is.

    Args:
        path: file to write, usually with the suffix `.vtkhdf`.
        count: particles in each frame.
        dt: time of a step.
        about: attributes of the group `geoops`.
        scene: the scene as YAML text.
        whole: keep nothing after an interruption, either.

    Raises:
        FileNotFoundError, PermissionError, IsADirectoryError: the path cannot be written to.
    """

    def __init__(self, path: str | Path, count: int, dt: float, about: Mapping[str, Any], scene: str, whole: bool):
        self.path, self.steps, self._whole = Path(path), list[int](), whole
        self._count, self._dt = count, dt
        self._moving: list[str] = []
        self._target = replacing(self.path)
        self._file: h5py.File | None = None
        temporary = self._target.__enter__()
        try:
            self._file = h5py.File(temporary, "w")
            self._describe({"dt": dt, **about}, scene)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        keep = error is None or (isinstance(error, KEPT) and bool(self.steps) and not self._whole)
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

    def _add(self, x: Float[Tensor, "particles dim"], moving: Mapping[str, Tensor], fixed: Mapping[str, Tensor], step: int) -> None:
        """Adds a frame of positions and fields; those that stay are stored with the first frame."""
        if x.shape[:-1] != (self._count,):
            raise ValueError(f"{self.path}: expected {self._count} particles in each frame, got {tuple(x.shape[:-1])}")
        if not self.steps:
            self._start(x, moving, fixed)
        root = self._file["VTKHDF"]
        if root["Points"].dtype != _array(x).dtype:
            raise ValueError(f"{self.path}: expected frames of dtype {root['Points'].dtype}, got {x.dtype}")
        _extend(root["Points"], _array(torch.nn.functional.pad(x, (0, 3 - x.shape[1]))))
        for name in self._moving:
            _extend(root[f"PointData/{name}"], _array(moving[name]).reshape(self._count, -1))
        self.steps.append(step)

    def _describe(self, about: Mapping[str, Any], scene: str) -> None:
        own = self._file.create_group("geoops")
        versions = {"geoops": __version__, "torch": str(torch.__version__)}
        for name, value in {"format": FORMAT, **about, **versions}.items():
            own.attrs[name] = value
        own.create_dataset("scene", data=scene, dtype=h5py.string_dtype())

    def _start(self, x: Tensor, moving: Mapping[str, Tensor], fixed: Mapping[str, Tensor]) -> None:
        """Makes the data sets, for which the first frame has the dtypes, and writes what stays the same."""
        n, root = self._count, self._file.create_group("VTKHDF")
        self._moving = list(moving)
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
        for name, value in fixed.items():
            point.create_dataset(name, data=_array(value), **_PACKED)
        fields = [(root, "Points", 3, x), *((point, name, value[:1].numel(), value) for name, value in moving.items())]
        for group, name, width, value in fields:
            dtype = _array(value[:0]).dtype
            group.create_dataset(name, (0, width), dtype, maxshape=(None, width), chunks=(n, width), **_PACKED)

    def _finish(self, error: BaseException | None) -> None:
        """Says where each frame begins (what stays the same is stored once, at 0), and what stopped the motion."""
        file, count, n = self._file, len(self.steps), self._count
        file["geoops/steps"] = np.array(self.steps, np.int64)
        if error is not None:
            file["geoops"].attrs["stopped"] = str(error) or type(error).__name__
        if "VTKHDF" not in file:
            return
        for data in (file["VTKHDF/Points"], *(file[f"VTKHDF/PointData/{name}"] for name in self._moving)):
            data.resize(count * n, 0)  # cuts off a frame that was interrupted
        group, zeros, first = file.create_group("VTKHDF/Steps"), np.zeros(count, np.int64), n * np.arange(count)
        group.attrs["NSteps"] = count
        group["Values"] = np.array(self.steps) * self._dt
        group["NumberOfParts"], group["PartOffsets"], group["PointOffsets"] = zeros + 1, zeros, first
        group["CellOffsets"] = group["ConnectivityIdOffsets"] = np.zeros((count, 4), np.int64)
        for name in file["VTKHDF/PointData"]:
            group[f"PointDataOffsets/{name}"] = first if name in self._moving else zeros


def _extend(data: h5py.Dataset, rows: np.ndarray) -> None:
    first = len(data)
    data.resize(first + len(rows), 0)
    data[first:] = rows


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().contiguous().numpy()
