"""Frozen random Fourier features and the two-layer network on top of them."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ._feedforward import activation


class FourierFeatures(nn.Module):
    r"""Frozen features $\gamma(r) = [\sin(2\pi r W), \cos(2\pi r W)]$ with $W_{ij} \sim N(0, \omega^2)$.

    Args:
        inputs: channels of $r$.
        features: channels of $\gamma$, even.
        freq_std: the standard deviation $\omega$ of the frequencies, in periods per unit of $r$. Papers that print a
            length scale mean its reciprocal.

    Raises:
        ValueError: if `features` is odd or `freq_std` is not positive.
    """

    frequencies: Tensor

    def __init__(self, inputs: int, features: int, freq_std: float):
        super().__init__()
        if features % 2:
            raise ValueError(f"the number of Fourier features must be even, got {features}")
        if not freq_std > 0:
            raise ValueError(f"freq_std must be positive, got {freq_std}")
        self.register_buffer("frequencies", freq_std * torch.randn(inputs, features // 2))

    def angles(self, r: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch half"]:
        r"""Returns $2\pi r W$."""
        # Mixed precision would round positions to three digits.
        with torch.autocast(r.device.type, enabled=False):
            return r.to(self.frequencies.dtype) @ (2 * math.pi * self.frequencies)

    def forward(self, r: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch features"]:
        r"""Returns $\gamma(r)$."""
        angles = self.angles(r)
        return torch.cat([angles.sin(), angles.cos()], -1)


class FourierEmbedding(nn.Module):
    r"""The map $E_\omega(r) = W_2\,\sigma(W_1 \gamma(r) + b_1) + b_2$ of arXiv 2406.05753.

    `hidden_features` stops before $W_2$, so that a linear map that follows can absorb it.

    Args:
        inputs: channels of $r$.
        hidden: channels of the features and of the result.
        freq_std: standard deviation of the frequencies, see `FourierFeatures`.
        act: the activation $\sigma$.
    """

    def __init__(self, inputs: int, hidden: int, freq_std: float, act: str = "gelu"):
        super().__init__()
        self.features = FourierFeatures(inputs, hidden, freq_std)
        self.first = nn.Linear(hidden, hidden)
        self.act = activation(act)
        self.second = nn.Linear(hidden, hidden)

    def hidden_features(self, r: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch hidden"]:
        r"""Returns $\sigma(W_1 \gamma(r) + b_1)$."""
        return self.act(self.first(self.features(r)))

    def forward(self, r: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch hidden"]:
        r"""Returns $E_\omega(r)$."""
        return self.second(self.hidden_features(r))
