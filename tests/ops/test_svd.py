import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import info, svd

BOUND = {torch.float32: 1e-6, torch.float64: 1e-14}


def orthogonal(n, d):
    return torch.linalg.qr(torch.randn(n, d, d, dtype=torch.float64))[0]


def matrices(kind, n, d, dtype):
    """Draws matrices that are hard in some way, in float64 and then rounded."""
    eps, normal = torch.finfo(dtype).eps, torch.randn(n, d, d, dtype=torch.float64)
    values = {
        "graded": 10.0 ** (-12 * torch.rand(n, d, dtype=torch.float64)),
        "equal up to rounding": 1 + 10 * eps * torch.randn(n, d, dtype=torch.float64),
        "nearly equal": 1 + 1e-4 * torch.randn(n, d, dtype=torch.float64),
        "square root of rounding": torch.tensor([1.0, eps**0.5, eps**0.5 / 2], dtype=torch.float64)[:d].expand(n, d),
    }
    if kind in values:
        return (orthogonal(n, d) * values[kind][:, None] @ orthogonal(n, d)).to(dtype)
    other = {
        "random": normal,
        "graded columns": normal * 10.0 ** (-20 * torch.rand(n, 1, d, dtype=torch.float64)),
        "near the identity": torch.eye(d) + eps * normal,
        "rank one": normal[..., :1] * normal[..., :1, :],
        "rank d - 1": normal[..., : d - 1] @ normal[..., : d - 1, :],
        "small integers": torch.randint(-1, 2, (n, d, d)).double(),
        "huge": normal * {torch.float32: 1e37, torch.float64: 1e306}[dtype],
        "tiny": normal * {torch.float32: 1e-37, torch.float64: 1e-307}[dtype],
    }
    return other[kind].to(dtype)


KINDS = ["graded", "equal up to rounding", "nearly equal", "square root of rounding", "random", "graded columns"]
KINDS += ["near the identity", "rank one", "rank d - 1", "small integers", "huge", "tiny"]


def relative(x, F):
    """Divides by the largest entry of each matrix, in float64."""
    largest = F.double().abs().amax((-2, -1), keepdim=True)
    return x.double() / torch.where(largest > 0, largest, 1.0)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rotations", [False, True])
def test_accuracy(kind, d, rotations, dtype, device):
    F = matrices(kind, 500, d, dtype).to(device)
    U, sigma, V = svd(F, rotations=rotations)
    exact = {"rtol": 0, "atol": BOUND[dtype] * (1 if info().cpu == "native" else 2)}  # LAPACK is less exact
    one = torch.eye(d, device=device).double()
    scaled = relative(sigma[:, None], F)
    torch.testing.assert_close(U.double() * scaled @ V.double().mT, relative(F, F), rtol=0, atol=d * BOUND[dtype])
    for x in (U, V):
        torch.testing.assert_close(x.double().mT @ x.double(), one.expand(500, d, d), **exact)
    reference = torch.linalg.svdvals(relative(F, F))
    torch.testing.assert_close(scaled[:, 0].abs(), reference, rtol=0, atol=d * BOUND[dtype])
    assert (sigma.abs().diff(dim=-1) <= 0).all()
    if rotations:
        assert (torch.linalg.det(U) > 0).all()
        assert (torch.linalg.det(V) > 0).all()
        assert (sigma[:, :-1] >= 0).all()
    else:
        assert (sigma >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 70), st.sampled_from([2, 3]))
def test_every_length_of_a_batch(n, d):
    F = torch.randn(n, d, d, dtype=torch.float64)
    U, sigma, V = svd(F)
    torch.testing.assert_close(U * sigma[:, None] @ V.mT, F)


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3), (2, 0, 2, 2), (4, 5, 2, 2)])
def test_shapes(shape, device, dtype):
    F = torch.randn(shape, device=device, dtype=dtype)
    U, sigma, V = svd(F.mT)
    assert U.shape == V.shape == shape
    assert sigma.shape == shape[:-1]
    torch.testing.assert_close(U * sigma[..., None, :] @ V.mT, F.mT, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("d", [2, 3])
def test_a_bad_matrix_spoils_no_other(bad, d, device, dtype):
    F = torch.randn(20, d, d, device=device, dtype=dtype)
    good = svd(F)
    F[7, 1, 0] = bad
    for actual, expected in zip(svd(F), good, strict=True):
        assert actual[7].isnan().all()
        rest = torch.arange(20) != 7
        torch.testing.assert_close(actual[rest], expected[rest], rtol=0, atol=0)


def test_bits_do_not_depend_on_the_threads():
    F = torch.randn(20_000, 3, 3)
    alone = svd(F)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert all(torch.equal(x, y) for x, y in zip(svd(F), alone, strict=True))
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("rotations", [False, True])
@pytest.mark.parametrize("d", [2, 3])
def test_derivatives_of_first_and_second_order(d, rotations, device):
    F = torch.randn(4, d, d, dtype=torch.float64, device=device, requires_grad=True)

    def decompose(F):
        return svd(F, rotations=rotations)

    assert gradcheck(decompose, (F,), check_forward_ad=True)
    assert gradgradcheck(decompose, (F,), check_fwd_over_rev=True)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["identity", "zero", "rank one", "reflection"])
