import math

import pytest
import torch
from torch import nn

from geoops import ops
from geoops.models import IntegralKernel
from geoops.testing import DecoderSuite, largest, observed_rate


class TestRelative(DecoderSuite):
    no_gradient = ("kernel.4.bias",)  # a constant cancels

    def build(self, dim):
        return IntegralKernel(dim, widths=(16, 16), radius=0.3)


class TestSource(DecoderSuite):
    translates = False

    def build(self, dim):
        return IntegralKernel(dim, widths=(16, 16), radius=0.3, coords="source")


@pytest.mark.parametrize(("widths", "count"), [((128, 256), 34691), ((256, 256), 68355), ((512, 512), 267779)])
@pytest.mark.parametrize("coords", ["source", "relative"])
def test_published_sizes(widths, count, coords):
    assert sum(p.numel() for p in IntegralKernel(3, widths=widths, coords=coords).parameters()) == count


class Position(nn.Module):
    """The best kernel that does not see the query: the position of the sample."""

    def forward(self, x):
        return x[..., x.shape[-1] // 2 :]


@torch.no_grad()
def test_published_kernel_does_not_see_the_query():
    """Defect 1: two queries with the same samples around them fall on one place, and more samples do not help."""
    X = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    queries = torch.tensor([[0.4, 0.5], [0.6, 0.55]])
    x = torch.stack([X, X + 0.1 * X.square()])
    source, relative = (IntegralKernel(2, radius=1.5, coords=coords)(x, queries)[1] for coords in ("source", "relative"))
    assert torch.equal(source[0], source[1])
    assert largest(relative[0], relative[1]) > 0.1

    decoder = IntegralKernel(2, radius=0.2, coords="source")
    decoder.kernel = Position()
    dense = torch.rand(6000, 2)
    spacings, errors = [], []
    for n in (64, 128, 256, 512, 1024):
        X = dense[ops.fps(dense, number=n)]
        queries = torch.rand(500, 2)
        placed = decoder(torch.stack([X, X + 0.05 * torch.sin(2 * math.pi * X)]), queries)[1]
        error = placed - (queries + 0.05 * torch.sin(2 * math.pi * queries))
        spacings.append(n**-0.5)
        errors.append(float(error.square().mean().sqrt()))
    assert observed_rate(spacings, errors) < 0.3


@torch.no_grad()
def test_a_query_far_from_all_samples_has_the_nearest():
    X = torch.rand(20, 2)
    x = torch.stack([X, X + torch.rand(20, 2)])
    decoder = IntegralKernel(2, radius=0.1)
    for parameter in decoder.parameters():
        parameter.data.zero_()
    far = torch.tensor([[5.0, 5.0]])
    u = (x[1] - X)[torch.cdist(far, X).argmin()]
    assert largest(decoder(x, far)[1], far + u) <= 1e-6


def test_options_that_make_no_sense(unchecked):
    with pytest.raises(ValueError, match=r"coords of source, relative, got 0\.1 and 'query'"):
        IntegralKernel(2, radius=0.1, coords="query")
    with pytest.raises(ValueError, match="radius > 0"):
        IntegralKernel(2, radius=0.0)
