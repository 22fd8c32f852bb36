"""VTK's complaints as exceptions."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

# VTK reports through one window for the whole process.
_LOCK = threading.RLock()


@contextlib.contextmanager
def vtk_errors() -> Iterator[list[str]]:
    """Keeps VTK's messages off the screen; raises the first error as a ValueError at the end. Yields the list of
    errors so far.
    """
    from vtkmodules.vtkCommonCore import VTK_STRING, vtkLogger, vtkStringOutputWindow

    errors: list[str] = []

    def note(_caller: Any, _event: str, text: str | None = None) -> None:
        errors.append((text or "").strip())

    note.CallDataType = VTK_STRING  # type: ignore[attr-defined]
    with _LOCK:
        window = vtkStringOutputWindow()
        window.AddObserver("ErrorEvent", note)
        before = vtkStringOutputWindow.GetInstance()
        verbosity = vtkLogger.GetCurrentVerbosityCutoff()
        vtkStringOutputWindow.SetInstance(window)
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        try:
            yield errors
        finally:
            vtkLogger.SetStderrVerbosity(verbosity)
            vtkStringOutputWindow.SetInstance(before)
    if errors:
        raise ValueError(_short(errors[0]))


def _short(text: str) -> str:
    """VTK's message without its source file and object address."""
    line = " ".join(text.split())
    return line.split("): ", 1)[-1] if "): " in line else line
