"""The random void at the centre of the unit cell: its prior and its exact boundary curve."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float

CENTRE = np.array([0.5, 0.5])
INNER, SPREAD = 0.2, 0.2  # the radius lies strictly between INNER and INNER + SPREAD


@final
@dataclass(frozen=True, eq=False)
class Void:
    r"""Star-shaped void $r(\theta) = 0.2 + 0.2 / (1 + e^{g(\theta)})$ about the centre of the unit square.

    $$g(\theta) = \sqrt{16/9}\, \frac{a_0}{\sqrt{2\pi}}
      + \sum_{k=1}^{K} \sqrt{\frac{16}{k^2 + 9}}\, \frac{a_k \cos k\theta + b_k \sin k\theta}{\sqrt\pi}$$

    is the truncated Karhunen-Loeve sum of a Gaussian field on the circle with covariance
    $4^2 (-d^2/d\theta^2 + 3^2)^{-1}$ if all $a_k, b_k$ are independent standard normal numbers.

    Args:
        coefficients: $a_0 \dots a_K, b_0 \dots b_K$, shape (2 K + 2,); $b_0$ has no effect.
    """

    coefficients: Float[np.ndarray, " coefficients"]

    def __post_init__(self) -> None:
        if self.coefficients.ndim != 1 or len(self.coefficients) < 2 or len(self.coefficients) % 2:
            raise ValueError(f"expected 2 K + 2 coefficients in one row, got shape {self.coefficients.shape}")

    @classmethod
    def draw(cls, rng: np.random.Generator, *, modes: int = 5) -> "Void":
        """Draws a void with `modes` cosine and sine pairs, in the order a_0..a_K, b_0..b_K."""
        if modes < 0:
            raise ValueError(f"expected modes >= 0, got {modes}")
        return cls(rng.standard_normal(2 * modes + 2))

    def field(self, theta: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        r"""Returns the Gaussian field $g(\theta)$."""
        a, b = np.split(self.coefficients, 2)
        k = np.arange(len(a))
        scale = np.sqrt(16 / (k**2 + 9) / np.where(k == 0, 2 * np.pi, np.pi))
        angle = np.asarray(theta)[..., None] * k
        return np.cos(angle) @ (scale * a) + np.sin(angle) @ (scale * b)

    def radius(self, theta: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        r"""Returns $r(\theta)$, in cell sides."""
        return INNER + SPREAD / (1 + np.exp(self.field(theta)))

    def curve(self, theta: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 2"]:
        r"""Returns the boundary points at the angles `theta`."""
        theta = np.asarray(theta)
        return CENTRE + self.radius(theta)[..., None] * np.stack((np.cos(theta), np.sin(theta)), axis=-1)

    @cached_property
    def _arc(self) -> tuple[np.ndarray, np.ndarray]:
        theta = np.linspace(0, 2 * np.pi, 8193)
        step = np.linalg.norm(np.diff(self.curve(theta), axis=0), axis=1)
        return theta, np.concatenate(([0.0], np.cumsum(step)))

    @property
    def length(self) -> float:
        """Perimeter, in cell sides."""
        return float(self._arc[1][-1])

    def equally_spaced(self, spacing: float) -> Float[np.ndarray, " n"]:
        """Returns angles of points equally spaced along the curve, `spacing` apart as nearly as fits."""
        theta, arc = self._arc
        count = max(8, round(self.length / spacing))
        return np.interp(np.arange(count) * (self.length / count), arc, theta)
