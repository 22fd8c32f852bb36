"""Finding a way to draw without a screen."""

import os
import subprocess
import sys

import pytest

from geoops.viz import _headless

NAME = "VTK_DEFAULT_OPENGL_WINDOW"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a window system")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@linux
def test_egl_comes_first(monkeypatch):
    monkeypatch.setattr(_headless, "_egl_devices", lambda: 1)
    assert _headless.offscreen_window() == "vtkEGLRenderWindow"


@linux
def test_osmesa_comes_next(monkeypatch):
    monkeypatch.setattr(_headless, "_egl_devices", lambda: 0)
    monkeypatch.setattr(_headless, "_has_osmesa", lambda: True)
    assert _headless.offscreen_window() == "vtkOSOpenGLRenderWindow"


@linux
def test_a_display_will_do(monkeypatch):
    monkeypatch.setattr(_headless, "_egl_devices", lambda: 0)
    monkeypatch.setattr(_headless, "_has_osmesa", lambda: False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert _headless.offscreen_window() is None
    assert _headless.has_display()


@linux
def test_without_any_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setattr(_headless, "_egl_devices", lambda: 0)
    monkeypatch.setattr(_headless, "_has_osmesa", lambda: False)
    with pytest.raises(RuntimeError, match=r"libegl1.*libosmesa6"):
        _headless.offscreen_window()
    assert not _headless.has_display()


@linux
def test_libraries_that_are_absent_count_as_none(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(_headless.ctypes, "CDLL", absent)
    assert _headless._egl_devices() == 0
    assert not _headless._has_osmesa()


def test_the_choice_of_the_user_stays(monkeypatch):
    monkeypatch.setenv(NAME, "mine")
    with _headless.offscreen():
        assert os.environ[NAME] == "mine"
    assert os.environ[NAME] == "mine"


@linux
def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setattr(_headless, "_egl_devices", lambda: 1)
    with _headless.offscreen():
        assert os.environ[NAME] == "vtkEGLRenderWindow"
    assert NAME not in os.environ


def test_importing_viz_loads_no_plotting_library():
    libraries = ("pyvista", "vtkmodules", "matplotlib", "PIL")
    code = f"import sys, geoops.viz; print([m for m in {libraries} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
