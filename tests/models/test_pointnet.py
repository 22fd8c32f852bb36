import pytest
import torch

from geoops.geometry import Sizes
from geoops.models import PointNet
from geoops.testing import ModelSuite


class TestPointNet(ModelSuite):
    def build(self, sizes):
        return PointNet(sizes, hidden=16, code=24, depth=3)


class TestPointNetWithoutInputsIn3D(ModelSuite):
    sizes = Sizes(dim=3, inputs=2, outputs=1)

    def build(self, sizes):
        return PointNet(sizes, hidden=16, code=8, depth=2, query_sdf=False, node_inputs=False)


def test_the_code_goes_to_every_query_as_if_it_were_concatenated():
    network, shapes = TestPointNet().ready()
    code, mu = network.encode(shapes)
    h = network.local(torch.cat([shapes.pos, shapes.sdf, mu[:, None].expand(-1, shapes.pos.shape[1], -1)], -1))
    plain = network.decoder(torch.cat([h, code[:, None].expand(-1, h.shape[1], -1)], -1))
    torch.testing.assert_close(network.decode((code, mu), shapes.pos, shapes.sdf), plain, atol=1e-6, rtol=1e-6)


def test_depth_is_checked():
    with pytest.raises(ValueError, match="depth"):
        PointNet(Sizes(2, 0, 1), depth=1)
