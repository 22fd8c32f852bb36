"""Choices of points, and the distances between them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def farthest_points(points: Float[Tensor, "nodes dim"], n: int, start: int = 0) -> Int[Tensor, " {n}"]:
    r"""Chooses points one by one, each the farthest from those before: $i_{k+1} = \arg\max_i \min_{j \le k} \|x_i -
    x_{i_j}\|$.

    The first is `start`; of equally far points the first wins, so the choice is always the same. The distance from any
    point to the chosen ones is at most the smallest distance between chosen ones (a 2-approximation of the best cover;
    Gonzalez, 1985).

    Raises:
        ValueError: `n` is not between 1 and the number of points, or `start` is not the number of a point.
    """
    if not 1 <= n <= len(points):
        raise ValueError(f"n must be between 1 and the number of points ({len(points)}), got {n}")
    if not 0 <= start < len(points):
        raise ValueError(f"start must be the number of one of {len(points)} points, got {start}")
    chosen = torch.empty(n, dtype=torch.int64, device=points.device)
    nearest = torch.full((len(points),), torch.inf, dtype=points.dtype, device=points.device)
    current = torch.tensor(start, device=points.device)
    for k in range(n):
        chosen[k] = current
        nearest = torch.minimum(nearest, (points - points[current]).square().sum(1))
        # Chosen points must not be chosen again where points coincide.
        nearest[current] = -1
        current = nearest.argmax()
    return chosen


def point_spacing(points: Float[Tensor, "nodes dim"]) -> Float[Tensor, " nodes"]:
    """Returns the distance from each point to its nearest neighbour; zero where two coincide, infinite for a single
    point.
    """
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return torch.full((len(points),), torch.inf, dtype=points.dtype)
    where = points.detach().numpy()
    distance, _ = cKDTree(where).query(where, k=2)
    return torch.from_numpy(distance[:, 1]).to(points.dtype)
