"""Operators that torch_geometric calls by name in `torch.ops`."""

from collections.abc import Callable

import torch

from .pyg_lib import ops, sampler
from .torch_cluster._random_walk import walk

_WALK = "(Tensor rowptr, Tensor col, Tensor seed, int walk_length, float p, float q)"
_OPERATORS: dict[str, dict[str, Callable]] = {
    "torch_cluster": {f"random_walk{_WALK} -> (Tensor, Tensor)": walk},
    "pyg": {
        f"random_walk{_WALK} -> Tensor": sampler.random_walk,
        "knn(Tensor x, Tensor y, Tensor? ptr_x=None, Tensor? ptr_y=None, int k=1, bool cosine=False, int num_workers=1) "
        "-> Tensor": ops.knn,
        "radius(Tensor x, Tensor y, Tensor? ptr_x=None, Tensor? ptr_y=None, float r=1.0, int max_num_neighbors=32, "
        "int num_workers=1, bool ignore_same_index=False) -> Tensor": ops.radius,
        "nearest(Tensor x, Tensor y, Tensor? ptr_x=None, Tensor? ptr_y=None) -> Tensor": ops.nearest,
        "fps(Tensor src, Tensor ptr, float ratio=0.5, bool random_start=True) -> Tensor": ops.fps,
        "grid_cluster(Tensor pos, Tensor size, Tensor? start=None, Tensor? end=None) -> Tensor": ops.grid_cluster,
        "graclus_cluster(Tensor rowptr, Tensor col, Tensor? weight=None) -> Tensor": ops.graclus_cluster,
    },
}
_libraries: dict[str, torch.library.Library] = {}  # an operator lives as long as its library


def register(namespace: str) -> None:
    """Defines the operators of a namespace, once."""
    if namespace in _libraries:
        return
    library = _libraries[namespace] = torch.library.Library(namespace, "FRAGMENT")
    for schema, function in _OPERATORS[namespace].items():
        library.define(schema)
        library.impl(schema.partition("(")[0], function, "CompositeExplicitAutograd")
