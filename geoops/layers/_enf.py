"""The equivariant neural field: latents with poses, mixed by a few blocks and read anywhere."""

from collections.abc import Callable, Sequence
from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ._attention import EquivariantAttention, Pairs
from ._feedforward import FFN
from ._invariants import BiInvariant
from ._invariants import bi_invariant as make_invariant
from ._poses import Poses
from ._separable import SeparableAttention

Attention = EquivariantAttention | SeparableAttention


def make_attention(
    hidden: int,
    invariant: BiInvariant,
    *,
    kind: str = "dense",
    heads: int = 2,
    freq_std: tuple[float, float] = (0.5, 0.5),
    value_mode: str = "film_mlp",
    outputs: int | None = None,
    nearest_k: int | None = None,
    activation: str = "gelu",
    content: int = 0,
) -> Attention:
    """Returns the attention of that kind: ``dense``, ``knn`` or ``separable``; arguments as in `EquivariantAttention`.

    Raises:
        ValueError: if the kind is unknown or does not go with the other arguments.
    """
    shared = {"heads": heads, "freq_std": freq_std, "outputs": outputs, "content": content}
    if kind == "separable":
        if value_mode != "film_linear":
            raise ValueError(f"attention='separable' needs value_mode='film_linear', got {value_mode!r}")
        return SeparableAttention(hidden, invariant, **shared)
    if kind not in ("dense", "knn"):
        raise ValueError(f"attention must be 'dense', 'knn' or 'separable', got {kind!r}")
    if (kind == "knn") != (nearest_k is not None):
        raise ValueError(f"nearest_k goes with attention='knn' and only with it, got {kind!r} and nearest_k={nearest_k}")
    return EquivariantAttention(hidden, invariant, value_mode=value_mode, nearest_k=nearest_k, activation=activation, **shared)


class LatentBlock(nn.Module):
    r"""One mixing of latents, $h' = \mathrm{GELU}(h + t)$ with $t = \mathrm{FFN}(h + \mathrm{Attn}(\mathrm{LN}(h)))$.

    With ``mixer="equivariant"`` the latents are points and poses of the field's own attention; ``"mha"`` is ordinary
    multi-head self-attention, which does not know the poses.

    Args:
        hidden: channels of the latents.
        attention: makes an attention that returns `hidden` channels.
        mixer: ``equivariant`` or ``mha``.
        heads: number of heads.
        dropout: of the attention weights of ``mha``.

    Raises:
        ValueError: if the mixer is unknown.
    """

    def __init__(self, hidden: int, attention: Callable[[int], Attention], *, mixer: str, heads: int, dropout: float = 0.0):
        super().__init__()
        if mixer not in ("equivariant", "mha"):
            raise ValueError(f"latent_mixer must be 'equivariant' or 'mha', got {mixer!r}")
        self.norm = nn.LayerNorm(hidden)
        self.plain = mixer == "mha"
        if self.plain:
            self.attention = nn.MultiheadAttention(hidden, heads, dropout=dropout, batch_first=True)
        else:
            self.attention = attention(hidden)
        self.ffn = FFN(hidden, hidden, hidden)

    def forward(self, h: Float[Tensor, "batch latents hidden"], poses: Poses) -> Float[Tensor, "batch latents hidden"]:
        """Returns the mixed latents."""
        a = self.norm(h)
        if self.plain:
            got, _ = self.attention(a, a, a, need_weights=False)
        else:
            invariant = self.attention.invariant
            points = F.pad(poses.pos, (0, invariant.side))
            axis = {"axis": poses.frame[..., 0]} if invariant.needs_axis else {}
            got = self.attention(points, poses, a, **axis)
        return F.gelu(h + self.ffn(h + got))


