"""Learning on geometry: meshes and point clouds in, fields out.

Everything lives in sub-packages (`geoops.geometry`, `geoops.io`, `geoops.data`, `geoops.models`, ...). The three
functions that most scripts begin with are here too, and are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from .inference import load as load
    from .io import read as read
    from .io import write as write

_LAZY = {"load": "geoops.inference", "read": "geoops.io", "write": "geoops.io"}

__all__ = ["__version__", "load", "read", "write"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'geoops' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
