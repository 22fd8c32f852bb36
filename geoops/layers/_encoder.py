"""One-shot encoding: latents read the boundary by equivariant cross-attention."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ._enf import LatentBlock, make_attention
from ._feedforward import FFN, mlp
from ._invariants import BiInvariant
from ._poses import Poses


@final
class TokenEncoder(nn.Module):
    r"""Contexts $c_j = \mathrm{EqAttn}(p_j, \{(x_m, t_m)\})$ from boundary tokens, followed by latent blocks.

    Poses are the points of the attention and tokens its latents. Windows are those of the poses. The weight of a token
    is proportional to its measure, so that a boundary cut more finely has the same code.

    Args:
        features: channels of the tokens.
        latent_dim: channels of the contexts.
        invariant: attribute between pose and token.
        hidden: channels of latents and heads.
        heads: number of heads.
        layers: cross-attentions to the tokens, the second and later ones residual with content-dependent queries.
        blocks: latent blocks.
        attention: ``dense`` or ``separable``; ``knn`` is ``dense`` here.
        value_mode: ``film_mlp`` or ``film_linear``.
        freq_std: standard deviations of the frequencies for queries and values.
        latent_mixer: ``equivariant`` or ``mha``.
        activation: of the Fourier embeddings.
        dropout: of the attention weights of ``mha``.
    """

    def __init__(
        self,
        features: int,
        latent_dim: int,
        invariant: BiInvariant,
        *,
        hidden: int = 128,
        heads: int = 2,
        layers: int = 1,
        blocks: int = 1,
        attention: str = "dense",
        value_mode: str = "film_mlp",
        freq_std: tuple[float, float] = (0.5, 0.5),
        latent_mixer: str = "equivariant",
        activation: str = "gelu",
        dropout: float = 0.0,
    ):
        super().__init__()
        if layers < 1:
            raise ValueError(f"the encoder needs at least one cross-attention, got {layers}")
        kind = "dense" if attention == "knn" else attention

        def make(outputs: int, content: int = 0):
            return make_attention(
                hidden,
                invariant,
                kind=kind,
                heads=heads,
                freq_std=freq_std,
                value_mode=value_mode,
                outputs=outputs,
                activation=activation,
                content=content,
            )

        self.invariant = invariant
        self.stem = nn.Sequential(mlp([features, hidden, hidden]), nn.LayerNorm(hidden))
        self.attention = nn.ModuleList(make(hidden, hidden if i else 0) for i in range(layers))
        self.norm = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers - 1))
        self.ffn = nn.ModuleList(FFN(hidden, hidden, hidden) for _ in range(layers))
        self.blocks = nn.ModuleList(
            LatentBlock(hidden, make, mixer=latent_mixer, heads=heads, dropout=dropout) for _ in range(blocks)
        )
        self.head = nn.Linear(hidden, latent_dim)

    def forward(
        self,
        tokens: Poses,
        features: Float[Tensor, "batch tokens features"],
        mask: Bool[Tensor, "batch tokens"],
        measure: Float[Tensor, "batch tokens 1"],
        poses: Poses,
    ) -> Float[Tensor, "batch latents channels"]:
        """Returns the contexts of the poses.

        Args:
            tokens: positions and, where the bi-invariant needs them, frames of the tokens.
            features: invariant descriptions of the tokens.
            mask: True for real tokens.
            measure: positive measures of the tokens (any value where there is padding).
            poses: of the latents.
        """
        a = self.stem(features)
        points = F.pad(poses.pos, (0, self.invariant.side))
        shared = {"scale": poses.window, "mask": mask, "measure": measure}
        if self.invariant.needs_axis:
            shared["axis"] = poses.frame[..., 0]
        h = self.ffn[0](self.attention[0](points, tokens, a, **shared))
        for norm, attention, ffn in zip(self.norm, self.attention[1:], self.ffn[1:], strict=True):
            h = h + ffn(attention(points, tokens, a, content=norm(h), **shared))
        for block in self.blocks:
            h = block(h, poses)
        return self.head(h)
