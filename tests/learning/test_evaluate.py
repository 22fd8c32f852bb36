import pytest
import torch

from geoops.data import FieldBatch
from geoops.learning._evaluate import predict
from geoops.models import Network
from geoops.testing import random_shapes


class Gradient(Network):
    """Encodes by a gradient, as an inner loop does."""

    encodes_with_grad = True

    def encode(self, shapes):
        code = torch.zeros(len(shapes), requires_grad=True)
        return torch.autograd.grad((code * shapes.sdf.sum((1, 2))).sum(), code)[0]

    def decode(self, code, pos, sdf):
        return code[:, None, None] + pos[..., :1]


@pytest.fixture
def batch():
    shapes = random_shapes(3)
    return FieldBatch(shapes, shapes.pos, shapes.sdf, shapes.sdf, shapes.mask)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_encoders_with_gradients_work_without_grad_mode(batch, mode):
    from geoops.geometry import Sizes

    network = Gradient(Sizes(2, 5, 1))
    expected = batch.sdf.sum((1, 2))[:, None, None] + batch.pos[..., :1]
    with mode():
        inside = FieldBatch(batch.shapes.to(torch.float32), *(t.clone() for t in batch[1:]))
        got = predict(network, inside, 10_000)
    torch.testing.assert_close(got, expected)
    assert not got.requires_grad


def test_chunks_change_nothing(batch, tiny):
    from geoops.geometry import Sizes

    network = tiny(Sizes(2, 5, 1)).eval()
    torch.testing.assert_close(predict(network, batch, 7), predict(network, batch, 10_000))
