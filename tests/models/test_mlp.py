import pytest
import torch

from geoops.geometry import Sizes
from geoops.models import PointwiseMLP
from geoops.testing import ModelSuite, assert_translation_invariant


class TestPointwiseMLP(ModelSuite):
    def build(self, sizes):
        return PointwiseMLP(sizes, hidden=16, depth=3)


class TestPointwiseMLPIn3D(ModelSuite):
    sizes = Sizes(dim=3, inputs=0, outputs=1)

    def build(self, sizes):
        return PointwiseMLP(sizes, hidden=16, depth=2, query_sdf=False, activation="silu")


def test_the_distance_is_optional():
    network, shapes = TestPointwiseMLPIn3D().ready()
    code = network.encode(shapes)
    assert torch.equal(network.decode(code, shapes.pos, shapes.sdf), network.decode(code, shapes.pos, shapes.sdf + 1))


def test_absolute_positions_fail_the_translation_test():
    with pytest.raises(AssertionError, match="move by 1"):
        assert_translation_invariant(*TestPointwiseMLP().ready())


@pytest.mark.parametrize(("options", "message"), [({"depth": 1}, "depth"), ({"activation": "tanhh"}, "tanhh")])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PointwiseMLP(Sizes(2, 0, 1), **options)
