"""Losses, metrics, training and bundles; networks come as arguments.

What needs Lightning loads on first use, so that reading a bundle for inference stays quick.
"""

from typing import TYPE_CHECKING

from ._bundle import Bundle as Bundle
from ._bundle import export_bundle as export_bundle
from ._bundle import find_network as find_network
from ._bundle import read_bundle as read_bundle
from ._bundle import read_meta as read_meta
from ._json import write_json as write_json
from ._losses import FieldScale as FieldScale
from ._losses import mse as mse
from ._losses import rel_l2 as rel_l2
from ._losses import relative_errors as relative_errors
from ._material_bundle import export_material as export_material
from ._material_bundle import read_material as read_material
from ._material_bundle import resolve_law as resolve_law
from ._metrics import MetricRegion as MetricRegion
from ._metrics import summarise as summarise
from ._optimizers import MuonAdamW as MuonAdamW
from ._packaged import checkpoint_names as checkpoint_names
from ._packaged import find_checkpoint as find_checkpoint
from ._schedule import warmup_cosine as warmup_cosine

if TYPE_CHECKING:
    from ._checkpoint_io import AtomicCheckpointIO as AtomicCheckpointIO
    from ._checkpoint_io import read_checkpoint as read_checkpoint
    from ._decoder_fit import DecoderFit as DecoderFit
    from ._fit import Fit as Fit
    from ._material_fit import MaterialFit as MaterialFit
    from ._particle_bundle import default_decoder as default_decoder
    from ._particle_bundle import export_particles as export_particles
    from ._particle_bundle import make_decoder as make_decoder
    from ._particle_bundle import read_decoder as read_decoder
    from ._particle_bundle import read_stepper as read_stepper
    from ._particle_fit import ParticleFit as ParticleFit
    from ._progress import FitProgress as FitProgress
    from ._record import HistoryWriter as HistoryWriter
    from ._record import provenance as provenance
    from ._roll_out import as_motion as as_motion
    from ._roll_out import free_fall as free_fall
    from ._roll_out import roll_out as roll_out
    from ._roll_out import step_errors as step_errors
    from ._stepper_fit import StepperFit as StepperFit
    from ._surrogate import Surrogate as Surrogate

_MODULES = {
    "AtomicCheckpointIO": "_checkpoint_io",
    "read_checkpoint": "_checkpoint_io",
    "DecoderFit": "_decoder_fit",
    "Fit": "_fit",
    "MaterialFit": "_material_fit",
    "export_particles": "_particle_bundle",
    "default_decoder": "_particle_bundle",
    "make_decoder": "_particle_bundle",
    "read_decoder": "_particle_bundle",
    "read_stepper": "_particle_bundle",
    "ParticleFit": "_particle_fit",
    "FitProgress": "_progress",
    "HistoryWriter": "_record",
    "provenance": "_record",
    "as_motion": "_roll_out",
    "free_fall": "_roll_out",
    "roll_out": "_roll_out",
    "step_errors": "_roll_out",
    "StepperFit": "_stepper_fit",
    "Surrogate": "_surrogate",
}


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
