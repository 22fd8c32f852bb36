"""Assertions about surrogates, synthetic shapes, and the test suites that networks and decoders inherit."""

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
