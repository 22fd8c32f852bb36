"""Lets `python -m geoops.cli` stand for the command `geoops`, also in the processes that Lightning starts."""

import sys

from . import main

sys.exit(main())
