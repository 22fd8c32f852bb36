"""Tensors in, tensors out: native kernels with their shape rules and gradients."""

from ._edge_dot import edge_dot as edge_dot
from ._edge_sum import edge_sum as edge_sum
from ._fps import fps as fps
from ._grid_cluster import grid_cluster as grid_cluster
from ._knn import knn as knn
from ._knn import knn_graph as knn_graph
from ._knn import nearest as nearest
from ._library import Info as Info
from ._library import info as info
from ._radius import radius as radius
from ._radius import radius_graph as radius_graph
from ._relative_attention import PAIR_FEATURES as PAIR_FEATURES
from ._relative_attention import pair_features as pair_features
from ._relative_attention import relative_attention as relative_attention
