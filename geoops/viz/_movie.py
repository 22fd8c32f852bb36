"""Frames as moving pictures: GIF and MP4."""

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from geoops.viz._film import Film


def require_video_writer() -> Any:
    """Returns the package that writes MP4.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "MP4 needs imageio-ffmpeg; run `pip install geoops[viz-video]`, or write a .gif or .html"
        ) from error
    return imageio_ffmpeg


def gif_of(film: Film, order: Iterable[int], count: int, fps: float) -> bytes:
    """Returns an endless GIF; all frames share one palette, so that colours do not flicker."""
    from PIL import Image

    few = np.concatenate([film.image(i).reshape(-1, 3) for i in sorted({0, count // 2, count - 1})])
    palette = _palette(np.unique(few, axis=0))
    pictures = [Image.fromarray(film.image(i)).quantize(palette=palette, dither=Image.Dither.NONE) for i in order]
    stream = io.BytesIO()
    # GIF counts hundredths of a second, and browsers slow down what is faster than 2 of them
    duration = max(20, 10 * round(100 / fps))
    pictures[0].save(stream, "gif", save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return stream.getvalue()


def mp4_of(film: Film, order: Iterable[int], fps: float) -> bytes:
    """Returns an MP4 in H.264, which every browser shows."""
    writer = require_video_writer()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        width, height = film.size
        # the colours of a video come in blocks of two by two
        wider, higher = width % 2, height % 2
        size = (width + wider, height + higher)
        video = writer.write_frames(str(path), size, fps=fps, quality=8, macro_block_size=2, ffmpeg_log_level="error")
        video.send(None)
        try:
            for i in order:
                video.send(np.pad(film.image(i), ((0, higher), (0, wider), (0, 0)), mode="edge"))
        finally:
            video.close()
        return path.read_bytes()


def _palette(colours: UInt8[np.ndarray, "colours 3"]) -> Any:
    """Returns 256 colours near those given, as a picture; each colour counts once, however often it is seen."""
    from PIL import Image

    # white is the background and must stay what it is, so nothing near it may be taken instead
    colours = colours[colours.min(1) < 245]
    chosen = Image.fromarray(colours[None]).quantize(255, dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([255, 255, 255, *chosen[: 3 * 255]])
    return palette
