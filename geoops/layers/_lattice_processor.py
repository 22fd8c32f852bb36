"""Networks that work on a lattice, by name."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ._fno import FNO
from ._linear_attention import LinearAttentionOperator
from ._unet import UNet

Processor = Literal["unet", "fno", "attention"]


def lattice_processor(name: Processor, dim: int, inputs: int, outputs: int, channels: Sequence[int]) -> nn.Module:
    """Returns a network from lattices to lattices of the same size, channels first.

    Args:
        name: `unet` for `UNet`, which is the fastest; `fno` for `FNO` with frequencies up to 8; `attention` for
            `LinearAttentionOperator` whose branch sees the state.
        dim: 2 or 3.
        inputs: channels that come in.
        outputs: channels that go out.
        channels: of the U-Net at each resolution; the others are as wide as its coarsest.

    Raises:
        ValueError: there is no such network.
    """
    if name == "unet":
        return UNet(dim, inputs, outputs, channels)
    if name == "fno":
        return _Fourier(FNO(dim, inputs, outputs, hidden=channels[-1], modes=8, layers=2, lifting=channels[-1]))
    if name == "attention":
        return _Attention(
            LinearAttentionOperator(inputs, dim, outputs, width=channels[-1], dropout=0.0, branch="state", gate="lattice")
        )
    raise ValueError(f"processor: expected one of {', '.join(get_args(Processor))}, got {name!r}")


class _Fourier(nn.Module):
    def __init__(self, net: FNO):
        super().__init__()
        self.net = net

    def forward(self, z: Float[Tensor, "scenes inputs *lattice"]) -> Float[Tensor, "scenes outputs *lattice"]:
        return self.net(z.movedim(1, -1)).movedim(-1, 1)


class _Attention(nn.Module):
    def __init__(self, net: LinearAttentionOperator):
        super().__init__()
        self.net = net

    def forward(self, z: Float[Tensor, "scenes inputs *lattice"]) -> Float[Tensor, "scenes outputs *lattice"]:
        shape = z.shape[2:]
        axes = [torch.linspace(0, 1, n, dtype=z.dtype, device=z.device) for n in shape]
        at = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        out = self.net(z.flatten(2).mT, at.expand(len(z), *at.shape))
        return out.mT.unflatten(2, shape)
