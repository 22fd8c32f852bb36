"""One law for several materials: every particle obeys the law of its own material."""

from collections.abc import Iterable
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@final
class ByMaterial(nn.Module):
    r"""Applies to the particles of each material the law of that material.

    $$F_p \mapsto L_{m(p)}(F_p)$$

    As `elastic` or `plastic` of `MPM` it makes a scene of several materials.

    Args:
        laws: stress laws, or return maps; a law that two materials share may stand there twice.
        material: m, for each particle a place in `laws`; the same for all scenes.

    Raises:
        ValueError: a particle points beyond the laws.

    Example:
        >>> import torch
        >>> from geoops.physics import ByMaterial, FixedCorotated, WeaklyCompressible
        >>> laws = FixedCorotated(1e5, 0.2), WeaklyCompressible(1e5, 0.3)
        >>> both = ByMaterial(laws, torch.tensor([0, 1, 1]))
        >>> both(1.01 * torch.eye(3).expand(3, 3, 3))[:, 0, 0].long()
        tensor([1708, 1801, 1801])
    """

    def __init__(self, laws: Iterable[nn.Module], material: Int[Tensor, " particles"]):
        super().__init__()
        self.laws = nn.ModuleList(laws)
        if len(material) and not 0 <= int(material.min()) <= int(material.max()) < len(self.laws):
            raise ValueError(
                f"ByMaterial: expected material from 0 to {len(self.laws) - 1} for {len(self.laws)} laws, "
                f"got {int(material.min())} to {int(material.max())}"
            )
        order = material.argsort(stable=True)
        self.register_buffer("material", material, persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self._counts = torch.bincount(material, minlength=len(self.laws)).tolist()

    def shares(self, values: Float[Tensor, "*scenes particles"]) -> list[tuple[nn.Module, Tensor]]:
        """Returns the laws that have particles, each with the values of its particles."""
        self._check_count(values.shape[-1])
        parts = values.index_select(-1, self.order).split(self._counts, -1)
        return [(law, part) for law, part in zip(self.laws, parts, strict=True) if part.shape[-1]]

    def forward(self, F: Float[Tensor, "*scenes particles d d"]) -> Float[Tensor, "*scenes particles d d"]:
        self._check_count(F.shape[-3])
        if max(self._counts, default=0) == len(self.material):
            return self.laws[self._counts.index(len(self.material))](F)
        parts = F.index_select(-3, self.order).split(self._counts, -3)
        mapped = [law(part) for law, part in zip(self.laws, parts, strict=True) if part.shape[-3]]
        return torch.cat(mapped, -3).index_select(-3, self.back)

    def _check_count(self, count: int) -> None:
        if count != len(self.material):
            raise ValueError(f"ByMaterial: the materials of {len(self.material)} particles are known, got {count} particles")
