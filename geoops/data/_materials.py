"""Materials as scene files describe them."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import nn

from geoops.physics import (
    MATERIALS,
    DruckerPrager,
    FixedCorotated,
    Hencky,
    Material,
    NeoHookean,
    StVenantKirchhoff,
    Tait,
    VolumeOnly,
    VonMises,
    WeaklyCompressible,
    material,
)

from ._construct import Value, call, check_options, chosen, options_of

MaterialSpec: TypeAlias = str | dict[str, Value]

ELASTIC: dict[str, Callable[..., nn.Module]] = {
    kind.__name__: kind for kind in (FixedCorotated, Hencky, NeoHookean, StVenantKirchhoff, Tait, WeaklyCompressible)
}
PLASTIC: dict[str, Callable[..., nn.Module]] = {kind.__name__: kind for kind in (DruckerPrager, VolumeOnly, VonMises)}


def resolve_material(spec: MaterialSpec) -> Material:
    """Returns the material of a description.

    Args:
        spec: one of `geoops.physics.MATERIALS`, or a law with its constants such as
            `{"elastic": "Hencky", "young": 3e5, "poisson": 0.25, "plastic": "VonMises", "yield_stress": 5e3}`. Scenes may also
            name a learned material, `{"law": FILE}`, which `geoops simulate` reads. An option `name` is only a label.

    Raises:
        ValueError: there is no such material, law or constant, or one is missing or out of range.
    """
    if isinstance(spec, str):
        chosen("material", spec, MATERIALS)
        return material(spec)
    options = {key: value for key, value in spec.items() if key != "name"}
    if "law" in options:
        raise ValueError(f"cannot read the learned law {options['law']!r} here; pass geoops.learning.resolve_law as `resolve`")
    if "elastic" not in options:
        raise ValueError(f"a material needs 'elastic', one of {', '.join(ELASTIC)}, or is one of {', '.join(MATERIALS)}")
    name, plastic = options.pop("elastic"), options.pop("plastic", None)
    make = chosen("elastic law", name, ELASTIC)
    known = options_of(make)
    mapping = None if plastic is None else chosen("return map", plastic, PLASTIC)
    own = {} if mapping is None else {key: needed for key, needed in options_of(mapping).items() if key != "elastic"}
    what = f"material {name}" if mapping is None else f"material {name} with {plastic}"
    check_options(what, options, {**known, **own})
    law = call(what, make, **_some(options, known))
    if mapping is None:
        return Material(law)
    first = {"elastic": law} if "elastic" in options_of(mapping) else {}
    return Material(law, call(what, mapping, **first, **_some(options, own)))


def material_label(spec: MaterialSpec) -> str:
    """Returns the name of a description of a material: the one it gives, or else its constants."""
    if isinstance(spec, str):
        return spec
    return str(spec["name"]) if "name" in spec else ", ".join(f"{key}={value}" for key, value in spec.items())


def _some(options: Mapping[str, Value], names: Mapping[str, bool]) -> dict[str, Value]:
    return {key: value for key, value in options.items() if key in names}
