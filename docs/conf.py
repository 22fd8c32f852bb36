"""Settings of the documentation: `make docs`."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "_ext")]

from geoops import __version__  # noqa: E402

project = "geoops"
author = "geoops contributors"
copyright = author
release = version = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "geoops_api"]
exclude_patterns = ["_build", "_ext"]
default_role = "code"
html_theme = "furo"
html_title = f"geoops {version}"
html_show_sphinx = False
pygments_style = "friendly"

# Notebooks live in notebooks/, where CI executes them; here they are shown as they are.
nb_execution_mode = "off"
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
shutil.copytree(ROOT / "notebooks", HERE / "notebooks", ignore=shutil.ignore_patterns(".*"))

myst_enable_extensions = ["dollarmath", "colon_fence", "substitution"]
myst_heading_anchors = 3
# A picture exists once docs/make_images.py has drawn it with the packaged model.
PICTURE = "![Truth, prediction and error on a mesh 16 times finer than any in the training set](images/superres.png)"
myst_substitutions = {"picture": PICTURE if (HERE / "images" / "superres.png").is_file() else ""}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False
