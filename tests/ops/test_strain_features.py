import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import polar, strain_features, svd


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 70])
def test_features(n, d, device, dtype, tolerance):
    F = torch.randn(n, d, d, dtype=dtype, device=device)
    features, R = strain_features(F)
    green = F.mT @ F - torch.eye(d, dtype=dtype, device=device)
    expected = torch.cat([svd(F, rotations=True)[1] - 1, green.flatten(1), torch.linalg.det(F)[:, None] - 1], 1)
    torch.testing.assert_close(features, expected, **tolerance)
    torch.testing.assert_close(R, polar(F)[0], **tolerance)


@pytest.mark.parametrize("d", [2, 3])
def test_all_vanish_at_rest(d, device, dtype):
    one = torch.eye(d, dtype=dtype, device=device).expand(2, 5, d, d)
    features, R = strain_features(one)
    assert features.shape == (2, 5, d + d * d + 1)
    assert features.abs().max() <= torch.finfo(dtype).eps
    assert (R - one).abs().max() <= torch.finfo(dtype).eps


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("d", [2, 3])
def test_a_bad_matrix_spoils_no_other(bad, d, device, dtype):
    F = torch.randn(20, d, d, device=device, dtype=dtype)
    good = strain_features(F)
    F[7, 1, 0] = bad
    for actual, expected in zip(strain_features(F), good, strict=True):
        assert actual[7].isnan().all()
        rest = torch.arange(20) != 7
        torch.testing.assert_close(actual[rest], expected[rest], rtol=0, atol=0)


@pytest.mark.parametrize("d", [2, 3])
def test_derivatives_of_first_and_second_order(d, device):
    F = torch.randn(4, d, d, dtype=torch.float64, device=device, requires_grad=True)
    assert gradcheck(strain_features, (F,), check_forward_ad=True)
    assert gradgradcheck(strain_features, (F,), check_fwd_over_rev=True)
    (alone,) = torch.autograd.grad(strain_features(F)[0].sum(), F)
    assert gradcheck(lambda F: strain_features(F)[0].sum(), (F,))
    assert alone.isfinite().all()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_derivatives_of_symmetric_functions_at_equal_values(scale, d, device):
    F = scale * polar(torch.randn(d, d, dtype=torch.float64, device=device))[0]

    def energy(F):
        features, R = strain_features(F)
        return features[..., :d].exp().sum() + features[..., d:].sin().sum() + R.sin().sum()

    assert gradcheck(energy, (F.requires_grad_(),), check_forward_ad=True)


@pytest.mark.parametrize("kind", ["identity", "zero", "rank one", "reflection"])
@pytest.mark.parametrize("d", [2, 3])
def test_derivatives_are_finite_everywhere(kind, d, device, dtype):
    one = torch.eye(d, dtype=dtype, device=device)
    F = {"identity": one, "zero": 0 * one, "rank one": one[:, :1] * one[:1], "reflection": one - 2 * one[:, :1] * one[:1]}[kind]
    F = F.clone().requires_grad_()
    outputs = strain_features(F)
    grads = [torch.randn_like(x) for x in outputs]
    (fused,) = torch.autograd.grad(outputs, F, grads, retain_graph=True)
    (composed,) = torch.autograd.grad(outputs, F, grads, create_graph=True)
    assert fused.isfinite().all()
    torch.testing.assert_close(fused, composed)


def test_functorch(device):
    F = torch.randn(4, 3, 3, dtype=torch.float64, device=device)

    def energy(F):
        features, R = strain_features(F)
        return features.sin().sum(-1) + R.sin().sum((-2, -1))

    torch.testing.assert_close(torch.func.jacrev(energy)(F), torch.func.jacfwd(energy)(F))
    torch.testing.assert_close(torch.vmap(energy)(F), energy(F))


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d, device, dtype):
    F = torch.randn(4, d, d, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.strain_features.default, (F,))
    parts = [x.detach() for x in torch.ops.geoops.strain_features(F)]
    torch.library.opcheck(torch.ops.geoops.strain_features_backward.default, (F.detach(), *parts, *parts[:2]))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(F):
        features, R = strain_features(F.exp())
        return features.sin().sum() + R.square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for n in (7, 20):
        F = torch.randn(n, 3, 3, dtype=torch.float64, device=device, requires_grad=True)
        actual, expected = compiled(F), energy(F)
        torch.testing.assert_close(actual, expected)
        torch.testing.assert_close(torch.autograd.grad(actual, F), torch.autograd.grad(expected, F))


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    def test_dtype(self):
        with pytest.raises(TypeError, match=r"strain_features: expected F of dtype float32 or float64, got torch.float16"):
            strain_features(torch.ones(3, 3, dtype=torch.float16))

    def test_shape(self):
        with pytest.raises(ValueError, match=r"strain_features: expected F of shape"):
            strain_features(torch.ones(2, 3))

    def test_the_raw_backward_is_safe_too(self):
        F = torch.randn(4, 3, 3)
        features, R, U = torch.ops.geoops.strain_features(F)
        with pytest.raises((ValueError, RuntimeError)):
            torch.ops.geoops.strain_features_backward(F, features, R, U, features[:2], R)