@pytest.mark.parametrize("rotations", [False, True])
def test_derivatives_are_finite_everywhere(kind, d, rotations, dtype, device):
    one = torch.eye(d, dtype=dtype, device=device)
    F = {"identity": one, "zero": 0 * one, "rank one": one[:, :1] * one[:1], "reflection": one - 2 * one[:, :1] * one[:1]}[kind]
    F = F.clone().requires_grad_()
    outputs = svd(F, rotations=rotations)
    grads = [torch.randn_like(x) for x in outputs]
    (first,) = torch.autograd.grad(outputs, F, grads, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), F)
    (fused,) = torch.autograd.grad(svd(F, rotations=rotations), F, grads)
    assert first.isfinite().all()
    assert second.isfinite().all()
    torch.testing.assert_close(first, fused)


def test_fused_backward_equals_the_one_of_torch(device, dtype):
    F = torch.randn(50, 3, 3, device=device, dtype=dtype, requires_grad=True)
    outputs = svd(F)
    grads = [torch.randn_like(x) for x in outputs]
    (fused,) = torch.autograd.grad(outputs, F, grads, retain_graph=True)
    (composed,) = torch.autograd.grad(outputs, F, grads, create_graph=True)
    torch.testing.assert_close(fused, composed, rtol=1e-3, atol=1e-3 if dtype == torch.float32 else 1e-10)


def test_values_have_the_derivative_of_the_frobenius_norm(device):
    F = torch.randn(5, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
    (grad,) = torch.autograd.grad(svd(F)[1].square().sum(), F)
    torch.testing.assert_close(grad, 2 * F.detach())


def test_functorch(device):
    F = torch.randn(4, 3, 3, dtype=torch.float64, device=device)

    def energy(F):
        return svd(F, rotations=True)[1].exp().sum(-1)

    torch.testing.assert_close(torch.func.jacrev(energy)(F), torch.func.jacfwd(energy)(F))
    torch.testing.assert_close(torch.vmap(energy)(F), energy(F))
    hessian = torch.vmap(torch.func.hessian(energy))(F)
    torch.testing.assert_close(hessian, hessian.permute(0, 3, 4, 1, 2))
    reverse = torch.vmap(torch.func.jacrev(torch.func.jacrev(energy)))(F)
    torch.testing.assert_close(hessian, reverse)


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    F = torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.svd.default, (F, True))
    parts = [x.detach() for x in svd(F)]
    torch.library.opcheck(torch.ops.geoops.svd_backward.default, (*parts, *parts))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(F):
        U, sigma, V = svd(F.exp(), rotations=True)
        return (U * sigma.sin()[..., None, :] @ V.mT).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        F = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(F), energy(F)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, F), torch.autograd.grad(expected, F))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.complex64])
    def test_dtype(self, dtype):
        with pytest.raises(TypeError, match=r"svd: expected F of dtype float32 or float64, got .*; cast it"):
            svd(torch.ones(3, 3).to(dtype))

    @pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 4), (5, 1, 1)])
    def test_shape(self, shape):
        with pytest.raises(ValueError, match=r"svd: expected F of shape \(..., 2, 2\) or \(..., 3, 3\), got"):
            svd(torch.ones(shape))

    @pytest.mark.parametrize("x", [torch.ones(3), torch.ones(2, 4, 4), torch.ones(3, 3, dtype=torch.float16), torch.ones(())])
    def test_the_raw_op_is_safe_too(self, x):
        with pytest.raises((ValueError, TypeError), match="svd"):
            torch.ops.geoops.svd(x, False)

    def test_the_raw_backward_is_safe_too(self):
        U, sigma, V = svd(torch.randn(4, 3, 3))
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.svd_backward(U, sigma, V, U, sigma[:2], V)
