import pytest
import torch

from geoops.layers import KernelTransform


def clouds(device="cpu", dtype=torch.float64, dim=2):
    x, y = torch.rand(2, 30, dim, dtype=dtype, device=device).unbind()
    return torch.randn(30, 5, dtype=dtype, device=device), x, y[:20]


@pytest.mark.parametrize("kind", ["nonlinear", "linear"])
@pytest.mark.parametrize("coords", ["relative", "source"])
def test_is_the_mean_over_neighbours(kind, coords, device, dtype, tolerance):
    f, x, y = clouds(device, dtype)
    net = KernelTransform(2, [5, 8, 5], 0.2, kind, coords=coords).to(device, dtype)
    out = net(f, x, y)
    for m in range(len(y)):
        near = (x - y[m]).norm(dim=1) <= 0.2
        c = x[near] if coords == "source" else (x[near] - y[m]) / 0.2
        values = net.kernel(torch.cat([c, f[near]], 1)) if kind == "nonlinear" else net.kernel(c) * f[near]
        expected = values.mean(0) if near.any() else torch.zeros_like(out[m])
        torch.testing.assert_close(out[m], expected, **tolerance)


def test_kernels_that_see_the_source_alone_are_constant_where_neighbours_are_the_same():
    """Defect 1: two places with the same neighbours get the same values."""
    f, x, _ = clouds()
    y = torch.tensor([[0.4, 0.5], [0.6, 0.5]]).double()
    assert torch.equal(*KernelTransform(2, [5, 8, 5], 9.0, coords="source").double()(f, x, y).unbind())
    a, b = KernelTransform(2, [5, 8, 5], 9.0).double()(f, x, y).unbind()
    assert (a - b).abs().max() > 1e-3


def test_relative_kernels_move_with_the_points():
    f, x, y = clouds()
    net = KernelTransform(2, [5, 8, 5], 0.3).double()
    torch.testing.assert_close(net(f, x + 7, y + 7), net(f, x, y), rtol=1e-10, atol=1e-10)


def test_examples_do_not_see_each_other_unless_shared():
    """Defect 4: the published search ignores which example a particle belongs to."""
    f, x, y = clouds()
    batch_x, batch_y = torch.arange(2).repeat_interleave(15), torch.arange(2).repeat_interleave(10)
    own = KernelTransform(2, [5, 8, 5], 0.3).double()
    together = own(f, x, y, batch_x, batch_y)
    torch.testing.assert_close(together[:10], own(f[:15], x[:15], y[:10]))
    torch.testing.assert_close(together[10:], own(f[15:], x[15:], y[10:]))
    shared = KernelTransform(2, [5, 8, 5], 0.3, shared=True).double()
    shared.load_state_dict(own.state_dict())
    torch.testing.assert_close(shared(f, x, y, batch_x, batch_y), own(f, x, y))


@pytest.mark.parametrize("kind", ["nonlinear", "linear"])
def test_no_neighbours_give_zero(kind):
    """Defect 12: the published mean of nothing is not a number."""
    f, x, y = clouds()
    for coords in ("source", "relative"):
        net = KernelTransform(2, [5, 8, 5], 0.1, kind, coords=coords).double()
        f.requires_grad_().grad = None
        out = net(f, x, y + 5)
        assert torch.equal(out, torch.zeros_like(out))
        out.sum().backward()
        assert torch.equal(f.grad, torch.zeros_like(f))
        assert net(f[:0], x[:0], y).abs().max() == 0
        assert net(f, x, y[:0]).shape == (0, 5)


def test_gradients():
    f, x, y = clouds()
    for coords in ("source", "relative"):
        net = KernelTransform(2, [5, 8, 5], 0.3, coords=coords).double()
        assert torch.autograd.gradcheck(lambda f, x, net=net: net(f, x, y[:4]), (f.requires_grad_(), x.requires_grad_()))


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match=r'expected kind "nonlinear" or "linear", got \'both\''):
        KernelTransform(2, [3, 3], 0.1, "both")
    with pytest.raises(ValueError, match=r'expected coords "relative" or "source", got \'query\''):
        KernelTransform(2, [3, 3], 0.1, coords="query")
    with pytest.raises(ValueError, match="expected a radius > 0, got 0"):
        KernelTransform(2, [3, 3], 0.0)
    with pytest.raises(ValueError, match=r"the same at both ends if linear, got \[3, 4\]"):
        KernelTransform(2, [3, 4], 0.1, "linear")
