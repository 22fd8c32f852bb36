"""Trained surrogates by path or by name."""

import os
from pathlib import Path
from typing import Any

import torch

from geoops.data import Normalizer
from geoops.geometry import Sizes
from geoops.inference._predictor import Predictor
from geoops.learning import _find, find_checkpoint, read_bundle
from geoops.models import Network


def load(path_or_name: str | os.PathLike, network: type[Network] | None = None, device: str | torch.device = "cpu") -> Predictor:
    """Loads a trained surrogate.

    Args:
        path_or_name: a bundle (`.safetensors`), a training checkpoint (`.ckpt`; its averaged weights are taken), or the
            name of a packaged model, such as `"unit-cell/enf2enf"`.
        network: class of the network, if it is not one of `geoops.models`.
        device: where it computes.

    Raises:
        FileNotFoundError: no such file or name; the message lists the names there are.
        ValueError: the file is empty, truncated or foreign, of another version, or of a network that is not known.
    """
    path = find_checkpoint(path_or_name)
    root = _find.checkpoints_folder()
    inside = path.is_relative_to(root)
    name = path.relative_to(root).with_suffix("").as_posix() if inside else path.stem
    if path.suffix == ".ckpt":
        predictor = _from_training(path, network, name)
    elif path.suffix == ".safetensors":
        bundle = read_bundle(path, network)
        predictor = Predictor(bundle.network, bundle.normalizer, name=name, metadata=bundle.meta)
    else:
        raise ValueError(f"{path} is no checkpoint: its name must end in .safetensors or .ckpt")
    predictor.network.requires_grad_(False)
    return predictor.to(device)


def _from_training(path: Path, network: type[Network] | None, name: str) -> Predictor:
    """Builds the predictor of a checkpoint that Lightning wrote during training; no code in it is run."""
    from geoops.learning import read_checkpoint
    from geoops.learning._bundle import find_network

    content = read_checkpoint(path)
    try:
        facts: dict[str, Any] = content["geoops"]
        normalizer = Normalizer.from_state_dict(content["MeshData"]["normalizer"])
        cls = network or find_network(facts["network"], str(path))
        module = cls(Sizes(**facts["sizes"]), **facts["options"])
        prefix = "network."
        weights = {k[len(prefix) :]: v for k, v in content["state_dict"].items() if k.startswith(prefix)}
        module.load_state_dict({**weights, **facts["average"]["weights"]})
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold a network that this version of geoops can build: {error}") from error
    return Predictor(module, normalizer, name=name, metadata={k: v for k, v in facts.items() if k != "average"})
