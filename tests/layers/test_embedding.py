import math

import pytest
import torch

from geoops.layers import FourierEmbedding, FourierFeatures


def test_features_are_sines_and_cosines_of_frozen_frequencies():
    torch.manual_seed(0)
    features, r = FourierFeatures(3, 10, 0.5).double(), torch.randn(7, 3, dtype=torch.float64)
    angles = 2 * math.pi * r @ features.frequencies
    torch.testing.assert_close(features(r), torch.cat([angles.sin(), angles.cos()], 1))
    assert not list(features.parameters())
    assert "frequencies" in features.state_dict()


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_freq_std_is_the_standard_deviation_in_periods_per_unit(std):
    torch.manual_seed(0)
    assert FourierFeatures(4, 20000, std).frequencies.std().item() == pytest.approx(std, rel=0.02)


def test_embedding_is_two_layers_on_top():
    torch.manual_seed(0)
    embedding, r = FourierEmbedding(2, 6, 1.0, "relu"), torch.randn(3, 5, 2)
    torch.testing.assert_close(embedding(r), embedding.second(embedding.first(embedding.features(r)).relu()))


@pytest.mark.parametrize(("features", "std", "message"), [(5, 1.0, "even"), (4, 0.0, "freq_std"), (4, -1.0, "freq_std")])
def test_bad_options_are_named(features, std, message):
    with pytest.raises(ValueError, match=message):
        FourierFeatures(2, features, std)
