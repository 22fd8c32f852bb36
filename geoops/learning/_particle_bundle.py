"""A trained stepper or decoder as one `.safetensors` file: weights, and JSON metadata with everything else."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import geoops.models
from geoops.models._decoder import Decoder
from geoops.models._stepper import Stepper, StepperSizes

from ._bundle import BUNDLE_FORMAT, read_meta, write_safetensors
from ._packaged import find_checkpoint

FLUIDS = frozenset({"water", "sand"})  # materials whose particles leave their neighbours


class StepperBundle(NamedTuple):
    """A stepper in evaluation mode, and the metadata: keep, degree, spacing and results of its training among them."""

    stepper: Stepper
    meta: dict[str, Any]


def export_particles(
    path: str | Path,
    network: Stepper | Decoder,
    *,
    options: Mapping[str, Any],
    data: Mapping[str, Any],
    weights: Mapping[str, Tensor] | None = None,
    training: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a stepper or a decoder (whole or not at all).

    Args:
        path: ends in `.safetensors`.
        network: its class is found again by name in `geoops.models`.
        options: constructor options.
        data: what the roll-out must know of the training data: keep, degree, choice and time between frames.
        weights: averaged parameters that replace the network's own.
        training: provenance.
        results: reported errors.

    Raises:
        ValueError: another ending.
        OSError: the path is not writable.
    """
    from geoops import __version__

    role = "stepper" if isinstance(network, Stepper) else "decoder"
    meta = {
        "format": BUNDLE_FORMAT,
        role: type(network).__name__,
        "options": dict(options),
        "sizes": asdict(network.sizes) if isinstance(network, Stepper) else {"dim": network.dim},
        "data": dict(data),
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": dict(training or {}),
        "results": dict(results or {}),
        "versions": {"geoops": __version__, "torch": str(torch.__version__)},
    }
    return write_safetensors(Path(path), {**network.state_dict(), **(weights or {})}, meta)


def read_stepper(path_or_name: str | os.PathLike, network_class: type[Stepper] | None = None) -> StepperBundle:
    """Reads a stepper; nothing in the file is executed.

    Args:
        path_or_name: a file, or the name of a packaged stepper such as `"particles/jelly2d"`.
        network_class: for steppers that are not in `geoops.models`.

    Raises:
        FileNotFoundError: there is neither; the message lists the names there are.
        ValueError: truncated or foreign file, a bundle of something else, or weights of another network.
    """
    path = find_checkpoint(path_or_name)
    meta = _meta(path, "stepper")
    cls = network_class or find_class(meta["stepper"], Stepper, str(path))
    sizes = StepperSizes(meta["sizes"]["dim"], tuple(meta["sizes"]["materials"]), meta["sizes"]["history"])
    return StepperBundle(_loaded(path, lambda: cls(sizes, **meta["options"])), meta)


def read_decoder(path_or_name: str | os.PathLike, network_class: type[Decoder] | None = None) -> Decoder:
    """Reads a decoder; arguments and errors as `read_stepper`."""
    path = find_checkpoint(path_or_name)
    meta = _meta(path, "decoder")
    cls = network_class or find_class(meta["decoder"], Decoder, str(path))
    return _loaded(path, lambda: cls(meta["sizes"]["dim"], **meta["options"]))


def default_decoder(materials: Iterable[str]) -> str:
    """Returns the class of the decoder that needs no training: `FlowMap` where something flows, `MovingLeastSquares` elsewhere."""
    return "FlowMap" if FLUIDS & set(materials) else "MovingLeastSquares"


def make_decoder(which: str | os.PathLike, dim: int) -> Decoder:
    """Returns a decoder by the name of its class, untrained, or from a file or the name of a packaged one.

    Raises:
        FileNotFoundError: there is no such class or file.
        ValueError: the decoder is of a class that has to be trained, or for another dimension, or the file is none.
    """
    cls = getattr(geoops.models, str(which), None)
    if isinstance(cls, type) and issubclass(cls, Decoder):
        if cls.needs_training or cls is Decoder:
            raise ValueError(
                f"{which} places nothing sensible before it is trained: give a file of geoops fit, or one of {', '.join(_ready())}"
            )
        return cls(dim).eval().requires_grad_(False)
    try:
        decoder = read_decoder(which)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; decoders without training are {', '.join(_ready())}") from error
    if decoder.dim != dim:
        raise ValueError(f"{which} is a decoder for {decoder.dim} dimensions, the particles are in {dim}")
    return decoder


def _ready() -> list[str]:
    """Returns the names of the decoders that need no training."""
    every = {name: getattr(geoops.models, name) for name in dir(geoops.models)}
    decoders = {name: cls for name, cls in every.items() if isinstance(cls, type) and issubclass(cls, Decoder)}
    return [name for name, cls in decoders.items() if cls is not Decoder and not cls.needs_training]


def find_class(name: str, base: type, where: str) -> Any:
    """Returns a class of `geoops.models` by name.

    Raises:
        ValueError: there is none of this name and kind.
    """
    cls = getattr(geoops.models, name, None)
    if not (isinstance(cls, type) and issubclass(cls, base) and cls is not base):
        raise ValueError(
            f"{where} holds a {name!r}, which is no {base.__name__.lower()} of geoops.models; pass its class as network_class"
        )
    return cls


def _meta(path: Path, role: str) -> dict[str, Any]:
    meta = read_meta(path)
    if role not in meta:
        kinds = ("stepper", "decoder", "network", "material")
        found = next((kind for kind in kinds if kind in meta), "something else")
        raise ValueError(f"{path} holds a {found}, not a {role}")
    return meta


def _loaded(path: Path, make: Any) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network = make()
        network.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from error
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not fit this geoops: {error}") from error
    return network.eval().requires_grad_(False)
