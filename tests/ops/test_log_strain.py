import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import log_strain, polar, raised_strain


def rotation(d, device="cpu"):
    return polar(torch.randn(d, d, dtype=torch.float64, device=device))[0]


def stretched(values, device="cpu"):
    """A matrix with given singular values."""
    values = torch.tensor(values, dtype=torch.float64, device=device)
    return rotation(len(values), device) @ values.diag() @ rotation(len(values), device).mT


def expected(F, least):
    U, sigma, Vh = torch.linalg.svd(F.double())
    raised = sigma.clamp_min(least)
    return U * raised.log()[..., None, :] @ U.mT, U * raised[..., None, :] @ Vh


@pytest.mark.parametrize("least", [0.0, 0.7])
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 70])
def test_values(n, d, least, device, dtype, tolerance):
    one = torch.eye(d, dtype=dtype, device=device)
    F = one + 0.2 * torch.randn(n, d, d, dtype=dtype, device=device)
    h, X = raised_strain(F, least)
    assert torch.equal(h, h.mT)
    assert torch.equal(h, log_strain(F, least))
    torch.testing.assert_close((h.double(), X.double()), expected(F, least), **tolerance)
    assert log_strain(one.expand(2, 3, d, d)).abs().max() <= torch.finfo(dtype).eps


def test_digits_of_extreme_stretches(device, dtype):
    values = 10.0 ** torch.linspace(-30, 30, 500, dtype=torch.float64, device=device)
    F = values[:, None, None] * torch.eye(3, dtype=torch.float64, device=device)
    h = log_strain(F.to(dtype)).double()
    torch.testing.assert_close(
        h[:, 0, 0], values.log(), rtol=4 * torch.finfo(dtype).eps, atol=1e-6 if dtype == torch.float32 else 1e-14
    )


def test_nothing_is_raised_above_the_least_stretch(device, dtype):
    F = torch.eye(3, dtype=dtype, device=device) + 0.1 * torch.randn(50, 3, 3, dtype=dtype, device=device)
    assert torch.equal(raised_strain(F, 0.1)[1], F)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_matrix_spoils_no_other(bad, device, dtype):
    F = torch.randn(20, 3, 3, device=device, dtype=dtype)
    good = raised_strain(F, 0.1)
    F[7, 1, 0] = bad
    for actual, before in zip(raised_strain(F, 0.1), good, strict=True):
        assert actual[7].isnan().all()
        rest = torch.arange(20) != 7
        torch.testing.assert_close(actual[rest], before[rest], rtol=0, atol=0)


PLACES = [
    [1.0, 1.0, 1.0],
    [0.8, 0.8, 0.8],
    [1.2, 1.2, 0.9],
    [1.2, 1.2 + 1e-7, 0.9],
    [1.3, 0.9, 0.7],
    [9.0, 1.0, 0.3],
    [1.0, 0.3, 0.2],
]


@pytest.mark.parametrize("least", [0.0, 0.5])
@pytest.mark.parametrize("values", PLACES)
@pytest.mark.parametrize("d", [2, 3])
def test_first_derivatives_also_at_equal_values(d, values, least, device):
    F = stretched(values[:d], device).requires_grad_()
    assert gradcheck(lambda F: raised_strain(F, least), (F,), check_forward_ad=True)
    (fused,) = torch.autograd.grad(log_strain(F, least).sin().sum(), F)
    (composed,) = torch.autograd.grad(log_strain(F, least).sin().sum(), F, create_graph=True)
    torch.testing.assert_close(fused, composed)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1e-1])
def test_no_digits_are_lost_at_nearly_equal_values(gap, d, device):
    V = rotation(d, device)
    sigma = torch.tensor([1.0, 1.0 + gap, 1.0 - gap][:d], dtype=torch.float64, device=device)
    F, H = V @ sigma.diag() @ V.mT, torch.randn(d, d, dtype=torch.float64, device=device)
    H = V @ (H + H.mT) @ V.mT
    tangent = torch.func.jvp(log_strain, (F,), (H,))[1]
    M, step = V.mT @ H @ V, gap * torch.tensor([0.0, 1.0, -1.0][:d], dtype=torch.float64, device=device)
    slopes = torch.where(
        (difference := step[:, None] - step) == 0,
        1 / sigma,
        (step.log1p()[:, None] - step.log1p()) / torch.where(difference == 0, 1.0, difference),
    )
    # log1p of differences of 1e-15 loses digits itself
    torch.testing.assert_close(tangent, V @ (slopes * M) @ V.mT, rtol=0, atol=1e-13 if gap in (0, 1e-3, 1e-1) else max(1e-6, gap))


def test_derivatives_vanish_below_the_least_stretch(device, dtype):
    F = (0.3 * torch.eye(3, dtype=dtype, device=device)).requires_grad_()
    (g,) = torch.autograd.grad(log_strain(F, 0.5).sum(), F)
    assert (g == 0).all()
    zero = torch.zeros(2, 2, dtype=dtype, device=device, requires_grad=True)
    h, X = raised_strain(zero, 0.5)
    grads = torch.autograd.grad(h.sum() + X.sum(), zero)
    assert all(x.isfinite().all() for x in (h, X, *grads))


@pytest.mark.parametrize("d", [2, 3])
def test_second_derivatives_at_distinct_values(d, device):
    F = torch.randn(3, d, d, dtype=torch.float64, device=device, requires_grad=True)
    assert gradgradcheck(lambda F: raised_strain(F, 0.6), (F,), check_fwd_over_rev=True)


def test_functorch(device):
    F = torch.randn(4, 3, 3, dtype=torch.float64, device=device)
    torch.testing.assert_close(torch.func.jacrev(log_strain)(F), torch.func.jacfwd(log_strain)(F))
    torch.testing.assert_close(torch.vmap(log_strain)(F), log_strain(F))


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    F = torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.log_strain.default, (F, 0.5))
    h, X, *parts = (x.detach() for x in torch.ops.geoops.log_strain(F, 0.5))
    torch.library.opcheck(torch.ops.geoops.log_strain_backward.default, (*parts, h, X, 0.5))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(F):
        h, X = raised_strain(F.exp(), 0.5)
        return h.square().sum() + X.sin().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        F = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, wanted = compiled(F), energy(F)
        torch.testing.assert_close(actual, wanted)
        torch.testing.assert_close(torch.autograd.grad(actual, F), torch.autograd.grad(wanted, F))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"log_strain: expected F of dtype float32 or float64, got torch.float16"):
            log_strain(torch.ones(3, 3, dtype=torch.float16))

    def test_shape(self):
        with pytest.raises(ValueError, match=r"raised_strain: expected F of shape"):
            raised_strain(torch.ones(2, 3), 0.1)

    def test_least(self):
        with pytest.raises(ValueError, match=r"log_strain: expected least >= 0, got -1"):
            log_strain(torch.ones(3, 3), -1)
