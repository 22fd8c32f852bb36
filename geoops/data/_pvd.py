"""Trajectories as a series of VTP files with a list of times, for programs that do not read HDF5."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import final
from xml.sax.saxutils import quoteattr

from jaxtyping import Int
from torch import Tensor

from geoops import io
from geoops.geometry import PointCloud
from geoops.io._atomic import check_writable, replacing
from geoops.physics import Box, Particles

from ._trajectory_write import KEPT


@final
class PVDWriter:
    """Writes frames as `<name>/<name>_<step>.vtp` and, at the end, their list `<name>.pvd`; to be used as a context.

    The files hold v, F and the material, enough to look at but not to go on from. Arguments and errors as for
    `TrajectoryWriter`; `names` and `scene` are not kept.
    """

    def __init__(
        self, path: str | Path, *, box: Box, dt: float, material: Int[Tensor, " particles"], names: Sequence[str], scene: str = ""
    ):
        self.path, self.steps = Path(path), list[int]()
        self._dt, self._material = dt, material
        check_writable(self.path)
        self._folder = self.path.with_suffix("")
        self._folder.mkdir(exist_ok=True)

    def __enter__(self) -> "PVDWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and not (isinstance(error, KEPT) and self.steps):
            return
        entries = (
            f'  <DataSet timestep={quoteattr(repr(step * self._dt))} part="0" file={quoteattr(self._file(step))}/>\n'
            for step in self.steps
        )
        head = '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" byte_order="LittleEndian">\n <Collection>\n'
        with replacing(self.path) as temporary:
            temporary.write_text(f"{head}{''.join(entries)} </Collection>\n</VTKFile>\n", encoding="utf-8")

    def append(self, particles: Particles, step: int) -> None:
        """Adds a frame: the state after `step` steps."""
        now = particles
        fields = {"v": now.v.detach(), "F": now.F.detach(), "material": self._material}
        io.write(self.path.parent / self._file(step), PointCloud(now.x.detach(), fields))
        self.steps.append(step)

    def _file(self, step: int) -> str:
        return f"{self._folder.name}/{self._folder.name}_{step:06d}.vtp"
