"""Points by the cell of a regular grid they lie in."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._neighbours import _check, check_points


def grid_cluster(
    pos: Float[Tensor, "n dim"],
    size: Float[Tensor, " dim"],
    start: Float[Tensor, " dim"] | None = None,
    end: Float[Tensor, " dim"] | None = None,
) -> Int[Tensor, " n"]:
    r"""Returns the number of the cell of a regular grid in which each point lies.

    $$c_i = \sum_d \left\lfloor \frac{x_{id} - a_d}{s_d} \right\rfloor \prod_{e < d} m_e, \qquad
    m_e = \left\lfloor \frac{b_e - a_e}{s_e} \right\rfloor + 1$$

    with cells of size s and a grid from a to b. Points outside the grid get numbers that other cells may have too.

    Args:
        pos: points, float32 or float64.
        size: lengths of a cell along each axis, of the dtype of the points.
        start: where the grid begins; by default at the smallest coordinates.
        end: where it ends; by default at the largest.

    Raises:
        TypeError: a dtype does not fit.
        ValueError: a shape, a device or a size does not fit, or a coordinate is NaN or infinite (the last two are not
            looked for in compiled code).

    Example:
        >>> grid_cluster(torch.tensor([[0.0, 0.0], [2.5, 0.1], [0.2, 1.5]]), torch.tensor([1.0, 1.0]))
        tensor([0, 2, 3])
    """
    check_points("grid_cluster", pos=pos)
    corners = {name: corner for name, corner in (("size", size), ("start", start), ("end", end)) if corner is not None}
    for name, corner in corners.items():
        if corner.shape != pos.shape[1:]:
            raise ValueError(f"grid_cluster: expected {name} of shape ({pos.shape[1]},), got {tuple(corner.shape)}")
    check_points("grid_cluster", pos=pos, **{name: corner[None] for name, corner in corners.items()})
    if not torch.compiler.is_compiling():
        _check("grid_cluster", pos=pos, **{name: corner[None] for name, corner in corners.items()})
        if not (size > 0).all():
            raise ValueError(f"grid_cluster: expected sizes > 0, got {size.tolist()}")
    if pos.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=pos.device)
    start = pos.amin(0) if start is None else start
    end = pos.amax(0) if end is None else end
    cells = ((end - start) / size).long() + 1
    strides = torch.cat([torch.ones_like(cells[:1]), cells[:-1].cumprod(0)])
    return (((pos - start) / size).long() * strides).sum(1)
