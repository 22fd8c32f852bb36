"""The U-Net of lattices."""

import pytest
import torch

from geoops.layers import UNet


@pytest.mark.parametrize("shape", [(13, 8), (16, 16), (1, 5), (4, 4, 4), (5, 3, 2)])
def test_keeps_the_size_of_any_lattice(shape, device, dtype):
    net = UNet(len(shape), 3, 2, (4, 6, 8)).to(device, dtype)
    z = torch.randn(2, 3, *shape, dtype=dtype, device=device, requires_grad=True)
    out = net(z)
    assert out.shape == (2, 2, *shape)
    assert out.dtype == dtype
    out.square().sum().backward()
    assert z.grad.isfinite().all()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name


def test_no_scenes(dtype):
    assert UNet(2, 3, 2, (4, 6)).to(dtype)(torch.zeros(0, 3, 8, 8, dtype=dtype)).shape == (0, 2, 8, 8)


@pytest.mark.parametrize("dim", [2, 3])
def test_scenes_do_not_see_each_other(dim):
    net, z = UNet(dim, 3, 2, (4, 6)).double(), torch.randn(3, 3, *(6,) * dim, dtype=torch.float64)
    torch.testing.assert_close(net(z), torch.cat([net(one[None]) for one in z]), rtol=1e-10, atol=1e-10)


def test_every_place_sees_the_whole_lattice():
    """With three resolutions a change in one corner of 16 nodes reaches the other one."""
    net = UNet(2, 1, 1, (4, 6, 8)).double()
    z = torch.zeros(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    net(z)[0, 0, -1, -1].backward()
    assert z.grad[0, 0, 0, 0] != 0


def test_one_resolution_has_no_pooling():
    net = UNet(2, 2, 2, (4,)).double()
    assert not len(net.wider)
    z = torch.randn(1, 2, 9, 7, dtype=torch.float64)
    assert net(z).shape == z.shape


def test_derivatives():
    net = UNet(2, 1, 1, (2, 3)).double()
    assert torch.autograd.gradcheck(net, (torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True),))


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match="expected dim of 2 or 3 and channels, got 4 and"):
        UNet(4, 1, 1)
    with pytest.raises(ValueError, match=r"expected dim of 2 or 3 and channels, got 2 and \(\)"):
        UNet(2, 1, 1, ())
