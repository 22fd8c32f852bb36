import torch

from geoops.layers import ModeFit


def test_amounts_of_each_body_are_found(device, dtype):
    modes = torch.randn(200, 3, 5, dtype=dtype, device=device)
    body = torch.randint(0, 2, (200,), device=device)
    z, c = torch.randn(4, 2, 5, dtype=dtype, device=device), torch.randn(4, 2, 3, dtype=dtype, device=device)
    u = (modes @ z[:, body, :, None])[..., 0] + c[:, body]
    found = ModeFit(modes, body, 2, 1e-10).amounts(u)
    torch.testing.assert_close(found, (z, c), rtol=1e-4, atol=1e-4)


def test_modes_that_say_nothing_and_gradients():
    modes, body = torch.zeros(6, 2, 3, dtype=torch.float64), torch.tensor([0, 0, 0, 0, 2, 2])
    u = torch.rand(1, 6, 2, dtype=torch.float64)
    z, c = ModeFit(modes, body, 3, 1e-6).amounts(u)
    assert (z == 0).all()
    torch.testing.assert_close(c[:, 0], u[:, :4].mean(1))
    modes = torch.randn(6, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda m, v: ModeFit(m, body, 3, 1e-2).amounts(v), (modes, u.requires_grad_()))
