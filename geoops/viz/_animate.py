"""Simulations in motion, side by side."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from geoops.physics import Motion, Trajectory
from geoops.viz._animation_page import animation_page
from geoops.viz._camera import axes_of
from geoops.viz._files import ending, write
from geoops.viz._film import film_of
from geoops.viz._motion import Field, Moving, show_of
from geoops.viz._movie import gif_of, mp4_of, require_video_writer


def animate(
    trajectories: Moving | Mapping[str, Moving],
    path: str | os.PathLike,
    *,
    field: Field = "material",
    label: str | None = None,
    frames: int = 100,
    fps: float = 20.0,
    view: str | None = None,
    cmap: str = "viridis",
    clip: float = 0.0,
    size: tuple[int, int] | None = None,
    progress: bool = False,
) -> Path:
    r"""Draws the particles of one or several simulations side by side, in motion.

    All are seen from the same place, share one scale of colours, and are shown at the times that all have.

    Args:
        trajectories: one, or several by their captions, of states (`Trajectory`) or positions (`Motion`). Errors are those against
            the first.
        path: file to write. A .gif or .mp4 plays; an .html page has a slider for the time, turns and zooms, and needs neither
            server nor network.
        field: what the colours tell: `material`; `error`, the distance from where the particle is in the first trajectory;
            `speed`, of motions from differences; `det_F`, the change of volume, and `equivalent_strain`,
            $\sqrt{2/3}\,|\mathrm{dev}\,\ln\sigma|$ with the singular values of F, of trajectories only; or a function that makes
            a number for each frame and particle of a trajectory or motion, for example stresses.
        label: text at the colour bar; names the field if not given.
        frames: most frames to show, evenly chosen.
        fps: frames per second.
        view: `xy`, `xz`, `yz`, `iso` with the third axis up or `iso_y` with the second; chosen by dimension and gravity if
            not given.
        cmap: matplotlib colour map; materials have their own colours.
        clip: fraction of the values beyond each end of the colour bar.
        size: width and height in pixels; not for pages.
        progress: show a progress bar.

    Returns:
        Where the file is.

    Raises:
        ModuleNotFoundError: MP4 is asked for and `imageio-ffmpeg` is not installed.
        RuntimeError: pictures cannot be drawn here; the message names the missing package.
        ValueError: there is no trajectory or none of their times agree, particles do not fit, positions are not finite, a
            motion lacks what the field needs, or the field, the view or the ending of the file is unknown.
    """
    kind = ending(path, ".gif", ".mp4", ".html")
    if not fps > 0:
        raise ValueError(f"animate: expected fps > 0, got {fps}")
    if isinstance(trajectories, Trajectory | Motion):
        trajectories = {"": trajectories}
    show = show_of(trajectories, field, frames, label, clip)
    view = view or _default_view(next(iter(trajectories.values())))
    axes_of(view)  # before anything is drawn
    if kind == ".html":
        return write(path, animation_page(show, view, cmap, fps).encode())
    if kind == ".mp4":
        require_video_writer()
    with film_of(show, view, cmap, size) as film:
        count = len(show.times)
        order = _tracked(count, Path(path).name) if progress else range(count)
        return write(path, gif_of(film, order, count, fps) if kind == ".gif" else mp4_of(film, order, fps))


def _default_view(trajectory: Moving) -> str:
    gravity = [abs(g) for g in trajectory.box.gravity]
    if len(gravity) == 2:
        return "xy"
    return "iso" if gravity[2] > gravity[1] else "iso_y"


def _tracked(count: int, name: str) -> Iterable[int]:
    from rich.progress import track

    return track(range(count), description=f"drawing {name}")
