"""The names of torch_scatter and torch_cluster over `geoops.ops`, so that code which imports them runs without them.

The guide "In place of torch-scatter and torch-cluster" lists what is different.
"""

from . import torch_cluster as torch_cluster
from . import torch_scatter as torch_scatter
from ._install import install as install
