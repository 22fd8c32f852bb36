"""Point-wise networks: plain stacks of linear layers and the feed-forward block of equivariant neural fields."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


def activation(name: str) -> nn.Module:
    """Returns the activation of that name.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()


def mlp(widths: Sequence[int], act: str = "gelu") -> nn.Sequential:
    """Returns linear layers between the given widths with an activation between each two of them."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        if i:
            layers.append(activation(act))
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers)


class FFN(nn.Module):
    r"""The feed-forward block $W_2\,\mathrm{LN}(\mathrm{GELU}(W_1 h + b_1)) + b_2$ (arXiv 2406.05753).

    Args:
        inputs: channels that come in.
        hidden: channels between the two linear layers.
        outputs: channels that go out.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.second = nn.Linear(hidden, outputs)

    def forward(self, h: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Applies the block to the last axis."""
        return self.second(self.norm(F.gelu(self.first(h))))
