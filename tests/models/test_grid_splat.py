import pytest
import torch

from geoops.models import GridSplat
from geoops.testing import DecoderSuite, largest


class TestGridSplat(DecoderSuite):
    no_gradient = ("net.4.bias",)  # a constant cancels

    def build(self, dim):
        return GridSplat(dim, hidden=8)


class TestFine(DecoderSuite):
    no_gradient = ("net.4.bias",)  # a constant cancels

    def build(self, dim):
        return GridSplat(dim, hidden=8, resolution=12, smoothing=0.4)


@pytest.mark.parametrize("authors", [False, True])
def test_published_size(authors):
    assert sum(p.numel() for p in GridSplat(3, authors=authors).parameters()) == 5967


@torch.no_grad()
def test_published_quirks_and_what_became_of_them():
    """Defect 17: no position in the skip path, outputs clipped to a box, and random in evaluation."""
    X, queries = torch.rand(500, 3), torch.rand(50, 3)
    still = torch.stack([X, X])
    theirs, ours = GridSplat(3, authors=True, resolution=8).eval(), GridSplat(3).eval()
    assert largest(ours(still, queries)[1], queries) <= 1e-6
    assert largest(theirs(still, queries)[1], queries) > 0.1
    x = torch.stack([X, X + 0.1 * X.square().roll(1, 1)])
    assert torch.equal(ours(x, queries), ours(x, queries))
    assert not torch.equal(theirs(x, queries), theirs(x, queries))
    far = torch.stack([X, X + 5])
    assert largest(ours(far, queries)[1], queries + 5) <= 1e-5
    assert theirs(far, queries)[1].max() <= 0.999
    assert theirs(far, queries)[1].min() >= 0.001


@torch.no_grad()
def test_lattice_follows_the_number_of_samples():
    queries = torch.rand(200, 2)
    errors = []
    for n in (100, 1600):
        X = torch.rand(n, 2)
        x = torch.stack([X, X + 0.1 * torch.sin(6 * X)])
        errors.append(float((GridSplat(2)(x, queries)[1] - queries - 0.1 * torch.sin(6 * queries)).norm(dim=1).mean()))
    assert errors[1] < 0.5 * errors[0]


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="resolution >= 2"):
        GridSplat(2, resolution=1)
