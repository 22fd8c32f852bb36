"""Points between the boundary and the first nodes inside, where a field is not known but must be smooth."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geoops.geometry import Shapes

#: Depths of a probe's points over the reach; the last one is drawn.
STENCIL = (0.0, 1.0, 1.5, 2.0)
POINTS = len(STENCIL) + 1


def first_layer(sdf: Float[Tensor, "nodes 1"]) -> float:
    """Returns how far from the boundary the first nodes inside lie: the 2nd percentile of their distances; 0 without any."""
    distance = sdf.abs().flatten().double()
    inside = distance[distance > 1e-6 * distance.max().clamp_min(1e-30)]
    return float(np.quantile(inside.numpy(), 0.02)) if len(inside) else 0.0


def boundary_probes(
    shapes: Shapes, places: int, reach: float, draws: Sequence[np.random.Generator]
) -> tuple[Float[Tensor, "shapes points dim"], Float[Tensor, "shapes points 1"], Bool[Tensor, "shapes places"]]:
    """Returns points on inward normals of the boundary: their positions, distances, and which places are of use.

    Each place is a random token, with points at depths 0, 1, 1.5 and 2 times `reach` and at a random depth up to `reach`. A place
    is of no use where the token has no normal, or another part of the boundary is nearer than the token.

    Args:
        shapes: with boundary tokens.
        places: number of places in each shape.
        reach: depth of the first nodes.
        draws: random numbers of each shape.
    """
    tokens = shapes.token_mask.sum(1).tolist()
    chosen = torch.stack([torch.from_numpy(d.integers(max(n, 1), size=places)) for d, n in zip(draws, tokens, strict=True)])
    depth = reach * torch.tensor([[[*STENCIL, u] for u in d.random(places)] for d in draws], dtype=shapes.token_pos.dtype)
    rows = chosen[..., None].expand(-1, -1, shapes.token_pos.shape[-1])
    origin, normal = shapes.token_pos.gather(1, rows), shapes.token_normal.gather(1, rows)
    pos = (origin[:, :, None] - depth[..., None] * normal[:, :, None]).flatten(1, 2)
    depth = depth.flatten(1)
    near = torch.cdist(pos, shapes.token_pos).masked_fill(~shapes.token_mask[:, None], torch.inf).amin(-1)
    useful = (near >= 0.95 * depth).unflatten(1, (places, POINTS)).all(-1) & (normal.norm(dim=-1) > 0.5)
    return pos, -depth[..., None], useful


def cubic_weights(at: Float[Tensor, "*places 4"], x: Float[Tensor, "*places"]) -> Float[Tensor, "*places 4"]:
    r"""Returns Lagrange's weights $\prod_{k \ne j} (x - a_k) / (a_j - a_k)$, which evaluate a cubic through four points."""
    weights = []
    for j in range(4):
        others = [k for k in range(4) if k != j]
        weights.append(torch.stack([(x - at[..., k]) / (at[..., j] - at[..., k]) for k in others]).prod(0))
    return torch.stack(weights, -1)
