"""The pair of point-wise networks of NCLaw: a stress law and a return map (Ma et al. 2023)."""

from itertools import pairwise
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops

Matrices = Float[Tensor, "*batch d d"]


class _Law(nn.Module):
    """A network without biases from what does not change when the material turns to a symmetric matrix."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected dim of 2 or 3, got {dim}")
        self.dim = dim
        widths = [dim + dim * dim + 1, hidden, hidden, dim * dim]
        linear = [nn.Linear(a, b, bias=False) for a, b in pairwise(widths)]
        for layer in linear:
            nn.init.xavier_uniform_(layer.weight)
        self.net = nn.Sequential(linear[0], nn.GELU(), linear[1], nn.GELU(), linear[2])

    def _turned(self, F: Tensor) -> Tensor:
        """Returns R S, with the rotation R of the polar decomposition and what the network says, made symmetric."""
        if F.ndim < 2 or F.shape[-2:] != (self.dim, self.dim):
            raise ValueError(f"{type(self).__name__}: expected F of shape (..., {self.dim}, {self.dim}), got {tuple(F.shape)}")
        features, R = ops.strain_features(F)
        out = self.net(features).unflatten(-1, (self.dim, self.dim))
        return ops.small_matmul(R, (out + out.mT) / 2)


@final
class NCLawElastic(_Law):
    r"""The stress law of NCLaw, faithful to the published code.

    $$\tau = R\,\mathrm{sym}(\mathrm{MLP}(\sigma - 1,\; F^T F - 1,\; \det F - 1))\,F^T$$

    with F = U diag(sigma) V^T, rotations U and V, and R = U V^T. It turns with the material, and there is no stress at rest. The
    stress is not symmetric in general, the law not isotropic, and there is no energy. Outputs have no scale: the published
    rate of learning is 1.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.

    Raises:
        ValueError: matrices are of another size.

    Source: Ma et al. 2023, "Learning neural constitutive laws from motion observations", arXiv 2304.14369.
    """

    def __init__(self, dim: int = 3, hidden: int = 64):
        super().__init__(dim, hidden)

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        return ops.small_matmul(self._turned(F), F, transpose_b=True)


@final
class NCLawPlastic(_Law):
    r"""The return map of NCLaw, faithful to the published code.

    $$F \mapsto F + \alpha\,R\,\mathrm{sym}(\mathrm{MLP}(\sigma - 1,\; F^T F - 1,\; \det F - 1))$$

    It turns with the material and leaves rest alone. It is no projection: applied again it moves F again.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        alpha: how far a step can go.

    Raises:
        ValueError: matrices are of another size.

    Source: as `NCLawElastic`.
    """

    def __init__(self, dim: int = 3, hidden: int = 64, alpha: float = 1e-3):
        super().__init__(dim, hidden)
        self.alpha = alpha

    def forward(self, F: Matrices) -> Matrices:
        """Returns admissible deformation gradients of trial ones."""
        return F + self.alpha * self._turned(F)
