import math

import pytest
import torch

from geoops.layers import FNO, SpectralConv


@pytest.mark.parametrize("dim", [2, 3])
def test_convolution_keeps_the_lowest_modes(dim, device, dtype, tolerance):
    """A wave below the limit is scaled by its own weight, and one above it leaves the bias alone."""
    net = SpectralConv(1, 1, (6,) * dim).to(device, dtype)
    size = (16, 12, 10)[:dim]
    grid = torch.meshgrid(*(2 * math.pi * torch.arange(n, dtype=dtype, device=device) / n for n in size), indexing="ij")
    weight = torch.view_as_complex(net.weight.detach())[0, 0]
    for wave in ((2, 1), (-2, 3), (1, 2)):
        phase = wave[0] * grid[0] + wave[1] * grid[-1]
        at = (3 + wave[0], *[3] * (dim - 2), wave[1])
        expected = (weight[at] * torch.exp(1j * phase)).real + net.bias
        torch.testing.assert_close(net(phase.cos()[None, ..., None])[0, ..., 0], expected, **tolerance)
    high = net((4 * grid[0]).cos()[None, ..., None])
    torch.testing.assert_close(high, net.bias.expand_as(high), **tolerance)


def test_coarse_and_fine_lattices_agree():
    net = FNO(2, 1, 2, modes=4, layers=1, stabiliser=None).double()

    def field(n):
        x, y = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) / n] * 2, indexing="ij")
        return torch.exp(torch.sin(2 * math.pi * (x + y)))[None, ..., None]

    torch.testing.assert_close(net(field(48))[:, ::2, ::2], net(field(24)), rtol=1e-6, atol=1e-6)


def test_published_size():
    """The library counts a complex weight as two numbers."""
    assert sum(p.numel() for p in FNO(2, 3, 128).parameters()) == 1_288_736
    assert sum(p.numel() for p in FNO(2, 64, 128).parameters()) == 1_290_688


@pytest.mark.parametrize(("dim", "size"), [(2, (16, 16)), (2, (5, 4)), (3, (4, 5, 6)), (3, (2, 2, 2))])
def test_more_modes_than_the_lattice_has(dim, size, device, dtype):
    net = FNO(dim, 3, 2, hidden=4, modes=8).to(device, dtype)
    z = torch.randn(2, *size, 3, device=device, dtype=dtype)
    out = net(z)
    assert out.shape == (2, *size, 2)
    assert out.dtype == dtype
    assert net(z[:0]).shape == (0, *size, 2)
    out.square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad.isfinite().all(), name
        assert p.grad.abs().sum() > 0, name


def test_all_modes_of_an_odd_lattice_are_the_same_operator_on_a_larger_weight():
    """Weights are taken from around the constant mode, also if the lattice has an odd number of points."""
    net = SpectralConv(1, 1, (9, 9)).double()
    mean = torch.view_as_complex(net.weight.detach())[0, 0, 4, 0].real
    for size in ((5, 5), (4, 6), (9, 3), (12, 11)):
        out = net(torch.ones(1, *size, 1, dtype=torch.float64))
        torch.testing.assert_close(out, (mean + net.bias).expand_as(out))


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="FNO: expected dim of 2 or 3, got 4"):
        FNO(4, 1, 1)
    with pytest.raises(ValueError, match="expected stabiliser \"tanh\" or None, got 'relu'"):
        FNO(2, 1, 1, stabiliser="relu")
    with pytest.raises(ValueError, match="expected modes >= 1 along each axis"):
        SpectralConv(1, 1, (0, 2))
    with pytest.raises(ValueError, match=r"expected a lattice of 2 axes, got \(4, 4, 4\)"):
        SpectralConv(1, 1, (2, 2))(torch.zeros(1, 4, 4, 4, 1))
