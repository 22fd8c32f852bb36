"""The field between the boundary and the first nodes inside, where training has no points."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.data import Normalizer
from geoops.geometry import Facets, PointCloud, closest_points, signed_distance

#: Depths of the values that the cubic goes through, in units of the gap.
DEPTHS = (0.0, 1.0, 1.5, 2.0)
#: Points nearer to the boundary than this share of the gap count as points of the boundary.
ON_BOUNDARY = 1e-3
#: The cubic counts in full where the deepest point is as far from the boundary as it is deep, and not at all where it is nearer
#: than this share of its depth: at corners, and in walls that are thinner than some four gaps.
SHARE = 0.9


class Bridge(NamedTuple):
    r"""What decides the field at queries in the gap, $0 < d(x) < g$ with the depth d and the gap g of the training set.

    Training meshes have nodes on the boundary and from depth g on. What a network says between them was never compared with
    anything, and may be a step. There the field is a cubic along the normal, through the network's values where it was trained:

    $$\hat u(y - d\,n) = \sum_{k} L_k(d / g)\, f(y - t_k g\, n), \qquad t = (0, 1, 1.5, 2)$$

    with the closest point y of the boundary, its outward normal n and Lagrange's polynomials $L_k$ for the nodes $t_k$. Where
    the normal leads near to another part of the boundary the network's own value takes over gradually.

    Args:
        where: which queries are in the gap.
        pos: normalised positions of their four points each.
        sdf: normalised signed distances of these.
        weight: of the values there.
        own: weight of the network's own value.
        asked: which queries of all need their own value.
    """

    where: Int[Tensor, " inside"]
    pos: Float[Tensor, "stencil dim"]
    sdf: Float[Tensor, "stencil 1"]
    weight: Float[Tensor, "inside 4"]
    own: Float[Tensor, "inside 1"]
    asked: Int[Tensor, " asked"]

    def join(self, values: Float[Tensor, "evaluated outputs"], count: int) -> Float[Tensor, "count outputs"]:
        """Returns the field at all `count` queries from the network's values at the asked ones and at the four points."""
        own, stencil = values[: len(self.asked)], values[len(self.asked) :]
        result = values.new_zeros(count, values.shape[1])
        result[self.asked] = own
        cubic = (self.weight[..., None] * stencil.unflatten(0, (-1, len(DEPTHS)))).sum(1)
        result[self.where] = self.own * result[self.where] + cubic
        return result


def bridge(
    normalizer: Normalizer,
    outline: Callable[[], Facets | PointCloud],
    points: Float[Tensor, "queries dim"],
    sdf: Float[Tensor, "queries 1"],
) -> Bridge | None:
    """Returns what decides the field at queries in the gap, or nothing where there are none.

    Args:
        normalizer: knows the gap.
        outline: returns the boundary; called if it is needed.
        points: queries.
        sdf: their normalised signed distances.
    """
    gap = normalizer.gap
    depth = -normalizer.scale * sdf[:, 0].double()
    where = ((depth > ON_BOUNDARY * gap) & (depth < gap)).nonzero()[:, 0]
    if not len(where) or isinstance(boundary := outline(), PointCloud):
        return None
    x, depth = points[where].double(), depth[where]
    foot = closest_points(boundary, x)
    inward = torch.nn.functional.normalize(x - foot, dim=1)
    depths = gap * torch.tensor(DEPTHS, dtype=torch.double)
    stencil = foot[:, None] + depths[:, None] * inward[:, None]
    # If the deepest point is as far from the boundary as it is deep, so are all on the way to it.
    deepest = -signed_distance(boundary, stencil[:, -1])
    distances = torch.cat([depths[:-1].expand(len(x), -1), deepest[:, None]], 1)
    sure = ((deepest / depths[-1] - SHARE) / (0.99 - SHARE)).clamp(0, 1)
    sure = sure.square() * (3 - 2 * sure)
    asked = torch.ones(len(points), dtype=torch.bool)
    asked[where] = sure < 1
    return Bridge(
        where,
        normalizer.positions(stencil.flatten(0, 1)).float(),
        (-distances.flatten()[:, None] / normalizer.scale).float(),
        (sure[:, None] * lagrange(depth / gap, DEPTHS)).float(),
        (1 - sure)[:, None].float(),
        asked.nonzero()[:, 0],
    )


def lagrange(x: Float[Tensor, " points"], nodes: tuple[float, ...]) -> Float[Tensor, "points nodes"]:
    r"""Returns $L_k(x) = \prod_{j \ne k} (x - t_j) / (t_k - t_j)$, the weights of values at the nodes."""
    weights = []
    for k, t in enumerate(nodes):
        factors = [(x - s) / (t - s) for j, s in enumerate(nodes) if j != k]
        weights.append(torch.stack(factors).prod(0))
    return torch.stack(weights, 1)
