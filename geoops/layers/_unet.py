"""A small U-Net on lattices of any size, in the plane or in space."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

from jaxtyping import Float
from torch import Tensor, nn


@final
class UNet(nn.Module):
    """Convolutions at several resolutions (Ronneberger et al., 2015), each half of the one before; zeros lie outside.

    Args:
        dim: 2 or 3.
        inputs: channels that come in.
        outputs: channels that go out.
        channels: at each resolution, the finest first.
    """

    def __init__(self, dim: int, inputs: int, outputs: int, channels: Sequence[int] = (16, 32, 64)):
        super().__init__()
        if dim not in (2, 3) or not channels:
            raise ValueError(f"UNet: expected dim of 2 or 3 and channels, got {dim} and {tuple(channels)}")
        conv = nn.Conv2d if dim == 2 else nn.Conv3d
        self.pool = nn.functional.avg_pool2d if dim == 2 else nn.functional.avg_pool3d
        self.first = conv(inputs, channels[0], 1)
        self.down = nn.ModuleList([_Block(conv, c, c) for c in channels])
        self.wider = nn.ModuleList([conv(a, b, 1) for a, b in pairwise(channels)])
        self.narrower = nn.ModuleList([conv(b, a, 1) for a, b in pairwise(channels)])
        self.up = nn.ModuleList([_Block(conv, a, a) for a, _ in pairwise(channels)])
        self.last = conv(channels[0], outputs, 1)

    def forward(self, z: Float[Tensor, "scenes inputs *lattice"]) -> Float[Tensor, "scenes outputs *lattice"]:
        """Returns a lattice of the same size."""
        z, kept = self.first(z), []
        for i, block in enumerate(self.down):
            z = block(z)
            if i < len(self.wider):
                kept.append(z)
                # avg_pool3d refuses axes that are shorter than its window
                z = self.wider[i](self.pool(z, [min(2, n) for n in z.shape[2:]], ceil_mode=True))
        for i in reversed(range(len(self.up))):
            z = self.narrower[i](z)
            for axis in range(2, z.ndim):
                z = z.repeat_interleave(2, axis)
            fine = kept[i]
            z = self.up[i](z[(..., *(slice(0, n) for n in fine.shape[2:]))] + fine)
        return self.last(z)


class _Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, conv: type[nn.Module], inputs: int, outputs: int):
        super().__init__()
        self.net = nn.Sequential(
            nn.GroupNorm(1, inputs),
            nn.SiLU(),
            conv(inputs, outputs, 3, padding=1),
            nn.SiLU(),
            conv(outputs, outputs, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        return z + self.net(z)
