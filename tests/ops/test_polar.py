import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import polar


@pytest.mark.parametrize("d", [2, 3])
def test_factors(d, device, dtype, tolerance):
    F = torch.randn(500, d, d, dtype=dtype, device=device)
    R, S = polar(F)
    torch.testing.assert_close(R @ S, F, **tolerance)
    torch.testing.assert_close(R.mT @ R, torch.eye(d, dtype=dtype, device=device).expand(500, d, d), **tolerance)
    torch.testing.assert_close(S, S.mT, **tolerance)
    assert (torch.linalg.det(R) > 0).all()
    positive = torch.linalg.det(F) > 0
    assert ((torch.linalg.eigvalsh(S.double()) > 0).all(-1) == positive).all()


def test_a_rotation_is_its_own_factor(device, dtype, tolerance):
    R, _ = polar(torch.randn(20, 3, 3, dtype=dtype, device=device))
    again, S = polar(R)
    torch.testing.assert_close(again, R, **tolerance)
    torch.testing.assert_close(S, torch.eye(3, dtype=dtype, device=device).expand_as(S), **tolerance)


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3), (2, 0, 2, 2), (4, 5, 2, 2)])
def test_shapes(shape, device):
    R, S = polar(torch.randn(shape, device=device))
    assert R.shape == S.shape == shape


def at(kind, d, device="cpu"):
    """Places where values are equal, in different ways."""
    one = torch.eye(d, dtype=torch.float64, device=device)
    turn = polar(torch.randn(d, d, dtype=torch.float64, device=device))[0]
    near = one + 1e-9 * torch.randn(d, d, dtype=torch.float64, device=device)
    return {"identity": one, "rotation": 2 * turn, "near": near, "random": torch.randn_like(one)}[kind].clone().requires_grad_()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["identity", "rotation", "near", "random"])
def test_derivatives_of_first_and_second_order(kind, d, device):
    F = at(kind, d, device)
    assert gradcheck(polar, (F,), check_forward_ad=True)
    assert gradgradcheck(polar, (F,), check_fwd_over_rev=True)


@pytest.mark.parametrize("d", [2, 3])
def test_derivative_at_the_identity_is_the_skew_part(d, device, dtype, tolerance):
    F = torch.eye(d, dtype=dtype, device=device)
    H = torch.randn_like(F)
    (R, S), (dR, dS) = torch.func.jvp(polar, (F,), (H,))
    torch.testing.assert_close((R, S), (F, F), **tolerance)
    torch.testing.assert_close(dR, (H - H.mT) / 2, **tolerance)
    torch.testing.assert_close(dS, (H + H.mT) / 2, **tolerance)


@pytest.mark.parametrize("d", [2, 3])
def test_hessian_of_the_distance_to_the_rotations_at_the_identity(d, device):
    F = torch.eye(d, dtype=torch.float64, device=device)
    H = torch.randn_like(F)

    def energy(F):
        return (F - polar(F)[0]).square().sum()

    hessian = torch.autograd.functional.hessian(energy, F)
    symmetric = (H + H.mT) / 2
    torch.testing.assert_close((hessian * H).sum((-2, -1)), 2 * symmetric)
    torch.testing.assert_close(torch.func.hessian(energy)(F), hessian)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["zero", "rank one", "reflection", "point reflection"])
def test_singular_matrices_give_finite_values(kind, d, device, dtype):
    one = torch.eye(d, dtype=dtype, device=device)
    F = {"zero": 0 * one, "rank one": one[:, :1] * one[:1], "reflection": one - 2 * one[:, :1] * one[:1], "point reflection": -one}
    F = F[kind].clone().requires_grad_()
    outputs = polar(F)
    (first,) = torch.autograd.grad(outputs, F, [torch.randn_like(F)] * 2, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), F)
    assert all(x.isfinite().all() for x in (*outputs, first, second))


@pytest.mark.parametrize("d", [2, 3])
def test_fused_backward_equals_the_composed_one(d, device, dtype, tolerance):
    F = torch.eye(d, dtype=dtype, device=device) + 0.1 * torch.randn(50, d, d, device=device, dtype=dtype)
    outputs = polar(F.requires_grad_())
    grads = [torch.randn_like(x) for x in outputs]
    (fused,) = torch.autograd.grad(outputs, F, grads, retain_graph=True)
    (composed,) = torch.autograd.grad(outputs, F, grads, create_graph=True)
    torch.testing.assert_close(fused, composed, **tolerance)


def test_a_bad_matrix_spoils_no_other(device, dtype):
    F = torch.randn(20, 3, 3, device=device, dtype=dtype)
    good = polar(F)
    F[7, 1, 0] = torch.nan
    rest = torch.arange(20) != 7
    for actual, expected in zip(polar(F), good, strict=True):
        assert actual[7].isnan().all()
        torch.testing.assert_close(actual[rest], expected[rest], rtol=0, atol=0)


def test_functorch(device):
    F = torch.eye(3, dtype=torch.float64, device=device) + 0.1 * torch.randn(4, 3, 3, dtype=torch.float64, device=device)
    for both in zip(torch.func.jacrev(polar)(F), torch.func.jacfwd(polar)(F), torch.vmap(polar)(F), strict=False):
        torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(torch.vmap(polar)(F), polar(F))


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    F = torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.polar.default, (F,))
    torch.library.opcheck(torch.ops.geoops.polar_backward.default, (F.detach(),) * 4)


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(F):
        R, S = polar(F)
        return (F - R).square().sum() + S.square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        F = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(F), energy(F)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, F), torch.autograd.grad(expected, F))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"polar: expected F of dtype float32 or float64, got torch.bfloat16; cast it"):
            polar(torch.ones(3, 3, dtype=torch.bfloat16))

    def test_shape(self):
        with pytest.raises(ValueError, match=r"polar: expected F of shape \(..., 2, 2\) or \(..., 3, 3\), got \(4, 4\)"):
            polar(torch.ones(4, 4))

    def test_the_raw_ops_are_safe_too(self):
        with pytest.raises((ValueError, TypeError), match="polar"):
            torch.ops.geoops.polar(torch.ones(2, 3))
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.polar_backward(torch.ones(2, 3, 3), torch.ones(5, 5), torch.ones(2, 3, 3), torch.ones(2, 3, 3))
