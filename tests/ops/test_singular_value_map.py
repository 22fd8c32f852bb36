import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import singular_value_map


def volume(s):
    """Odd at zero, and every value depends on all."""
    return s * (1 + s.square().sum(-1, keepdim=True))


FUNCTIONS = {"tanh": torch.tanh, "cube": lambda s: s**3, "volume": volume, "sinh": torch.sinh}


def places(kind, d, device="cpu"):
    one = torch.eye(d, dtype=torch.float64, device=device)
    turn = torch.linalg.qr(torch.randn_like(one))[0]
    near = one + 1e-9 * torch.randn_like(one)
    threshold = torch.diag_embed(1 + 6.1e-6 * torch.arange(d, dtype=torch.float64, device=device))
    found = {"identity": one, "multiple": 0.7 * turn, "near": near, "threshold": turn @ threshold, "zero": 0 * one}
    found |= {"rank one": turn[:, :1] * turn[:1], "random": torch.randn_like(one)}
    return found[kind].clone().requires_grad_()


PLACES = ["identity", "multiple", "near", "threshold", "zero", "rank one", "random"]


@pytest.mark.parametrize("d", [2, 3])
def test_cubes_are_products(d, device, dtype):
    F = torch.randn(50, d, d, device=device, dtype=dtype)
    torch.testing.assert_close(singular_value_map(F, lambda s: s**3), F @ F.mT @ F, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3), (4, 5, 2, 2)])
def test_shapes(shape, device):
    assert singular_value_map(torch.randn(shape, device=device), torch.tanh).shape == shape


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("name", list(FUNCTIONS))
@pytest.mark.parametrize("kind", PLACES)
def test_first_derivatives_also_at_equal_values(kind, name, d, device):
    F = places(kind, d, device)
    assert gradcheck(lambda F: singular_value_map(F, FUNCTIONS[name]), (F,), check_forward_ad=True, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("kind", ["identity", "near", "zero", "rank one", "random"])
def test_derivative_of_a_polynomial_is_exact(kind, device):
    F = places(kind, 3, device)
    H = torch.randn_like(F)
    _, actual = torch.func.jvp(lambda F: singular_value_map(F, lambda s: s**3), (F.detach(),), (H,))
    F = F.detach()
    torch.testing.assert_close(actual, H @ F.mT @ F + F @ H.mT @ F + F @ F.mT @ H, rtol=1e-9, atol=1e-9)


def test_derivative_in_float32(device):
    F, H = torch.eye(3, device=device) + 1e-4 * torch.randn(9, 3, 3, device=device), torch.randn(9, 3, 3, device=device)
    _, actual = torch.func.jvp(lambda F: singular_value_map(F, lambda s: s**3), (F,), (H,))
    torch.testing.assert_close(actual, H @ F.mT @ F + F @ H.mT @ F + F @ F.mT @ H, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("d", [2, 3])
def test_second_derivatives_at_distinct_values(d, device):
    F = torch.randn(3, d, d, dtype=torch.float64, device=device, requires_grad=True)
    assert gradgradcheck(lambda F: singular_value_map(F, volume), (F,), check_fwd_over_rev=True)


@pytest.mark.parametrize("d", [2, 3])
def test_squared_logarithms_at_the_identity(d, device):
    F = torch.eye(d, dtype=torch.float64, device=device, requires_grad=True)
    assert gradcheck(lambda F: singular_value_map(F, torch.log).square().sum(), (F,))
    H = torch.randn_like(F)
    _, tangent = torch.func.jvp(lambda F: singular_value_map(F, torch.log), (F.detach(),), (H,))
    torch.testing.assert_close(tangent, (H + H.mT) / 2)


def test_gradients_of_parameters_of_the_function(device):
    F = torch.randn(4, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
    k = torch.tensor(0.5, dtype=torch.float64, device=device, requires_grad=True)
    assert gradcheck(lambda F, k: singular_value_map(F, lambda s: k * s**3), (F, k))
    assert gradgradcheck(lambda F, k: singular_value_map(F, lambda s: k * s**3), (F, k))


def test_functorch(device):
    F = torch.randn(4, 3, 3, dtype=torch.float64, device=device)

    def map_(F):
        return singular_value_map(F, torch.tanh)

    torch.testing.assert_close(torch.func.jacrev(map_)(F), torch.func.jacfwd(map_)(F))
    torch.testing.assert_close(torch.vmap(map_)(F), map_(F))


def test_opcheck(device, dtype):
    F = torch.randn(4, 3, 3, dtype=dtype, device=device, requires_grad=True)
    rest = [torch.randn(4, 3, 3, dtype=dtype, device=device) for _ in range(4)]
    y = torch.randn(4, 3, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.singular_value_map.default, (F, y, *rest))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(F):
        return singular_value_map(F.exp(), torch.tanh).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        F = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(F), energy(F)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, F), torch.autograd.grad(expected, F))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"singular_value_map: expected F of dtype float32 or float64"):
            singular_value_map(torch.ones(3, 3, dtype=torch.float16), torch.tanh)

    def test_shape(self):
        with pytest.raises(ValueError, match=r"singular_value_map: expected F of shape"):
            singular_value_map(torch.ones(4, 4), torch.tanh)

    def test_a_function_of_another_shape(self):
        with pytest.raises(ValueError, match=r"expected f to keep the shape \(5, 3\) of the singular values, got \(5,\)"):
            singular_value_map(torch.ones(5, 3, 3), lambda s: s.sum(-1))

    def test_the_raw_op_is_safe_too(self):
        F = torch.ones(4, 3, 3)
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.singular_value_map(F, F[:2, 0], F, F, F, F)
