"""Amounts of modes that fit values at few points, for several bodies at once."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.geometry import mean_of_bodies


@final
@dataclass(frozen=True)
class ModeFit:
    r"""Regularised least squares of modes $\Psi_k$ and of constants at the points of each body.

    $$\min_{z, c} \frac{1}{n} \sum_i \Big|u_i - c - \sum_k z_k \Psi_k(X_i)\Big|^2 + \epsilon\,|z|^2$$

    Args:
        modes: values of the modes at the points.
        body: body of each point.
        bodies: number of bodies.
        ridge: $\epsilon$.

    Solved in float64. A shift of all values changes c alone.
    """

    modes: Float[Tensor, "points dim modes"]
    body: Int[Tensor, " points"]
    bodies: int
    ridge: float

    def amounts(
        self, u: Float[Tensor, "frames points dim"]
    ) -> tuple[Float[Tensor, "frames bodies modes"], Float[Tensor, "frames bodies dim"]]:
        """Returns z and c of each body in each frame."""
        modes, values = self.modes.double(), u.double()
        mode_mean = mean_of_bodies(modes.movedim(1, 0), self.body, self.bodies).movedim(0, 1)
        mean = mean_of_bodies(values, self.body, self.bodies)
        modes, values = modes - mode_mean[self.body], values - mean[:, self.body]
        square = mean_of_bodies((modes.mT @ modes).flatten(1)[None], self.body, self.bodies)[0]
        square = square.unflatten(1, (modes.shape[-1], modes.shape[-1]))
        square = square + self.ridge * torch.eye(modes.shape[-1], dtype=modes.dtype, device=modes.device)
        known = mean_of_bodies((modes.mT @ values[..., None])[..., 0], self.body, self.bodies)
        z = torch.linalg.solve(square, known.permute(1, 2, 0)).permute(2, 0, 1)
        c = mean - (mode_mean @ z[..., None])[..., 0]
        return z.to(u.dtype), c.to(u.dtype)
