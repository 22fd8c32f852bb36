"""A learned material as one `.safetensors` file: weights, and JSON metadata with the laws."""

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geoops.models
import geoops.physics
from geoops.data import resolve_material
from geoops.data._materials import MaterialSpec
from geoops.physics import Law, Material, material

from ._bundle import BUNDLE_FORMAT, read_meta, write_safetensors
from ._packaged import find_checkpoint


def law_facts(law: Law | None) -> dict[str, Any] | None:
    """Returns class and options of a law: constructor arguments that it keeps as attributes of their names.

    Raises:
        ValueError: an option is no plain value, so that a file could not hold it.
    """
    if law is None:
        return None
    name = type(law).__name__
    options = {key: getattr(law, key) for key in inspect.signature(type(law)).parameters if hasattr(law, key)}
    try:
        return {"class": name, "options": json.loads(json.dumps(options))}
    except TypeError as error:
        raise ValueError(f"options of {name} must be plain values to be stored, got {options}") from error


def export_material(
    path: str | Path,
    of: Material,
    facts: Mapping[str, Any],
    *,
    training: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a material (whole or not at all).

    Args:
        path: ends in `.safetensors`.
        of: the material.
        facts: `formula`, the name of a known material, or `elastic` and `plastic` as `law_facts` returns them.
        training: how it was trained.
        results: reported errors.

    Raises:
        ValueError: another ending.
        OSError: the path is not writable.
    """
    from geoops import __version__

    meta = {
        "format": BUNDLE_FORMAT,
        "material": dict(facts),
        "parameters": sum(p.numel() for p in of.parameters()),
        "training": dict(training or {}),
        "results": dict(results or {}),
        "versions": {"geoops": __version__},
    }
    return write_safetensors(Path(path), of.state_dict(), meta)


def read_material(path_or_name: str | os.PathLike, *laws: type[Law]) -> Material:
    """Reads a material; nothing in the file is executed.

    Args:
        path_or_name: a file, such as `model.safetensors` of a run, or the name of a packaged material such as
            `"nclaw/jelly-structured"`.
        *laws: classes of laws that are not in geoops, if the material has such.

    Raises:
        FileNotFoundError: there is neither; the message lists the names there are.
        ValueError: truncated or foreign file, a bundle of something else, or weights of other laws.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = find_checkpoint(path_or_name)
    meta = read_meta(path)
    if "material" not in meta:
        raise ValueError(f"{path} is a bundle of the network {meta.get('network')}, not of a material")
    facts = meta["material"]
    try:
        known = facts.get("formula")
        found = material(known) if known else Material(_build(facts["elastic"], laws), _build(facts["plastic"], laws))
        found.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit the laws of this geoops: {error}") from error
    return found.eval().requires_grad_(False)


def resolve_law(spec: MaterialSpec, folder: str | Path = "") -> Material:
    """Returns the material of a description in a scene, also of learned ones.

    Args:
        spec: as `geoops.data.resolve_material` takes it, or `{"law": FILE}` with a file that `export_material` wrote or the
            name of a packaged law such as nclaw/jelly-structured; `name` beside it is a label.
        folder: where relative paths begin, `scene.folder` for those of a scene.

    Raises:
        FileNotFoundError: there is neither such a file nor such a packaged law.
        ValueError: the description is wrong, or the file holds no material.

    Example:
        With a scene: `simulated(scene, partial(resolve_law, folder=scene.folder))`.

        >>> from geoops.learning import resolve_law
        >>> resolve_law("jelly").elastic
        FixedCorotated()
    """
    if isinstance(spec, str) or "law" not in spec:
        return resolve_material(spec)
    if others := [key for key in spec if key not in ("law", "name")]:
        raise ValueError(f"a learned material has no option {others[0]!r}; there are law and name")
    return read_material(find_checkpoint(str(spec["law"]), folder))


def _build(facts: Mapping[str, Any] | None, laws: tuple[type[Law], ...]) -> Law | None:
    return None if facts is None else _find_law(facts["class"], laws)(**facts["options"])


def _find_law(name: str, laws: tuple[type[Law], ...]) -> type[Law]:
    known = (getattr(where, name, None) for where in (geoops.models, geoops.physics))
    for cls in (*(law for law in laws if law.__name__ == name), *known):
        if isinstance(cls, type) and issubclass(cls, Law):
            return cls
    raise ValueError(f"{name!r} is no law of geoops: give its class, read_material(path, {name})")
