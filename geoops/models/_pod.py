"""Proper orthogonal decomposition of displacements, with amounts found from samples ("gappy")."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import BodyBox, combine, lattice_nodes, lattice_points, mean_of_bodies, nearest_samples, neighbourhood

from ._decoder import ModalDecoder


@final
class POD(ModalDecoder):
    r"""Places queries by the modes of the training motions that fit the displacements of the samples best.

    $$\frac{u(X)}{L} = c + \sum_{k=1}^{r} z_k\,\Psi_k\Big(\frac{X - X_\mathrm{low}}{X_\mathrm{high} - X_\mathrm{low}}\Big)$$

    with modes on a lattice in the box of the body at the start and its longest side L, so that they serve any shape. `fit` takes
    them from the singular vectors of displacements less their mean, times the singular values, so that amounts z are of size 1;
    z and c come from least squares at the samples, made regular by $\epsilon |z|^2$. No parameters.

    Args:
        dim: 2 or 3.
        rank: r.
        resolution: nodes of the lattice along each axis; None for 24 in 2D and 12 in 3D.
        ridge: $\epsilon$, about the mean square of what modes cannot say, relative to $L^2$.
        snapshots: frames of each training motion that are used, evenly spaced.

    Raises:
        ValueError: an option is out of its bounds, there are no modes yet, or as in `begin`.

    Source: Everson and Sirovich 1995, "Karhunen-Loeve procedure for gappy data".
    """

    modes: Tensor
    fitted: Tensor

    def __init__(self, dim: int, *, rank: int = 20, resolution: int | None = None, ridge: float = 1e-6, snapshots: int = 32):
        super().__init__(dim)
        self.resolution = resolution if resolution is not None else 24 if dim == 2 else 12
        if rank < 1 or self.resolution < 2 or not ridge > 0 or snapshots < 1:
            raise ValueError(
                f"POD: expected rank >= 1, resolution >= 2, ridge > 0 and snapshots >= 1, got {rank}, {self.resolution}, "
                f"{ridge} and {snapshots}"
            )
        self.rank, self.ridge, self.snapshots = rank, ridge, snapshots
        self.register_buffer("modes", torch.zeros(self.resolution**dim, dim, rank))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, motions: Sequence[Float[Tensor, "frames particles dim"]]) -> None:
        """Takes the modes from training motions.

        Args:
            motions: positions of all particles of one body each; the first frame is the start.

        Raises:
            ValueError: there are no motions, or a motion has too few particles.
        """
        if not len(motions):
            raise ValueError("POD: expected at least one motion to fit, got none")
        fields = []
        for x in motions:
            some = torch.linspace(0, len(x) - 1, min(self.snapshots, len(x))).round().long()
            rest, u = x[0].double(), (x[some] - x[0]).double()
            nodes = lattice_points(self.dim, self.resolution).to(x.device)
            body, node_body, _ = self._bodies(rest, nodes, None, None)
            box = BodyBox.around(rest, body, 1)
            u = (u - mean_of_bodies(u, body, 1)) / box.size
            places = box.low + nodes * box.length
            around = neighbourhood(rest, places, nearest_samples(rest, places, 3 * 2**self.dim, body, node_body))
            fields.append(combine(around.index, around.weight, u).flatten(1))
        field = torch.cat(fields) / sum(map(len, fields)) ** 0.5
        # From the smaller of the two matrices of products, since a lattice in 3D has many nodes.
        square, small = (field @ field.mT, True) if len(field) < field.shape[1] else (field.mT @ field, False)
        size, vectors = torch.linalg.eigh(square)
        size, vectors = size.flip(0)[: self.rank], vectors.flip(1)[:, : self.rank]
        # Singular vectors of the lattice have length 1 over all nodes; times the singular value they are these.
        modes = field.mT @ vectors if small else vectors * size.clamp_min(0).sqrt()
        self.modes.zero_()
        self.modes[..., : modes.shape[1]] = modes.unflatten(0, (-1, self.dim)).to(self.modes)
        self.fitted.fill_(True)

    def at(self, x: Float[Tensor, "points dim"]) -> Float[Tensor, "points dim rank"]:
        """Returns the modes at places in the unit cube.

        Raises:
            ValueError: there are none.
        """
        if not self.fitted:
            raise ValueError("POD: there are no modes yet; call fit with training motions first, or load weights")
        index, weight = lattice_nodes(x, self.resolution)
        return combine(index, weight, self.modes.flatten(1)[None])[0].unflatten(1, (self.dim, self.rank))
