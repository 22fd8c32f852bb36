"""Tensors in, tensors out: native kernels with their shape rules and gradients."""

from ._edge_dot import edge_dot as edge_dot
from ._edge_sum import edge_sum as edge_sum
from ._library import Info as Info
from ._library import info as info
