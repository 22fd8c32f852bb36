"""A field that knows where it is, and nothing about the shape: the floor every geometry-aware model must beat."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import Shapes, Sizes
from geoops.layers import mlp
from geoops.models._network import Network


@final
class PointwiseMLP(Network):
    r"""The control $\hat u(x) = \mathrm{MLP}(x, [s(x)], \mu)$ with $s$ the signed distance to the boundary.

    Args:
        sizes: channel counts of the data.
        hidden: width of the hidden layers.
        depth: number of linear layers, at least 2.
        query_sdf: append the signed distance of the query; without it the model sees no geometry at all.
        activation: ``gelu``, ``relu`` or ``silu``.
    """

    uses_nodes = False

    def __init__(self, sizes: Sizes, *, hidden: int = 128, depth: int = 5, query_sdf: bool = True, activation: str = "gelu"):
        super().__init__(sizes)
        if depth < 2:
            raise ValueError(f"depth counts linear layers and must be at least 2, got {depth}")
        self.query_sdf = query_sdf
        features = sizes.dim + query_sdf + sizes.globals
        self.net = mlp([features, *[hidden] * (depth - 1), sizes.outputs], activation)

    def encode(self, shapes: Shapes) -> Float[Tensor, "shapes globals"]:
        """Returns the global parameters: all that this model knows of a shape."""
        return shapes.mu

    def decode(
        self,
        code: Float[Tensor, "shapes globals"],
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""
        parts = [pos, sdf] if self.query_sdf else [pos]
        return self.net(torch.cat([*parts, code[:, None].expand(-1, pos.shape[1], -1)], -1))
