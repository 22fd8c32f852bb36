"""Random walks; neighbourhoods are not sampled here."""

from typing import NoReturn

from torch import Tensor

from geoops.compat.torch_cluster._random_walk import walk


def random_walk(rowptr: Tensor, col: Tensor, seed: Tensor, walk_length: int, p: float, q: float) -> Tensor:
    """Returns the nodes of walks as `geoops.compat.torch_cluster.random_walk` does, on a graph given by pointers."""
    return walk(rowptr.long(), col.long(), seed.long(), walk_length, p, q)[0].to(seed.dtype)


def neighbor_sample(*args, **kwargs) -> NoReturn:
    """Raises ImportError; torch_geometric looks at the parameters of this function, which pyg_lib has."""
    raise ImportError("neighbor_sample: geoops.compat has no sampling of neighbourhoods; install pyg-lib for it")