@final
class ENF(nn.Module):
    r"""The field $f(x; P, C, S)$ of arXiv 2406.05753, as enf2enf (arXiv 2504.18591) uses it.

    Contexts go through a stem and `blocks` latent blocks; points read the latents by cross-attention, a feed-forward
    block and a three-layer head. If the attribute is bi-invariant under a group, so is the field.

    Args:
        latent_dim: channels of the contexts.
        outputs: channels of the field.
        dim: spatial dimension.
        side: invariant columns of the points behind the spatial ones, for example 1 for the signed distance.
        hidden: channels of latents and heads.
        heads: number of heads.
        blocks: number of latent blocks.
        bi_invariant: name of the attribute, see `geoops.layers.BI_INVARIANTS`.
        freq_std: standard deviations of the frequencies for queries and values.
        attention: ``dense``, ``knn`` or ``separable``.
        nearest_k: latents that a point attends to, with ``knn``.
        value_mode: ``film_mlp`` or ``film_linear``.
        latent_mixer: ``equivariant`` or ``mha``.
        deep_stem: two-layer stem; the default has it where there are latent blocks.
        cross_layers: cross-attentions of the points; from the second on they are residual and their queries see what
            the points have received so far.
        activation: of the Fourier embeddings.
        dropout: of the attention weights of ``mha``.
    """

    def __init__(
        self,
        latent_dim: int,
        outputs: int,
        *,
        dim: int = 2,
        side: int = 0,
        hidden: int = 128,
        heads: int = 2,
        blocks: int = 0,
        bi_invariant: str = "translation",
        freq_std: tuple[float, float] = (0.5, 0.5),
        attention: str = "dense",
        nearest_k: int | None = None,
        value_mode: str = "film_mlp",
        latent_mixer: str = "equivariant",
        deep_stem: bool | None = None,
        cross_layers: int = 1,
        levels: Sequence[tuple[int, int]] | None = None,
        activation: str = "gelu",
        dropout: float = 0.0,
    ):
        super().__init__()
        if cross_layers < 1:
            raise ValueError(f"cross_layers must be at least 1, got {cross_layers}")
        if levels is not None and len(levels) != cross_layers:
            raise ValueError(f"levels need one cross-attention each, got {len(levels)} levels and cross_layers={cross_layers}")
        self.levels = None if levels is None else list(levels)
        invariant = make_invariant(bi_invariant, dim, side)
        self.invariant = invariant

        def make(kind: str, outputs: int | None, content: int = 0, nearest_k: int | None = None) -> Attention:
            return make_attention(
                hidden,
                invariant,
                kind=kind,
                heads=heads,
                freq_std=freq_std,
                value_mode=value_mode,
                outputs=outputs,
                nearest_k=nearest_k,
                activation=activation,
                content=content,
            )

        deep = blocks > 0 if deep_stem is None else deep_stem
        stem = [nn.Linear(latent_dim, hidden)]
        self.stem = nn.Sequential(*stem, nn.GELU(), nn.Linear(hidden, hidden)) if deep else stem[0]
        # Latents are few: each sees all the others, whatever the points do.
        among = "dense" if attention == "knn" else attention
        self.blocks = nn.ModuleList(
            LatentBlock(hidden, lambda n: make(among, n), mixer=latent_mixer, heads=heads, dropout=dropout) for _ in range(blocks)
        )
        wide = heads * hidden
        self.norm = nn.LayerNorm(hidden)
        self.attention = make(attention, None, nearest_k=nearest_k)
        self.ffn = FFN(wide, wide, wide)
        self.more = nn.ModuleList(
            nn.ModuleList([nn.LayerNorm(wide), make(attention, None, wide, nearest_k), FFN(wide, wide, wide)])
            for _ in range(cross_layers - 1)
        )
        self.head = nn.Sequential(
            nn.Linear(wide, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, outputs)
        )

    def mix(self, contexts: Float[Tensor, "batch latents channels"], poses: Poses) -> Float[Tensor, "batch latents hidden"]:
        """Returns the normalised latents that points read; they do not depend on the points."""
        h = self.stem(contexts)
        for block in self.blocks:
            h = block(h, poses)
        return self.norm(h)

    def pairs(self, x: Float[Tensor, "batch points columns"], poses: Poses) -> Pairs | None:
        """Returns what can be kept while only contexts change, or None where there is nothing to keep."""
        if isinstance(self.attention, SeparableAttention):
            return None
        return self.attention.pairs(x, poses if self.levels is None else poses.part(*self.levels[0]))

    def read(
        self,
        latents: Float[Tensor, "batch latents hidden"],
        x: Float[Tensor, "points_batch points columns"],
        poses: Poses,
        *,
        axis: Float[Tensor, "points_batch points space"] | None = None,
        pairs: Pairs | None = None,
        addition: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "batch points outputs"]:
        """Returns the field at points from the result of `mix`; `addition` acts behind the first cross-attention."""
        extra = {} if axis is None else {"axis": axis}
        first = extra if pairs is None else extra | {"pairs": pairs}
        y = self.ffn(self.attention(x, *self._level(0, poses, latents), **first))
        if addition is not None:
            y = addition(y)
        for i, (norm, attention, ffn) in enumerate(self.more, 1):
            y = y + ffn(attention(x, *self._level(i, poses, latents), content=norm(y), **extra))
        return self.head(F.gelu(y))

    def _level(self, i: int, poses: Poses, latents: Tensor) -> tuple[Poses, Tensor]:
        if self.levels is None:
            return poses, latents
        start, stop = self.levels[i]
        return poses.part(start, stop), latents[:, start:stop]

    def forward(
        self,
        x: Float[Tensor, "points_batch points columns"],
        poses: Poses,
        contexts: Float[Tensor, "batch latents channels"],
        *,
        axis: Float[Tensor, "points_batch points space"] | None = None,
    ) -> Float[Tensor, "batch points outputs"]:
        """Returns the field at points.

        Args:
            x: points, with their side channels behind the spatial columns.
            poses: of the latents.
            contexts: of the latents.
            axis: orientations of the points, where the bi-invariant needs them.
        """
        return self.read(self.mix(contexts, poses), x, poses, axis=axis)
