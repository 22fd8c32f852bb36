import pytest
import torch

from geoops.geometry import Sizes
from geoops.models import Transolver
from geoops.testing import ModelSuite, random_shapes


class TestTransolver(ModelSuite):
    def build(self, sizes):
        return Transolver(sizes, hidden=16, layers=2, slices=4, heads=2)


class TestTransolverWithInputsIn3D(ModelSuite):
    sizes = Sizes(dim=3, inputs=2, outputs=1)

    def build(self, sizes):
        return Transolver(sizes, hidden=16, layers=2, slices=4, heads=4, mlp_ratio=2.0, query_sdf=False, node_inputs=True)

    def test_forward_is_decode_of_encode(self):
        network, shapes = self.ready()
        torch.testing.assert_close(network(shapes), network(shapes, shapes.pos, shapes.sdf))


def test_a_subset_of_queries_costs_nothing_but_time():
    network, shapes = TestTransolver().ready()
    some = network(shapes, shapes.pos[:, 3:9], shapes.sdf[:, 3:9])
    torch.testing.assert_close(some, network(shapes)[:, 3:9], atol=1e-5, rtol=1e-5)


def test_published_size_of_the_elasticity_model():
    """0.71 million parameters at the settings of the paper's Elasticity run, of which the distance adds one column."""
    network = Transolver(Sizes(dim=2, inputs=0, outputs=1), query_sdf=False)
    count = sum(p.numel() for p in network.parameters())
    block = 2 * 2 * 128 + 3 * (128 * 128 + 128) + (16 * 64 + 64) + 3 * 16 * 16 + 8 + 2 * (128 * 128 + 128)
    assert count == (2 * 256 + 256) + (256 * 128 + 128) + 128 + 8 * block + (2 * 128 + 128 + 1)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads=3"):
        Transolver(Sizes(2, 0, 1), hidden=16, heads=3)


def test_runs_on_random_shapes_without_globals():
    network = Transolver(Sizes(dim=2, inputs=5, outputs=1), hidden=8, layers=1, slices=2, heads=1)
    assert network(random_shapes(2)).shape[-1] == 1
