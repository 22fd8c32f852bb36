"""`geoops animate`: trajectory files in motion."""

from pathlib import Path
from typing import Literal

from geoops import viz
from geoops.data import read_motion, read_trajectory
from geoops.io._atomic import check_writable
from geoops.physics import Motion, Trajectory

ENDINGS = (".gif", ".mp4", ".html")


def animate(
    trajectories: list[str | Path] | str | Path,
    output: str | Path,
    field: Literal["material", "error", "speed", "det_F", "equivalent_strain"] = "material",
    titles: list[str] | None = None,
    frames: int = 100,
    fps: float = 20.0,
    look_from: str | None = None,
    cmap: str = "viridis",
    clip: float = 0.0,
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Draws trajectory files side by side, in motion.

    Args:
        trajectories: files in .vtkhdf that `geoops simulate` or `geoops rollout` wrote, the truth first.
        output: file to write; a .gif or .mp4 plays, an .html page turns and zooms and has a slider for the time.
        field: what the colours tell: material, error (distance from where the particle is in the first file), speed, det_F
            or equivalent_strain.
        titles: captions, one for each file; names of the files if not given.
        frames: most frames to show, evenly chosen.
        fps: frames per second.
        look_from: xy, xz, yz, iso with the third axis up or iso_y with the second.
        cmap: matplotlib colour map; materials have their own colours.
        clip: fraction of the values beyond each end of the colour bar.
        size: width and height in pixels; not for pages.
        overwrite: replace the file if there is one.
        progress: show a progress bar.

    Returns:
        The file written.

    Raises:
        FileExistsError: the output is there, and `overwrite` is not given.
        FileNotFoundError: a file, or the folder of the output, is missing.
        ModuleNotFoundError: MP4 is asked for and `imageio-ffmpeg` is not installed.
        RuntimeError: pictures cannot be drawn here; the message names the missing package.
        ValueError: a file is no trajectory, the files have no times or particles in common, or an option does not fit.
    """
    files = [Path(f) for f in (trajectories if isinstance(trajectories, list) else [trajectories])]
    output = Path(output)
    if output.suffix.lower() not in ENDINGS:
        raise ValueError(f"{output}: expected a file name in {', '.join(ENDINGS)}, got {output.suffix or 'no ending'!r}")
    if titles is not None and len(titles) != len(files):
        raise ValueError(f"titles: expected one for each of {len(files)} files, got {len(titles)}")
    captions = titles or ([""] if len(files) == 1 else [f.stem for f in files])
    if twice := next((name for name in captions if captions.count(name) > 1), None):
        raise ValueError(f"several trajectories have the caption {twice!r}; give each its own with titles")
    check_writable(output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; choose another name, or say --overwrite")
    return viz.animate(
        {caption: _read(file) for caption, file in zip(captions, files, strict=True)},
        output,
        field=field,
        frames=frames,
        fps=fps,
        view=look_from,
        cmap=cmap,
        clip=clip,
        size=size,
        progress=progress,
    )


def _read(path: Path) -> Trajectory | Motion:
    try:
        return read_trajectory(path)
    except ValueError as error:
        if "holds positions only" not in str(error):
            raise
    return read_motion(path)
