"""Off-screen rendering without an X server: choose a back end that works, or say which package is missing."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_WINDOW = "VTK_DEFAULT_OPENGL_WINDOW"
_HINT = (
    "pictures need OpenGL and none was found: no working EGL device, no OSMesa and no X server (DISPLAY is not set). "
    "On Debian or Ubuntu run `apt-get install libegl1 libegl-mesa0 libgl1` (or `libosmesa6`) and try again."
)


def _egl_devices() -> int:
    """Counts the devices that EGL offers, which is what VTK asks before it opens an EGL window."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
        egl.eglGetProcAddress.restype = ctypes.c_void_p
        address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    except (OSError, AttributeError):
        return 0
    if not address:
        return 0
    query = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))(address)
    count = ctypes.c_int(0)
    return count.value if query(0, None, ctypes.byref(count)) else 0


def _has_osmesa() -> bool:
    for name in ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"):
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return True
    return False


def offscreen_window() -> str | None:
    """Returns the VTK window class to draw off-screen with; None leaves the choice to VTK.

    Raises:
        RuntimeError: there is no way to draw here; VTK itself would end the process without a message.
    """
    if not sys.platform.startswith("linux") or os.environ.get(_WINDOW):
        return None
    if _egl_devices():
        return "vtkEGLRenderWindow"
    if _has_osmesa():
        return "vtkOSOpenGLRenderWindow"
    if os.environ.get("DISPLAY"):
        return None
    raise RuntimeError(_HINT)


@contextmanager
def offscreen() -> Iterator[None]:
    """Within this context new VTK windows are drawn off-screen; the environment is put back afterwards."""
    window = offscreen_window()
    if window is None:
        yield
        return
    os.environ[_WINDOW] = window
    try:
        yield
    finally:
        os.environ.pop(_WINDOW, None)


def has_display() -> bool:
    """Tells whether an interactive window can be opened."""
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True
