"""Fourier neural operators on lattices."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ._feedforward import mlp


class SpectralConv(nn.Module):
    r"""Multiplies the lowest Fourier modes by learned matrices: $\mathcal F^{-1}(R\, \mathcal F h) + b$.

    Modes that the lattice does not have are left out, so a weight serves lattices of any size.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        modes: how many frequencies are kept along each axis, negative ones included.

    Source: Li et al. 2021, "Fourier neural operator for parametric partial differential equations", arXiv 2010.08895.
    """

    def __init__(self, inputs: int, outputs: int, modes: Sequence[int]):
        super().__init__()
        if not modes or any(m < 1 for m in modes):
            raise ValueError(f"SpectralConv: expected modes >= 1 along each axis, got {tuple(modes)}")
        # The Fourier transform of real values has half the frequencies along the last axis.
        self.modes = (*modes[:-1], modes[-1] // 2 + 1)
        std = (2 / (inputs + outputs)) ** 0.5
        # Pairs of real numbers: a module that is cast to double would leave complex parameters as they are.
        self.weight = nn.Parameter(std / 2**0.5 * torch.randn(inputs, outputs, *self.modes, 2))
        self.bias = nn.Parameter(std * torch.randn(outputs))

    def forward(self, h: Float[Tensor, "batch *lattice inputs"]) -> Float[Tensor, "batch *lattice outputs"]:
        """Returns the filtered values."""
        size = h.shape[1:-1]
        if len(size) != len(self.modes):
            raise ValueError(f"SpectralConv: expected a lattice of {len(self.modes)} axes, got {tuple(size)}")
        if not len(h):  # which the transform refuses
            return h.new_zeros(*h.shape[:-1], len(self.bias)) + self.bias
        axes = tuple(range(1, h.ndim - 1))
        spectrum = torch.fft.fftshift(torch.fft.rfftn(h, dim=axes), axes[:-1])
        weight = torch.view_as_complex(self.weight)
        here, there = [slice(None)], [slice(None), slice(None)]
        for n, m in zip(spectrum.shape[1:-1], self.modes, strict=True):
            kept, last = min(n, m), len(here) == len(self.modes)
            # After the shift the constant is at n // 2.
            a, b = (0, 0) if last else (n // 2 - kept // 2, m // 2 - kept // 2)
            here.append(slice(a, a + kept))
            there.append(slice(b, b + kept))
        out = spectrum.new_zeros(*spectrum.shape[:-1], weight.shape[1])
        out[tuple(here)] = torch.einsum("b...i,io...->b...o", spectrum[tuple(here)], weight[tuple(there)])
        return torch.fft.irfftn(torch.fft.ifftshift(out, axes[:-1]), s=size, dim=axes) + self.bias


class _Block(nn.Module):
    def __init__(self, hidden: int, modes: Sequence[int], expansion: float, stabiliser: str | None, last: bool):
        super().__init__()
        self.convolution = SpectralConv(hidden, hidden, modes)
        self.skip = nn.Linear(hidden, hidden, bias=False)
        self.channels = mlp([hidden, round(hidden * expansion), hidden])
        self.gate = nn.Parameter(torch.ones(hidden))
        self.stabiliser, self.last = stabiliser, last

    def forward(self, h: Tensor) -> Tensor:
        h = F.gelu(h)
        mixed = self.skip(h) + self.convolution(h.tanh() if self.stabiliser == "tanh" else h)
        return self.channels(mixed if self.last else F.gelu(mixed)) + self.gate * h


class FNO(nn.Module):
    r"""A Fourier neural operator with activation before each layer and a network of channels after it.

    $$h \leftarrow \mathrm{GELU}(h), \quad s = W h + \mathcal F^{-1}(R\, \mathcal F \tanh h) + b, \quad
    h \leftarrow \mathrm{MLP}(\mathrm{GELU}(s)) + \gamma \odot h$$

    between a lift and a projection of two linear layers each. The layer that comes last has no GELU around s. This is the layout
    of the library and the release that the first version of GIOROM used.

    Args:
        dim: 2 or 3, axes of the lattice.
        inputs: channels that come in.
        outputs: channels that go out.
        hidden: channels in between.
        modes: frequencies kept along each axis; those that the lattice does not have are left out.
        layers: number of Fourier layers.
        lifting: hidden channels of the lift.
        projection: hidden channels of the projection.
        expansion: hidden channels of the network of channels, as a multiple of `hidden`.
        stabiliser: "tanh" to bound what is transformed; None to leave it.

    Raises:
        ValueError: an option does not fit.

    Source: Li et al. 2021, arXiv 2010.08895; Kossaifi et al. 2024, "A library for learning neural operators", arXiv 2412.10354.
    """

    def __init__(
        self,
        dim: int,
        inputs: int,
        outputs: int,
        *,
        hidden: int = 32,
        modes: int = 24,
        layers: int = 2,
        lifting: int = 32,
        projection: int = 32,
        expansion: float = 0.5,
        stabiliser: Literal["tanh"] | None = "tanh",
    ):
        super().__init__()
        if dim not in (2, 3):
            raise ValueError(f"FNO: expected dim of 2 or 3, got {dim}")
        if stabiliser not in ("tanh", None):
            raise ValueError(f'FNO: expected stabiliser "tanh" or None, got {stabiliser!r}')
        self.dim = dim
        self.lift = mlp([inputs, lifting, hidden])
        self.blocks = nn.ModuleList(_Block(hidden, (modes,) * dim, expansion, stabiliser, i == layers - 1) for i in range(layers))
        self.project = mlp([hidden, projection, outputs])

    def forward(self, z: Float[Tensor, "batch *lattice inputs"]) -> Float[Tensor, "batch *lattice outputs"]:
        """Returns the values on the lattice."""
        h = self.lift(z)
        for block in self.blocks:
            h = block(h)
        return self.project(h)
