"""Trajectories as a series of VTP files with a list of times, for programs that do not read HDF5."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import final
from xml.sax.saxutils import quoteattr

from jaxtyping import Int
from torch import Tensor

from geoops import io
from geoops.geometry import PointCloud
from geoops.io._atomic import check_writable, scratch_folder
from geoops.physics import Box, Particles

from ._frames_write import KEPT


@final
class PVDWriter:
    """Writes frames as `<name>/<name>_<step>.vtp` and their list `<name>.pvd`; to be used as a context.

    The files hold v, F and the material, enough to look at but not to go on from. They are written under a temporary name and
    moved to their place at the end, where they replace all frames of an older series. Arguments and errors are those of
    `TrajectoryWriter`; `names` and `scene` are not kept.

    Raises:
        FileExistsError: in the place of the folder is something else than frames of an older series.
    """

    def __init__(
        self, path: str | Path, *, box: Box, dt: float, material: Int[Tensor, " particles"], names: Sequence[str], scene: str = ""
    ):
        self.path, self.steps = Path(path), list[int]()
        self._dt, self._material = dt, material
        check_writable(self.path)
        self._folder = self.path.with_suffix("")
        self._check_folder()

    def __enter__(self) -> "PVDWriter":
        self._scratch = scratch_folder(self.path)
        self._temporary = self._scratch.__enter__()
        (self._temporary / self._folder.name).mkdir()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None or (isinstance(error, KEPT) and self.steps):
                self._finish()
        finally:
            self._scratch.__exit__(None, None, None)

    def append(self, particles: Particles, step: int) -> None:
        """Adds a frame: the state after `step` steps."""
        now = particles.to("cpu")
        fields = {"v": now.v.detach(), "F": now.F.detach(), "material": self._material.cpu()}
        io.write(self._temporary / self._file(step), PointCloud(now.x.detach(), fields))
        self.steps.append(step)

    def _finish(self) -> None:
        """Writes the list, and puts it and the frames into the place of an older series."""
        entries = (
            f'  <DataSet timestep={quoteattr(repr(step * self._dt))} part="0" file={quoteattr(self._file(step))}/>\n'
            for step in self.steps
        )
        head = '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">\n <Collection>\n'
        table = self._temporary / self.path.name
        table.write_text(f"{head}{''.join(entries)} </Collection>\n</VTKFile>\n", encoding="utf-8")
        self._check_folder()
        if self._folder.exists():
            os.replace(self._folder, self._temporary / f"{self._folder.name}.old")
        os.replace(self._temporary / self._folder.name, self._folder)
        os.replace(table, self.path)

    def _check_folder(self) -> None:
        """Refuses to replace what this writer did not write."""
        folder, own = self._folder, re.compile(rf"{re.escape(self._folder.name)}_[0-9]+\.vtp")
        if folder.is_dir():
            foreign = sorted(p.name for p in folder.iterdir() if not (own.fullmatch(p.name) and p.is_file()))
            found = f"holds {foreign[0]!r}, which is no frame of {self.path.name}" if foreign else ""
        else:
            found = "is no folder" if folder.exists() else ""
        if found:
            raise FileExistsError(f"{folder}, the folder for the frames of {self.path}, exists and {found}; choose another name")

    def _file(self, step: int) -> str:
        return f"{self._folder.name}/{self._folder.name}_{step:06d}.vtp"
