"""A trained surrogate as one `.safetensors` file: weights, and JSON metadata with everything else."""

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import geoops.models
from geoops.data import Normalizer, Task
from geoops.geometry import Sizes
from geoops.models import Network

from ._json import finite
from ._network_options import plain_options

BUNDLE_FORMAT = 1


class Bundle(NamedTuple):
    """What a bundle holds: the network in evaluation mode, the normaliser, the task, and the metadata."""

    network: Network
    normalizer: Normalizer
    task: Task
    meta: dict[str, Any]


def export_bundle(
    path: str | Path,
    network: Network,
    normalizer: Normalizer,
    *,
    options: Mapping[str, Any],
    weights: Mapping[str, Tensor] | None = None,
    training: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a bundle (whole or not at all).

    Args:
        path: ends in `.safetensors`.
        network: its class is found again by name in `geoops.models`.
        normalizer: of the training set, with the task.
        options: constructor options of the network.
        weights: averaged parameters that replace the network's own.
        training: provenance: command, seed, steps, wall clock, hardware, threads, versions.
        results: reported errors.

    Raises:
        ValueError: another ending, or options that JSON cannot hold.
        OSError: the path is not writable.
    """
    from geoops import __version__

    state = {**network.state_dict(), **(weights or {})}
    meta = {
        "format": BUNDLE_FORMAT,
        "network": type(network).__name__,
        "options": plain_options(network, dict(options)),
        "sizes": asdict(network.sizes),
        "normalizer": normalizer.state_dict(),
        "task": normalizer.task.to_dict(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": dict(training or {}),
        "results": dict(results or {}),
        "versions": {"geoops": __version__, "torch": str(torch.__version__)},
    }
    return write_safetensors(Path(path), state, meta)


def write_safetensors(path: Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
    """Writes tensors and metadata, whole or not at all."""
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise ValueError(f"a bundle ends in .safetensors, got {path}")
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(save(tensors, metadata={"geoops": json.dumps(finite(meta), allow_nan=False)}))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def read_meta(path: str | Path) -> dict[str, Any]:
    """Returns the metadata of a bundle.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is empty, truncated, no bundle, or of another format version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no bundle {path}")
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                raise ValueError("the header is longer than the file")
            header = json.loads(file.read(length))
        meta = json.loads(header["__metadata__"]["geoops"])
    except KeyError as error:
        raise ValueError(f"{path} is a safetensors file without geoops metadata: not a bundle") from error
    except (struct.error, ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a readable bundle (empty, truncated or of another program): {error}") from error
    if meta.get("format") != BUNDLE_FORMAT:
        raise ValueError(
            f"{path} has bundle format {meta.get('format')}, this geoops reads {BUNDLE_FORMAT}: "
            f"it was written by geoops {meta.get('versions', {}).get('geoops', '?')}; "
            "install that version or train again"
        )
    return meta


def read_bundle(path: str | Path, network_class: type[Network] | None = None) -> Bundle:
    """Reads a bundle; nothing in the file is executed.

    Args:
        path: the `.safetensors` file.
        network_class: for networks that are not in `geoops.models`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: truncated or foreign file, other format version, unknown network, or weights of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    meta = read_meta(path)
    if "network" not in meta:
        raise ValueError(f"{path} holds a material, not a network: geoops.learning.read_material reads it")
    cls = network_class or find_network(meta["network"], str(path))
    if cls.__name__ != meta["network"]:
        raise ValueError(f"{path} holds a {meta['network']}, not a {cls.__name__}")
    try:
        network = cls(Sizes(**meta["sizes"]), **meta["options"])
        network.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit the {cls.__name__} of this geoops: {error}") from error
    network.eval().requires_grad_(False)
    normalizer = Normalizer.from_state_dict(meta["normalizer"])
    return Bundle(network, normalizer, normalizer.task, meta)


def find_network(name: str, where: str) -> type[Network]:
    """Returns a network class of `geoops.models` by name.

    Raises:
        ValueError: there is no such network (the message lists the ones there are).
    """
    known = {n: c for n, c in vars(geoops.models).items() if isinstance(c, type) and issubclass(c, Network) and c is not Network}
    if name not in known:
        raise ValueError(
            f"{where} holds a network {name!r}, which is not in geoops.models ({', '.join(sorted(known))}); "
            "pass its class as network_class"
        )
    return known[name]
