"""A transformer of linear cost with experts, as an operator on the nodes of a lattice."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ._feedforward import mlp


class ResidualLift(nn.Module):
    r"""A point-wise network with one residual layer: $W_3 (h + \mathrm{GELU}(W_2 h))$ with $h = \mathrm{GELU}(W_1 x)$.

    Args:
        inputs: channels that come in.
        width: channels in between.
        outputs: channels that go out.
    """

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, outputs)
        self.act = nn.GELU()

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Applies the network to the last axis."""
        h = self.act(self.first(x))
        return self.last(h + self.act(self.middle(h)))


class LinearAttention(nn.Module):
    r"""Attention of a cost that is linear in the number of tokens, with normalised keys.

    $$o_i = \frac{\hat q_i \sum_j \hat k_j^T v_j}{\hat q_i \cdot \sum_j \hat k_j} + \hat q_i$$

    for each head, where $\hat q$ and $\hat k$ are softmaxes over the channels of a head.

    Args:
        width: channels.
        heads: number of heads, which divides the channels.
        dropout: share of the result that is dropped in training.

    Source: Hao et al. 2023, "GNOT: a general neural operator transformer for operator learning", arXiv 2302.14376.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], y: Float[Tensor, "batch others width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Returns what tokens x read from tokens y."""
        q, k, v = (a.unflatten(-1, (self.heads, -1)).transpose(1, 2) for a in (self.query(x), self.key(y), self.value(y)))
        q, k = q.softmax(-1), k.softmax(-1)
        total = (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
        read = q @ (k.mT @ v) / total + q
        return self.out(self.drop(read).transpose(1, 2).flatten(2))


class _Experts(nn.Module):
    def __init__(self, width: int, experts: int):
        super().__init__()
        self.nets = nn.ModuleList(mlp([width, width, width]) for _ in range(experts))

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for k, net in enumerate(self.nets):
            out = out + net(x) * gate[..., k, None]
        return out


class _Block(nn.Module):
    def __init__(self, gate: int, width: int, heads: int, experts: int, dropout: float):
        super().__init__()
        self.gate = mlp([gate, width, width, experts])
        self.cross, self.self_attention = LinearAttention(width, heads), LinearAttention(width, heads, dropout)
        self.first, self.second = _Experts(width, experts), _Experts(width, experts)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.drop = nn.Dropout(dropout)

    def forward(self, q: Tensor, b: Tensor, seen: Tensor) -> Tensor:
        gate = self.gate(seen).softmax(-1)
        q = q + self.drop(self.cross(self.norms[0](q), self.norms[1](b)))
        q = q + self.norms[2](self.first(q, gate))
        normed = self.norms[3](q)
        q = q + self.drop(self.self_attention(normed, normed))
        return q + self.norms[4](self.second(q, gate))


class LinearAttentionOperator(nn.Module):
    r"""Maps values on nodes to values on the same nodes by linear attention and experts.

    $$q = \mathrm{lift}(z), \quad b = \mathrm{lift}'(c), \quad g = \mathrm{softmax}(\mathrm{MLP}(\cdot))$$
    $$q \leftarrow q + \mathrm{cross}(\mathrm{LN}\,q, \mathrm{LN}\,b), \quad
      q \leftarrow q + \mathrm{LN} \sum_k g_k \mathrm{FFN}_k(q), \quad
      q \leftarrow q + \mathrm{self}(\mathrm{LN}\,q), \quad q \leftarrow q + \mathrm{LN} \sum_k g_k \mathrm{FFN}'_k(q)$$

    In the published code of GIOROM the branch b reads the coordinates c of the lattice alone, which carry no state, and the gate
    reads the channels of z. Otherwise the branch reads z and c, and the gate c.

    Args:
        inputs: channels of the values that come in.
        dim: coordinates of a node.
        outputs: channels that go out.
        width: channels in between.
        layers: number of layers.
        heads: of attention.
        experts: number of experts.
        dropout: share of the residuals that is dropped in training.
        branch: what the branch reads: "lattice" for c, "state" for z and c.
        gate: what the gate reads: "state" for z, "lattice" for c.

    Raises:
        ValueError: an option is not known, or heads do not divide the width.

    Source: Hao et al. 2023, arXiv 2302.14376.
    """

    def __init__(
        self,
        inputs: int,
        dim: int,
        outputs: int,
        *,
        width: int = 256,
        layers: int = 1,
        heads: int = 4,
        experts: int = 2,
        dropout: float = 0.3,
        branch: Literal["lattice", "state"] = "lattice",
        gate: Literal["lattice", "state"] = "state",
    ):
        super().__init__()
        for name, value in (("branch", branch), ("gate", gate)):
            if value not in ("lattice", "state"):
                raise ValueError(f'LinearAttentionOperator: expected {name} "lattice" or "state", got {value!r}')
        if width % heads:
            raise ValueError(f"LinearAttentionOperator: expected heads that divide the width {width}, got {heads}")
        self.branch_sees, self.gate_sees = branch, gate
        self.trunk = ResidualLift(inputs, width, width)
        self.branch = ResidualLift(dim + (inputs if branch == "state" else 0), width, width)
        seen = inputs if gate == "state" else dim
        self.blocks = nn.ModuleList(_Block(seen, width, heads, experts, dropout) for _ in range(layers))
        self.head = ResidualLift(width, width, outputs)

    def forward(
        self, z: Float[Tensor, "batch nodes inputs"], coordinates: Float[Tensor, "batch nodes dim"]
    ) -> Float[Tensor, "batch nodes outputs"]:
        """Returns the values on the nodes."""
        q = self.trunk(z)
        b = self.branch(torch.cat([coordinates, z], -1) if self.branch_sees == "state" else coordinates)
        seen = z if self.gate_sees == "state" else coordinates
        for block in self.blocks:
            q = block(q, b, seen)
        return self.head(q)
