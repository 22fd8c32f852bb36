"""PointNet: a maximum over the nodes is the code of the shape."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import Shapes, Sizes
from geoops.layers import mlp
from geoops.models._network import Network


@final
class PointNet(Network):
    r"""A global code by a maximum over nodes (Qi et al., arXiv 1612.00593), read by a point-wise decoder.

    $$g = \max_m \phi(X_m, s_m, x_m, \mu), \qquad \hat u(x) = \psi(\theta(x, s(x), \mu), g)$$

    As in the segmentation network of the paper the decoder sees local features $\theta$ and the global code.
    The order of the nodes and their number beyond the sampling of the shape do not matter.

    Args:
        sizes: channel counts of the data.
        hidden: width of the local features and of the decoder.
        code: channels of the global code.
        depth: linear layers of the encoder, and of the decoder, at least 2.
        query_sdf: append the signed distance to positions, at nodes and at queries.
        node_inputs: let the encoder see the input fields at the nodes.
        activation: ``gelu``, ``relu`` or ``silu``.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        hidden: int = 128,
        code: int = 512,
        depth: int = 4,
        query_sdf: bool = True,
        node_inputs: bool = True,
        activation: str = "gelu",
    ):
        super().__init__(sizes)
        if depth < 2:
            raise ValueError(f"depth counts linear layers and must be at least 2, got {depth}")
        self.query_sdf = query_sdf
        self.node_inputs = node_inputs
        local = sizes.dim + query_sdf + sizes.globals
        inputs = local + (sizes.inputs if node_inputs else 0)
        self.encoder = mlp([inputs, *[hidden] * (depth - 1), code], activation)
        self.local = mlp([local, hidden, hidden], activation)
        self.decoder = mlp([hidden + code, *[hidden] * (depth - 1), sizes.outputs], activation)

    def encode(self, shapes: Shapes) -> tuple[Float[Tensor, "shapes code"], Float[Tensor, "shapes globals"]]:
        """Returns the maximum over the real nodes, and the global parameters."""
        extra = [shapes.x] if self.node_inputs else []
        h = self.encoder(torch.cat([self._local(shapes.pos, shapes.sdf, shapes.mu), *extra], -1))
        lowest = torch.finfo(h.dtype).min
        return h.masked_fill(~shapes.mask[..., None], lowest).amax(1), shapes.mu

    def decode(
        self,
        code: tuple[Float[Tensor, "shapes code"], Float[Tensor, "shapes globals"]],
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""
        shape, mu = code
        h = self.local(self._local(pos, sdf, mu))
        # The code multiplies its own columns of the first layer, once per shape instead of once per query.
        first = self.decoder[0]
        weight_local, weight_code = first.weight.split([h.shape[-1], shape.shape[-1]], 1)
        h = h @ weight_local.T + (shape @ weight_code.T + first.bias)[:, None]
        return self.decoder[1:](h)

    def _local(self, pos: Tensor, sdf: Tensor, mu: Tensor) -> Tensor:
        parts = [pos, sdf] if self.query_sdf else [pos]
        return torch.cat([*parts, mu[:, None].expand(-1, pos.shape[1], -1)], -1)
