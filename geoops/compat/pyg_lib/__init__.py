"""The names of pyg_lib 0.6 through which torch_geometric 2.8 reaches what was in torch_cluster, and no others."""

from . import ops as ops
from . import sampler as sampler

__version__ = "0.6.0"
