"""The public names of torch_cluster 1.6.3; the searches are those of `geoops.ops`."""

from ._graclus import graclus_cluster as graclus_cluster
from ._neighbours import knn as knn
from ._neighbours import knn_graph as knn_graph
from ._neighbours import nearest as nearest
from ._neighbours import radius as radius
from ._neighbours import radius_graph as radius_graph
from ._points import fps as fps
from ._points import grid_cluster as grid_cluster
from ._random_walk import random_walk as random_walk
from ._sampler import neighbor_sampler as neighbor_sampler

__version__ = "1.6.3"
