"""Files to meshes and back, one module for each format."""

from ._files import formats as formats
from ._files import read as read
from ._files import write as write
from ._format import Format as Format
