"""The pair of point-wise networks of NCLaw: a stress law and a return map (Ma et al. 2023)."""

from itertools import pairwise
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops
from geoops.physics import Law

Matrices = Float[Tensor, "*batch d d"]
Features = Literal["full", "plain", "polar", "invariant"]
FEATURES: tuple[Features, ...] = ("full", "plain", "polar", "invariant")


class _Network(Law):
    """A network without biases from what does not change when the material turns to a symmetric matrix."""

    def __init__(self, dim: int, hidden: int, features: Features):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: expected dim of 2 or 3, got {dim}")
        if features not in FEATURES:
            raise ValueError(f"{type(self).__name__}: expected features of {', '.join(FEATURES)}, got {features!r}")
        self.dim, self.hidden, self.features = dim, hidden, features
        square = dim * dim
        widths = [{"full": dim + square + 1, "invariant": 3}.get(features, square), hidden, hidden, square]
        linear = [nn.Linear(a, b, bias=False) for a, b in pairwise(widths)]
        for layer in linear:
            nn.init.xavier_uniform_(layer.weight)
        self.net = nn.Sequential(linear[0], nn.GELU(), linear[1], nn.GELU(), linear[2])

    def _turned(self, F: Tensor) -> Tensor:
        """Returns R S, with the rotation R of the polar decomposition and what the network says, made symmetric."""
        if F.ndim < 2 or F.shape[-2:] != (self.dim, self.dim):
            raise ValueError(f"{type(self).__name__}: expected F of shape (..., {self.dim}, {self.dim}), got {tuple(F.shape)}")
        features, R = self._features(F)
        out = self.net(features).unflatten(-1, (self.dim, self.dim))
        return ops.small_matmul(R, (out + out.mT) / 2)

    def _features(self, F: Tensor) -> tuple[Tensor, Tensor]:
        one = torch.eye(self.dim, dtype=F.dtype, device=F.device)
        if self.features == "polar":
            R, stretch = ops.polar(F)
            return (stretch - one).flatten(-2), R
        features, R = ops.strain_features(F)
        if self.features == "plain":
            return (F - one).flatten(-2), R
        if self.features == "invariant":
            stretch, volume = features[..., : self.dim].sum(-1), features[..., -1]
            return torch.stack([stretch, F.square().sum((-2, -1)) - 1, volume], -1), R
        return features, R


@final
class NCLawElastic(_Network):
    r"""The stress law of NCLaw, faithful to the published code.

    $$\tau = R\,\mathrm{sym}(\mathrm{MLP}(\sigma - 1,\; F^T F - 1,\; \det F - 1))\,F^T$$

    with F = U diag(sigma) V^T, rotations U and V, and R = U V^T. It turns with the material, and there is no stress at rest. The
    stress is not symmetric in general, the law not isotropic, and there is no energy. Outputs have no scale: the published
    rate of learning is 1.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        features: what the network sees: all of the above; or, as in the ablations of the paper, `plain` $F - 1$ (which does
            not turn with the material), `polar` $S - 1$ of F = R S, or `invariant`
            $(\mathrm{tr}\,S - d,\; |F|^2 - 1,\; \det F - 1)$ (which is not zero at rest).

    Raises:
        ValueError: matrices are of another size, or an option is not known.

    Source: Ma et al. 2023, "Learning neural constitutive laws from motion observations", arXiv 2304.14369.
    """

    def __init__(self, dim: int = 3, hidden: int = 64, features: Features = "full"):
        super().__init__(dim, hidden, features)

    def forward(self, F: Matrices) -> Matrices:
        """Returns the Kirchhoff stress of deformation gradients."""
        return ops.small_matmul(self._turned(F), F, transpose_b=True)


@final
class NCLawPlastic(_Network):
    r"""The return map of NCLaw, faithful to the published code.

    $$F \mapsto F + \alpha\,R\,\mathrm{sym}(\mathrm{MLP}(\sigma - 1,\; F^T F - 1,\; \det F - 1))$$

    It turns with the material and leaves rest alone. It is no projection: applied again it moves F again.

    Args:
        dim: 2 or 3.
        hidden: width of the two hidden layers.
        alpha: how far a step can go.
        features: as `NCLawElastic`.

    Raises:
        ValueError: matrices are of another size, or an option is not known.

    Source: as `NCLawElastic`.
    """

    def __init__(self, dim: int = 3, hidden: int = 64, alpha: float = 1e-3, features: Features = "full"):
        super().__init__(dim, hidden, features)
        self.alpha = alpha

    def forward(self, F: Matrices) -> Matrices:
        """Returns admissible deformation gradients of trial ones."""
        return F + self.alpha * self._turned(F)
