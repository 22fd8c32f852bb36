"""Assertions about surrogates, synthetic shapes and particles, and the test suites that networks inherit.

What needs torch_geometric loads on first use.
"""

from typing import TYPE_CHECKING, Any

from ._assertions import assert_batch_independent as assert_batch_independent
from ._assertions import assert_padding_ignored as assert_padding_ignored
from ._assertions import assert_permutation as assert_permutation
from ._assertions import assert_query_independent as assert_query_independent
from ._assertions import assert_translation_invariant as assert_translation_invariant
from ._assertions import evaluate as evaluate
from ._assertions import largest as largest
from ._assertions import observed_rate as observed_rate
from ._decoder_suite import DecoderSuite as DecoderSuite
from ._shapes import moved as moved
from ._shapes import padded as padded
from ._shapes import permuted as permuted
from ._shapes import random_shapes as random_shapes
from ._shapes import shapes_for as shapes_for
from ._suite import ModelSuite as ModelSuite

if TYPE_CHECKING:
    from ._particles import random_motion as random_motion
    from ._particles import random_particles as random_particles
    from ._stepper_suite import StepperSuite as StepperSuite

_LATER = {
    "StepperSuite": "_stepper_suite",
    "random_motion": "_particles",
    "random_particles": "_particles",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value
