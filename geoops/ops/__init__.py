"""Tensors in, tensors out: native kernels with their shape rules and gradients."""

from ._edge_attention import edge_attention as edge_attention
from ._edge_dot import edge_dot as edge_dot
from ._edge_sum import edge_sum as edge_sum
from ._eigh import eigh as eigh
from ._library import Info as Info
from ._library import info as info
from ._polar import polar as polar
from ._relative_attention import PAIR_FEATURES as PAIR_FEATURES
from ._relative_attention import pair_features as pair_features
from ._relative_attention import relative_attention as relative_attention
from ._scatter import scatter as scatter
from ._scatter import scatter_std as scatter_std
from ._segment import gather_coo as gather_coo
from ._segment import gather_csr as gather_csr
from ._segment import segment_coo as segment_coo
from ._segment import segment_csr as segment_csr
from ._softmax import scatter_log_softmax as scatter_log_softmax
from ._softmax import scatter_logsumexp as scatter_logsumexp
from ._softmax import scatter_softmax as scatter_softmax
from ._singular_value_map import singular_value_map as singular_value_map
from ._svd import svd as svd
