"""Broadcasting of an index, a name that other packages import from torch_scatter."""

from torch import Tensor


def broadcast(src: Tensor, other: Tensor, dim: int) -> Tensor:
    """Returns src expanded to the shape of other: a vector lies along dim, anything else begins at the first dimension."""
    if src.ndim == 1:
        src = src.view(*(1 for _ in range(dim % other.ndim)), -1)
    return src.view(*src.shape, *(1 for _ in range(other.ndim - src.ndim))).expand(other.shape)
