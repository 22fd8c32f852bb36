"""Linear modes that are neural fields, with amounts found from samples by least squares."""

from typing import final

from jaxtyping import Float
from torch import Tensor

from geoops.layers import mlp

from ._decoder import ModalDecoder


@final
class LiCROM(ModalDecoder):
    r"""Places queries by learned modes that fit the displacements of the samples best.

    $$\frac{u(X)}{L} = c + \sum_{k=1}^{r} z_k\,W_k(\xi), \qquad W = \mathrm{MLP}(\xi), \quad \xi \in [-1, 1]^d$$

    with coordinates $\xi$ of the box of the body at the start and its longest side L. Amounts z and c come from least squares at
    the samples, made regular by $\epsilon |z|^2$, and training goes through their solution, so that no amounts are stored.

    Args:
        dim: 2 or 3.
        rank: r.
        hidden: width of the three hidden layers.
        ridge: $\epsilon$.

    Raises:
        ValueError: an option is out of its bounds, or as in `begin`.

    Source: Chang et al. 2023, "LiCROM: linear-subspace continuous reduced order modeling with neural fields", a small version.
    """

    def __init__(self, dim: int, *, rank: int = 20, hidden: int = 64, ridge: float = 1e-6):
        super().__init__(dim)
        if rank < 1 or hidden < 1 or not ridge > 0:
            raise ValueError(f"LiCROM: expected rank >= 1, hidden >= 1 and ridge > 0, got {rank}, {hidden} and {ridge}")
        self.rank, self.ridge = rank, ridge
        self.field = mlp([dim, hidden, hidden, hidden, dim * rank], "gelu")

    def at(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim rank"]:
        """Returns the modes at places in the unit cube."""
        # Beyond the box a network says nothing of use, and queries are at most a little outside that of the samples.
        return self.field(2 * x.clamp(-0.1, 1.1) - 1).unflatten(1, (self.dim, self.rank))
