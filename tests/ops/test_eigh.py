import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import eigh

BOUND = {torch.float32: 1e-6, torch.float64: 1e-14}


def symmetric(kind, n, d, dtype):
    eps, normal = torch.finfo(dtype).eps, torch.randn(n, d, d, dtype=torch.float64)
    Q = torch.linalg.qr(normal)[0]
    values = {
        "graded": 10.0 ** (-12 * torch.rand(n, d, dtype=torch.float64)),
        "equal up to rounding": 1 + 10 * eps * torch.randn(n, d, dtype=torch.float64),
        "nearly equal": 1 + 1e-4 * torch.randn(n, d, dtype=torch.float64),
        "two signs": torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)[:d].expand(n, d),
    }
    if kind in values:
        A = Q * values[kind][:, None] @ Q.mT
    else:
        scale = {"random": 1.0, "skew": 1.0, "huge": {torch.float32: 1e37, torch.float64: 1e306}[dtype]}
        scale |= {"tiny": {torch.float32: 1e-36, torch.float64: 1e-306}[dtype], "zero": 0.0, "rank one": 1.0}
        A = scale[kind] * (normal[..., :1] * normal[..., :1].mT if kind == "rank one" else normal)
        A = (1e-5 * A + (normal - normal.mT) if kind == "skew" else A + A.mT) / 2
    return A.to(dtype)


KINDS = ["random", "graded", "equal up to rounding", "nearly equal", "two signs", "huge", "tiny", "zero", "rank one", "skew"]


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_accuracy(kind, d, dtype, device):
    A = symmetric(kind, 500, d, dtype).to(device)
    w, Q = eigh(A)
    A = (A / 2 + A.mT / 2).double()
    largest = A.abs().amax((-2, -1), keepdim=True)
    largest = torch.where(largest > 0, largest, 1.0)
    A, w, Q = A / largest, w.double() / largest[..., 0], Q.double()
    torch.testing.assert_close(Q * w[:, None] @ Q.mT, A, rtol=0, atol=d * BOUND[dtype])
    torch.testing.assert_close(Q.mT @ Q, torch.eye(d, device=device).double().expand(500, d, d), rtol=0, atol=BOUND[dtype])
    torch.testing.assert_close(w, torch.linalg.eigvalsh(A), rtol=0, atol=d * BOUND[dtype])
    assert (w.diff(dim=-1) >= 0).all()
    assert (torch.linalg.det(Q) > 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 70), st.sampled_from([2, 3]))
def test_every_length_of_a_batch(n, d):
    A = torch.randn(n, d, d, dtype=torch.float64)
    w, Q = eigh(A)
    torch.testing.assert_close(Q * w[:, None] @ Q.mT, (A + A.mT) / 2)


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3), (2, 0, 2, 2), (4, 5, 2, 2)])
def test_shapes(shape, device):
    w, Q = eigh(torch.randn(shape, device=device))
    assert w.shape == shape[:-1]
    assert Q.shape == shape


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("d", [2, 3])
def test_a_bad_matrix_spoils_no_other(bad, d, device, dtype):
    A = torch.randn(20, d, d, device=device, dtype=dtype)
    good = eigh(A)
    A[7, 1, 0] = bad
    rest = torch.arange(20) != 7
    for actual, expected in zip(eigh(A), good, strict=True):
        assert actual[7].isnan().all()
        torch.testing.assert_close(actual[rest], expected[rest], rtol=0, atol=0)


def test_bits_do_not_depend_on_the_threads():
    A = torch.randn(20_000, 3, 3)
    alone = eigh(A)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert all(torch.equal(x, y) for x, y in zip(eigh(A), alone, strict=True))
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("d", [2, 3])
def test_derivatives_of_first_and_second_order(d, device):
    A = torch.randn(4, d, d, dtype=torch.float64, device=device, requires_grad=True)
    assert gradcheck(eigh, (A,), check_forward_ad=True)
    assert gradgradcheck(eigh, (A,), check_fwd_over_rev=True)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_derivatives_at_equal_values_are_finite(d, scale, device, dtype):
    A = (scale * torch.eye(d, dtype=dtype, device=device)).requires_grad_()
    outputs = eigh(A)
    grads = [torch.randn_like(x) for x in outputs]
    (first,) = torch.autograd.grad(outputs, A, grads, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), A)
    (fused,) = torch.autograd.grad(eigh(A), A, grads)
    assert first.isfinite().all()
    assert second.isfinite().all()
    torch.testing.assert_close(first, fused)


def test_sum_of_squares_of_the_values(device):
    A = torch.randn(5, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
    (grad,) = torch.autograd.grad(eigh(A)[0].square().sum(), A)
    torch.testing.assert_close(grad, (A + A.mT).detach())


def test_functorch(device):
    A = torch.randn(4, 3, 3, dtype=torch.float64, device=device)

    def energy(A):
        return eigh(A)[0].exp().sum(-1)

    torch.testing.assert_close(torch.func.jacrev(energy)(A), torch.func.jacfwd(energy)(A))
    torch.testing.assert_close(torch.vmap(energy)(A), energy(A))
    torch.testing.assert_close(torch.func.hessian(energy)(A), torch.func.jacrev(torch.func.jacrev(energy))(A))


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    A = torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.eigh.default, (A,))
    parts = [x.detach() for x in eigh(A)]
    torch.library.opcheck(torch.ops.geoops.eigh_backward.default, (*parts, *parts))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(A):
        w, Q = eigh(A.exp())
        return (Q * w.sin()[..., None, :] @ Q.mT).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        A = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(A), energy(A)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, A), torch.autograd.grad(expected, A))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.int64])
    def test_dtype(self, dtype):
        with pytest.raises(TypeError, match=r"eigh: expected A of dtype float32 or float64, got .*; cast it"):
            eigh(torch.ones(3, 3).to(dtype))

    @pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 4)])
    def test_shape(self, shape):
        with pytest.raises(ValueError, match=r"eigh: expected A of shape \(..., 2, 2\) or \(..., 3, 3\), got"):
            eigh(torch.ones(shape))

    def test_the_raw_ops_are_safe_too(self):
        with pytest.raises((ValueError, TypeError), match="eigh"):
            torch.ops.geoops.eigh(torch.ones(2, 4, 4))
        w, Q = eigh(torch.randn(4, 3, 3))
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.eigh_backward(w[:2], Q, w, Q)
