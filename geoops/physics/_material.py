"""A material is a stress law and a return map."""

from collections.abc import Callable
from typing import final

from torch import nn

from ._elastic import FixedCorotated, Hencky, WeaklyCompressible
from ._return_maps import DruckerPrager, Unchanged, VolumeOnly, VonMises


@final
class Material(nn.Module):
    """A stress law and a return map.

    Args:
        elastic: Kirchhoff stress of deformation gradients.
        plastic: return map of trial deformation gradients; none for elastic materials.
    """

    def __init__(self, elastic: nn.Module, plastic: nn.Module | None = None):
        super().__init__()
        self.elastic, self.plastic = elastic, plastic or Unchanged()


def _sand() -> Material:
    elastic = Hencky(1e6, 0.2)
    return Material(elastic, DruckerPrager(elastic, 25.0))


def _plasticine() -> Material:
    elastic = Hencky(3e5, 0.25)
    return Material(elastic, VonMises(elastic, 5e3))


#: The four materials of NCLaw (Ma et al. 2023), in SI units for a density of 1000.
MATERIALS: dict[str, Callable[[], Material]] = {
    "jelly": lambda: Material(FixedCorotated(1e5, 0.2)),
    "plasticine": _plasticine,
    "sand": _sand,
    "water": lambda: Material(WeaklyCompressible(1e5, 0.3), VolumeOnly()),
}


def material(name: str) -> Material:
    """Returns one of the materials that have names: jelly, plasticine, sand or water.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in MATERIALS:
        raise ValueError(f"no material {name!r}; there are {', '.join(sorted(MATERIALS))}")
    return MATERIALS[name]()
