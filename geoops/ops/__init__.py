"""Tensors in, tensors out: native kernels with their shape rules and gradients."""

from ._edge_dot import edge_dot as edge_dot
from ._edge_sum import edge_sum as edge_sum
from ._eigh import eigh as eigh
from ._library import Info as Info
from ._library import info as info
from ._polar import polar as polar
from ._relative_attention import PAIR_FEATURES as PAIR_FEATURES
from ._relative_attention import pair_features as pair_features
from ._relative_attention import relative_attention as relative_attention
from ._singular_value_map import singular_value_map as singular_value_map
from ._svd import svd as svd
