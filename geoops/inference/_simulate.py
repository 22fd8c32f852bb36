"""`geoops simulate`: a scene in, a trajectory out."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar, final

import torch
from rich.table import Table

from geoops import configs
from geoops.data import PVDWriter, Scene, TrajectoryWriter, read_scene
from geoops.io._atomic import check_writable
from geoops.learning import resolve_law
from geoops.physics import Particles

T = TypeVar("T")

WRITERS: dict[str, type[TrajectoryWriter] | type[PVDWriter]] = {
    ".vtkhdf": TrajectoryWriter,
    ".hdf": TrajectoryWriter,
    ".pvd": PVDWriter,
}


@final
@dataclass(frozen=True)
class SimulationReport:
    """What a simulation did.

    Args:
        path: the file written.
        particles, steps, frames: how many.
        seconds: time that stepping and writing took.
        kinetic: kinetic energy at the start and at the end.
    """

    path: Path
    particles: int
    steps: int
    frames: int
    seconds: float
    kinetic: tuple[float, float]

    @property
    def speed(self) -> float:
        """Particles times steps in a second."""
        return self.particles * self.steps / max(self.seconds, 1e-9)

    def table(self) -> Table:
        """Returns the numbers for a terminal."""
        table = Table(title=str(self.path), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name in ("particles", "steps", "frames"):
            table.add_row(name, f"{getattr(self, name):,}")
        table.add_row("seconds", f"{self.seconds:.2f}")
        table.add_row("particle-steps/s", f"{self.speed:,.0f}")
        table.add_row("kinetic energy", " → ".join(f"{value:.4g}" for value in self.kinetic))
        return table


def simulate(
    scene: str | Path | Scene,
    output: str | Path,
    threads: int | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    progress: bool = True,
) -> SimulationReport:
    """Simulates a scene and writes its trajectory.

    Args:
        scene: a YAML file, or the name of a packaged scene such as jelly (in Python also a `Scene`).
        output: file to write; a name in .vtkhdf gives one file with everything, for `geoops.data.read_trajectory` and
            ParaView, a name in .pvd a series of files to look at.
        threads: threads of torch.
        overwrite: replace the file if there is one.
        device: where it computes, cpu or cuda.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: the scene, a mesh or a learned material of it, or the folder of the output is missing.
        FileExistsError: the output is there, and `overwrite` is not given; the folder for the frames of a series holds
            other files.
        ValueError: the scene is wrong, its time step is unstable, the ending of the output is unknown, or there is no such
            device.
        FloatingPointError: the motion diverged; the output holds the frames before.
    """
    output = Path(output)
    if output.suffix.lower() not in WRITERS:
        raise ValueError(f"{output}: expected a file name in {', '.join(WRITERS)}, got {output.suffix or 'no ending'!r}")
    use_threads(threads)
    place = check_device(device)
    scene = scene if isinstance(scene, Scene) else read_scene(configs.scene(str(scene)))
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; choose another name, or say --overwrite")
    check_writable(output)
    start, material = scene.start()
    start = start.to(place)
    mpm = scene.simulator(material, partial(resolve_law, folder=scene.folder)).to(place)
    mpm.check(start)
    about = {"box": scene.box, "dt": scene.dt, "material": material, "names": scene.names, "scene": scene.yaml()}
    began, last, step = time.perf_counter(), start, 0
    try:
        with torch.no_grad(), WRITERS[output.suffix.lower()](output, **about) as out:
            out.append(start.to("cpu"), 0)
            states = mpm.steps(start, scene.steps, scene.every)
            for last in tracked(states, scene.steps // scene.every) if progress else states:
                step += scene.every
                out.append(last.to("cpu"), step)
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}; {output} holds the frames up to step {step}") from error
    seconds = time.perf_counter() - began
    return SimulationReport(output, len(material), step, len(out.steps), seconds, (_kinetic(start), _kinetic(last)))


def use_threads(count: int | None) -> None:
    """Sets the threads of torch, if a number is given.

    Raises:
        ValueError: it is below 1.
    """
    if count is not None:
        if count < 1:
            raise ValueError(f"threads must be at least 1, got {count}")
        torch.set_num_threads(count)


def check_device(name: str) -> torch.device:
    """Returns the device of a name.

    Raises:
        ValueError: there is no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: expected cpu or cuda, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device: expected cpu or cuda, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device: there is no {name!r} here; torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def _kinetic(particles: Particles) -> float:
    return float((particles.mass.double() * particles.v.double().square().sum(-1)).sum() / 2)


def tracked(states: Iterable[T], count: int) -> Iterator[T]:
    """Shows a progress bar of frames."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield from bar.track(states, total=count, description="frames")
