"""Learned integral transforms from one cloud of points to another."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from geoops import ops

from ._feedforward import mlp

Kind = Literal["nonlinear", "linear"]
Coordinates = Literal["relative", "source"]


class KernelTransform(nn.Module):
    r"""Carries values at points $x_j$ to points $y_m$ by a mean over those within a radius.

    $$u_m = \frac{1}{|A(m)|} \sum_{j \in A(m)} k_{mj}, \qquad A(m) = \{j : |x_j - y_m| \le r\}$$

    with $k_{mj} = \kappa(c_{mj}, f_j)$ if nonlinear, and $k_{mj} = \kappa(c_{mj}) \odot f_j$ if linear. Coordinates are
    $c_{mj} = (x_j - y_m) / r$, or, as in the published code, $c_{mj} = x_j$: the kernel then does not see where its result is
    wanted, and all points with the same neighbours get the same values. A point without neighbours gets 0.

    Args:
        dim: coordinates of a point.
        widths: channels of f, of the hidden layers of the kernel, and of the result; if linear the first and the last are equal.
        radius: of the neighbourhoods.
        kind: "nonlinear" or "linear".
        coords: "relative" or "source".
        shared: whether examples of a batch are thrown together, as in the published code.

    Raises:
        ValueError: an option is not known, or widths or the radius do not fit.

    Source: Li et al. 2020, "Neural operator: graph kernel network for partial differential equations", arXiv 2003.03485;
    Viswanath et al. 2024, arXiv 2407.03925.
    """

    def __init__(
        self,
        dim: int,
        widths: Sequence[int],
        radius: float,
        kind: Kind = "nonlinear",
        *,
        coords: Coordinates = "relative",
        shared: bool = False,
    ):
        super().__init__()
        if kind not in ("nonlinear", "linear"):
            raise ValueError(f'KernelTransform: expected kind "nonlinear" or "linear", got {kind!r}')
        if coords not in ("relative", "source"):
            raise ValueError(f'KernelTransform: expected coords "relative" or "source", got {coords!r}')
        if not radius > 0:
            raise ValueError(f"KernelTransform: expected a radius > 0, got {radius}")
        if len(widths) < 2 or (kind == "linear" and widths[0] != widths[-1]):
            raise ValueError(f"KernelTransform: expected widths of f, ..., result, the same at both ends if linear, got {widths}")
        self.radius, self.kind, self.coords, self.shared = float(radius), kind, coords, shared
        self.outputs = widths[-1]
        self.kernel = mlp([dim + (widths[0] if kind == "nonlinear" else 0), *widths[1:]])

    def forward(
        self,
        f: Float[Tensor, "sources channels"],
        x: Float[Tensor, "sources dim"],
        y: Float[Tensor, "targets dim"],
        batch_x: Int[Tensor, " sources"] | None = None,
        batch_y: Int[Tensor, " targets"] | None = None,
    ) -> Float[Tensor, "targets outputs"]:
        """Returns the values at the targets.

        Args:
            f: values at the sources.
            x: where the sources are.
            y: where values are wanted.
            batch_x: example of each source, ascending; they are ignored if the transform is shared.
            batch_y: example of each target, ascending; both or neither.
        """
        if self.shared:
            batch_x = batch_y = None
        target, source = ops.radius(x, y, self.radius, batch_x, batch_y)
        count = torch.bincount(target, minlength=len(y)).clamp(min=1).to(f.dtype)
        share = (1 / count).index_select(0, target)
        if self.coords == "source":
            return ops.edge_sum(self._values(x, f), share, source, target, len(y))
        away = (x.index_select(0, source) - y.index_select(0, target)) / self.radius
        values = self._values(away, f.index_select(0, source))
        pairs = torch.arange(len(source), device=source.device)
        return ops.edge_sum(values, share, pairs, target, len(y))

    def _values(self, c: Tensor, f: Tensor) -> Tensor:
        return self.kernel(torch.cat([c, f], -1)) if self.kind == "nonlinear" else self.kernel(c) * f
