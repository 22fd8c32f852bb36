"""The default network: latents on the boundary, found in one pass and read by relative attention."""

import math
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes
from geoops.layers import PairGeometry, RelativeBlock, Rotations
from geoops.models._network import Network

#: Width and size of the feature that tells points of the boundary from others, in normalised units.
SKIN, SKIN_GAIN = 4e-3, 4.0


class Code(NamedTuple):
    """Latents of B shapes: where they are, which exist, and the keys and values that each decoder layer reads."""

    centre: Float[Tensor, "shapes dim"]
    pos: Float[Tensor, "shapes latents dim"]
    normal: Float[Tensor, "shapes latents dim"]
    mask: Bool[Tensor, "shapes latents"]
    keys: Float[Tensor, "shapes layers heads latents c"]
    values: Float[Tensor, "shapes layers heads latents c"]


@final
class OneShotENF(Network):
    r"""An equivariant neural field whose latents sit on the boundary and come from one forward pass.

    The boundary is all that a geometry is: its pieces are tokens (normal, boundary fields; the measure is a weight).
    Latents start at a farthest-point sample of the pieces, read all pieces once, and mix among themselves; the field at a
    query is read from the latents. Every attention sees positions only as differences (`geoops.layers.RelativeAttention`),
    so the map is invariant to translations:

    $$\hat u(x + t;\ \text{shape} + t) = \hat u(x;\ \text{shape}).$$

    The structure is that of a boundary integral: what is non-linear in the geometry happens on the boundary, and the value
    inside is a sum over the boundary with kernels of the difference. It replaces the inner-loop encoder of enf2enf (arXiv
    2504.18591).

    Args:
        sizes: channel counts of the data.
        hidden: channels of tokens and latents.
        latents: number of latents.
        blocks: layers of self-attention among latents.
        decoder_hidden: channels of a query.
        decoder_layers: cross-attentions from a query to the latents.
        heads: attention heads.
        freq_std: standard deviation of the initial frequencies, in radians per unit (domains span about [-1, 1]).
        sdf_features: Fourier features of the distance to the boundary that a query starts from.
        sdf_floor: distance at which its logarithm levels off; small for thin boundary layers that the meshes resolve.
        ratio: width of the feed-forward networks over the channels.
    """

    uses_nodes = False
    boundary_phases = 16

    def __init__(
        self,
        sizes: Sizes,
        *,
        hidden: int = 128,
        latents: int = 64,
        blocks: int = 5,
        decoder_hidden: int = 96,
        decoder_layers: int = 3,
        heads: int = 4,
        freq_std: float = 2.0,
        sdf_features: int = 16,
        sdf_floor: float = 1e-3,
        ratio: int = 2,
    ):
        super().__init__(sizes)
        for name in ("latents", "decoder_layers", "heads"):
            if locals()[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {locals()[name]}")
        if not sdf_floor > 0:
            raise ValueError(f"sdf_floor must be positive, got {sdf_floor}")
        self.latents, self.sdf_floor = latents, sdf_floor
        self.embed = nn.Sequential(
            nn.Linear(sizes.dim + sizes.inputs + sizes.globals, hidden), nn.GELU("tanh"), nn.Linear(hidden, hidden)
        )
        self.rotations = Rotations(sizes.dim, heads, hidden // heads, freq_std)
        self.gather = RelativeBlock(hidden, hidden, heads, ratio)
        self.norm_tokens = nn.LayerNorm(hidden)
        self.blocks = nn.ModuleList(RelativeBlock(hidden, None, heads, ratio) for _ in range(blocks))
        self.norm_latents = nn.LayerNorm(hidden)
        self.query_rotations = Rotations(sizes.dim, heads, decoder_hidden // heads, freq_std)
        self.register_buffer("sdf_freq", 4 * math.pi * torch.randn(1, sdf_features))
        self.start = nn.Sequential(
            nn.Linear(2 * sdf_features + 3, decoder_hidden), nn.GELU("tanh"), nn.Linear(decoder_hidden, decoder_hidden)
        )
        self.readers = nn.ModuleList(RelativeBlock(decoder_hidden, hidden, heads, ratio) for _ in range(decoder_layers))
        self.head = nn.Sequential(
            nn.LayerNorm(decoder_hidden),
            nn.Linear(decoder_hidden, decoder_hidden),
            nn.GELU("tanh"),
            nn.Linear(decoder_hidden, sizes.outputs),
        )

    def encode(self, shapes: Shapes) -> Code:
        """Returns the latents of each shape, as the decoder reads them."""
        mask, normal = shapes.token_mask, shapes.token_normal
        size = shapes.token_size.masked_fill(~mask[..., None], 0.0)
        # Positions are taken from the centroid of the boundary, so that rounding does not depend on where the shape lies.
        centre = (shapes.token_pos * size).sum(1) / size.sum(1).clamp_min(torch.finfo(size.dtype).tiny)
        pos = (shapes.token_pos - centre[:, None]).masked_fill(~mask[..., None], 0.0)
        # Pieces enter sums with their measure and have no other size, so that finer ones give nearly the same code.
        weight = (shapes.token_size[..., 0] + 1e-9).log() + 3
        mu = shapes.mu[:, None].expand(-1, pos.shape[1], -1)
        tokens = self.embed(torch.cat([normal, shapes.token_x, mu], -1))

        chosen, exists = spread(pos, mask, self.latents)
        own_pos, own_normal, own = _rows(pos, chosen), _rows(normal, chosen), _rows(tokens, chosen)
        at_own, at_token = self.rotations(own_pos), self.rotations(pos)
        latents = self.gather(own, self.norm_tokens(tokens), at_own, at_token, PairGeometry(own_pos, pos, normal, weight, mask))
        among = PairGeometry(own_pos, own_pos, own_normal, None, exists)
        for block in self.blocks:
            latents = block(latents, None, at_own, at_own, among)
        latents = self.norm_latents(latents)

        at_own = self.query_rotations(own_pos)
        prepared = [reader.attention.rotated_tokens(latents, at_own) for reader in self.readers]
        keys, values = (torch.stack([pair[i] for pair in prepared], 1) for i in (0, 1))
        return Code(centre, own_pos, own_normal, exists, keys, values)

    def decode(
        self,
        code: Code,
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""
        waves = sdf @ self.sdf_freq
        near = (sdf.abs() + self.sdf_floor).log()
        # Says that a point is on the boundary. Nodes there often differ from their surroundings (one-sided recovery of
        # stresses); without it a network bends the other features into a step, and not where one would want it.
        skin = SKIN_GAIN * (-(sdf / SKIN).square()).exp()
        h = self.start(torch.cat([waves.sin(), waves.cos(), sdf, near, skin], -1))
        pos = pos - code.centre[:, None]
        at_query = self.query_rotations(pos)
        pairs = PairGeometry(pos, code.pos, code.normal, None, code.mask)
        for layer, reader in enumerate(self.readers):
            h = reader.read(h, (code.keys[:, layer], code.values[:, layer]), at_query, pairs)
        return self.head(h)


@torch.no_grad()
def spread(
    pos: Float[Tensor, "shapes tokens dim"], mask: Bool[Tensor, "shapes tokens"], count: int
) -> tuple[Int[Tensor, "shapes count"], Bool[Tensor, "shapes count"]]:
    """Returns a farthest-point sample of each shape's tokens, and which of its members are not repetitions.

    The first sample is the token farthest from the origin (the centroid), so the choice moves with the shape and does not depend on
    the order of tokens, up to ties.
    """
    if pos.shape[1] == 0:
        raise ValueError("a shape has no boundary tokens: expected a mesh with a boundary or a point cloud with points")
    rows = torch.arange(len(pos), device=pos.device)
    far = pos.square().sum(-1).masked_fill(~mask, -1.0)
    nearest = torch.where(mask, torch.inf, -1.0).to(pos.dtype)
    chosen, exists = [], []
    current = far.argmax(1)
    for _ in range(count):
        chosen.append(current)
        exists.append(nearest[rows, current] > 0)
        nearest = torch.minimum(nearest, (pos - pos[rows, current][:, None]).square().sum(-1))
        current = nearest.argmax(1)
    return torch.stack(chosen, 1), torch.stack(exists, 1)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
