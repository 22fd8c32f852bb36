import dataclasses

import pytest
import torch

from geoops.geometry import Sizes
from geoops.models import OneShotENF
from geoops.models._oneshot import spread
from geoops.testing import ModelSuite, assert_translation_invariant, random_shapes


def small(sizes, **options):
    return OneShotENF(
        sizes,
        **{"hidden": 16, "latents": 12, "blocks": 1, "decoder_hidden": 16, "decoder_layers": 2, "heads": 2, **options},
    )


class TestOneShotENF(ModelSuite):
    def build(self, sizes):
        return small(sizes)


class TestOneShotENFIn3D(ModelSuite):
    sizes = Sizes(dim=3, inputs=0, outputs=3)

    def build(self, sizes):
        return small(sizes, decoder_layers=1, latents=200)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_the_whole_map_is_translation_invariant(dtype, tolerance):
    shapes = random_shapes(2, dtype=dtype)
    network = small(Sizes(2, 5, 1)).to(dtype).eval()
    assert_translation_invariant(network, shapes, atol=tolerance)


def test_latents_are_a_farthest_point_sample_without_repetitions():
    pos = torch.tensor([[[0.0, 0], [1, 0], [0.4, 0], [9, 9]], [[0.0, 0], [2, 0], [1, 1], [1, 0]]])
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    chosen, exists = spread(pos, mask, 5)
    assert chosen[0, :3].tolist() == [1, 0, 2]
    assert exists[0].tolist() == [True, True, True, False, False]
    assert sorted(chosen[1, :4].tolist()) == [0, 1, 2, 3]
    assert exists.sum(1).tolist() == [3, 4]


def test_the_choice_does_not_depend_on_the_order_of_facets():
    shapes = random_shapes(1)
    pos = shapes.token_pos - shapes.token_pos.mean(1, keepdim=True)
    order = torch.randperm(pos.shape[1])
    a, _ = spread(pos, shapes.token_mask, 10)
    b, _ = spread(pos[:, order], shapes.token_mask[:, order], 10)
    torch.testing.assert_close(pos[0, a[0]], pos[0, order][b[0]])


def test_facets_count_by_their_measure_not_by_their_number():
    """Every facet twice with half the measure is the same boundary."""
    shapes = random_shapes(2, dtype=torch.float64)
    network = small(Sizes(2, 5, 1)).double().eval()
    names = [f.name for f in dataclasses.fields(shapes) if f.name.startswith("token")]
    twice = dataclasses.replace(shapes, **{name: torch.cat([getattr(shapes, name)] * 2, 1) for name in names})
    twice.token_size = twice.token_size / 2
    torch.testing.assert_close(network(twice), network(shapes), atol=1e-6, rtol=0)


def test_a_shape_without_boundary_is_refused():
    with pytest.raises(ValueError, match="no boundary tokens"):
        spread(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.bool), 3)


@pytest.mark.parametrize("option", ["latents", "decoder_layers", "heads"])
def test_options_must_be_positive(option):
    with pytest.raises(ValueError, match=option):
        small(Sizes(2, 5, 1), **{option: 0})
