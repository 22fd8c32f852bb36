"""Linear modes that are neural fields, with amounts found from samples by least squares."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from geoops.geometry import BodyBox
from geoops.layers import ModeFit, mlp

from ._decoder import Decoder


@final
@dataclass(frozen=True)
class _Start:
    samples: Float[Tensor, "samples dim"]
    queries: Float[Tensor, "queries dim"]
    bodies: tuple[Int[Tensor, " samples"], Int[Tensor, " queries"]]
    size: Float[Tensor, " bodies"]
    fit: ModeFit
    modes: Float[Tensor, "queries dim rank"]


@final
class LiCROM(Decoder):
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

    def begin(
        self,
        samples: Float[Tensor, "samples dim"],
        queries: Float[Tensor, "queries dim"],
        sample_body: Int[Tensor, " samples"] | None = None,
        query_body: Int[Tensor, " queries"] | None = None,
    ) -> _Start:
        """Returns the modes at samples and queries."""
        of_samples, of_queries, count = self.bodies(samples, queries, sample_body, query_body)
        box = BodyBox.around(samples, of_samples, count)
        at, asked = self._modes(box.unit(samples, of_samples)), self._modes(box.unit(queries, of_queries))
        return _Start(samples, queries, (of_samples, of_queries), box.size, ModeFit(at, of_samples, count, self.ridge), asked)

    def place(
        self, state: _Start, samples: Float[Tensor, "frames samples dim"]
    ) -> tuple[Float[Tensor, "frames queries dim"], _Start]:
        """Returns positions of the queries in each frame."""
        of_samples, of_queries = state.bodies
        z, c = state.fit.amounts((samples - state.samples) / state.size[of_samples, None])
        u = c[:, of_queries] + (state.modes @ z[:, of_queries, :, None])[..., 0]
        return state.queries + state.size[of_queries, None] * u, state

    def _modes(self, x: Tensor) -> Tensor:
        # Beyond the box a network says nothing of use, and queries are at most a little outside that of the samples.
        return self.field(2 * x.clamp(-0.1, 1.1) - 1).unflatten(1, (self.dim, self.rank))
