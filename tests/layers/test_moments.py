import pytest
import torch

from geoops.layers import Moments


def test_batches_count_as_one():
    torch.manual_seed(0)
    rows = 3 + torch.tensor([1.0, 10.0]) * torch.randn(50, 2)
    moments = Moments()
    for part in rows.split(7):
        moments.add(part)
    mean, std = torch.zeros(2), torch.zeros(2)
    moments.fill(mean, std)
    torch.testing.assert_close(mean, rows.mean(0))
    torch.testing.assert_close(std, rows.std(0, correction=0))


def test_constants_are_not_scaled():
    moments = Moments()
    moments.add(torch.full((9, 1), 0.1))
    mean, std = torch.zeros(1), torch.zeros(1)
    moments.fill(mean, std)
    assert (mean.item(), std.item()) == (pytest.approx(0.1), 1)


def test_nothing_counted():
    with pytest.raises(ValueError, match="no shapes"):
        Moments().fill(torch.zeros(1), torch.zeros(1))
