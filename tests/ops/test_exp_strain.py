import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import exp_strain, log_strain


def symmetric(x):
    return (x + x.mT) / 2


@pytest.mark.parametrize("size", [1e-3, 0.3, 3.0])
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 70])
def test_values(n, d, size, device, dtype):
    A, F = torch.randn(2, n, d, d, dtype=dtype, device=device)
    exact = torch.linalg.matrix_exp(size * symmetric(A).double())
    scale = exact.norm(dim=(-2, -1)) * F.double().norm(dim=(-2, -1))
    error = (exp_strain(size * A, F).double() - exact @ F.double()).norm(dim=(-2, -1))
    assert (error <= 50 * torch.finfo(dtype).eps * scale).all()


def test_no_strain_changes_no_bit(device, dtype):
    F = torch.randn(50, 3, 3, dtype=dtype, device=device)
    assert torch.equal(exp_strain(torch.zeros_like(F), F), F)


def test_extreme_strains(device, dtype):
    w = torch.tensor([-1e4, -80.0, 0.0, 80.0], device=device, dtype=dtype)
    one = torch.eye(3, dtype=dtype, device=device).expand(4, 3, 3)
    found = exp_strain(w[:, None, None] * one, one)[:, 0, 0]
    torch.testing.assert_close(found, w.exp(), rtol=200 * torch.finfo(dtype).eps, atol=0)


def test_inverse_of_the_logarithm(device):
    F = torch.eye(3, dtype=torch.float64, device=device) + 0.3 * torch.randn(50, 3, 3, dtype=torch.float64, device=device)
    h = log_strain(F)
    torch.testing.assert_close(exp_strain(2 * h, torch.eye(3, dtype=torch.float64, device=device).expand_as(F)), F @ F.mT)


def test_a_bad_matrix_spoils_no_other(device, dtype):
    A, F = torch.randn(2, 20, 3, 3, device=device, dtype=dtype)
    good = exp_strain(A, F)
    A[7, 1, 0] = torch.nan
    rest = torch.arange(20) != 7
    assert exp_strain(A, F)[7].isnan().all()
    torch.testing.assert_close(exp_strain(A, F)[rest], good[rest], rtol=0, atol=0)


PLACES = [[0.0, 0.0, 0.0], [0.7, 0.7, 0.7], [0.2, 0.2, -0.1], [0.2, 0.2 + 1e-7, -0.1], [3.0, -2.0, 0.1], [1.0, 0.5, -4.0]]


@pytest.mark.parametrize("values", PLACES)
@pytest.mark.parametrize("d", [2, 3])
def test_first_derivatives_also_at_equal_values(d, values, device):
    Q = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, device=device))[0]
    A = (Q * torch.tensor(values[:d], dtype=torch.float64, device=device) @ Q.mT).requires_grad_()
    F = torch.randn_like(A).requires_grad_()
    assert gradcheck(exp_strain, (A, F), check_forward_ad=True)
    fused = torch.autograd.grad(exp_strain(A, F).sin().sum(), (A, F))
    composed = torch.autograd.grad(exp_strain(A, F).sin().sum(), (A, F), create_graph=True)
    torch.testing.assert_close(fused, composed)
    assert torch.equal(fused[0], fused[0].mT)


@pytest.mark.parametrize("d", [2, 3])
def test_second_derivatives_at_distinct_values(d, device):
    A, F = (torch.randn(3, d, d, dtype=torch.float64, device=device, requires_grad=True) for _ in range(2))
    assert gradgradcheck(exp_strain, (A, F), check_fwd_over_rev=True)


def test_functorch(device):
    A, F = torch.randn(2, 4, 3, 3, dtype=torch.float64, device=device)
    torch.testing.assert_close(torch.func.jacrev(exp_strain)(A, F), torch.func.jacfwd(exp_strain)(A, F))
    torch.testing.assert_close(torch.vmap(exp_strain, (0, None))(A, F[0]), exp_strain(A, F[:1].expand_as(A)))


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    A, F = (torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True) for _ in range(2))
    torch.library.opcheck(torch.ops.geoops.exp_strain.default, (A, F))
    out, w, Q = (x.detach() for x in torch.ops.geoops.exp_strain(A, F))
    torch.library.opcheck(torch.ops.geoops.exp_strain_backward.default, (F.detach(), w, Q, out))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(A):
        return exp_strain(A, A.sin()).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        A = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(A), energy(A)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, A), torch.autograd.grad(expected, A))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"exp_strain: F is torch.float64 and A is torch.float32; cast one of them"):
            exp_strain(torch.ones(3, 3), torch.ones(3, 3).double())

    def test_shape(self):
        with pytest.raises(ValueError, match=r"exp_strain: expected F of the shape \(3, 3\) of A, got \(2, 3, 3\)"):
            exp_strain(torch.ones(3, 3), torch.ones(2, 3, 3))
