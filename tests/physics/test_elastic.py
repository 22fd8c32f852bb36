import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops import ops
from geoops.physics import FixedCorotated, Hencky, NeoHookean, StVenantKirchhoff, Tait, WeaklyCompressible

SOLIDS = [FixedCorotated(3.0, 0.3), StVenantKirchhoff(3.0, 0.3), NeoHookean(3.0, 0.3), Hencky(3.0, 0.3)]
FLUIDS = [WeaklyCompressible(3.0, 0.3), Tait(3.0, 0.3)]
name = lambda law: type(law).__name__  # noqa: E731


def gradients(count, d, least=0.2):
    """Random deformation gradients with det F > least."""
    F = torch.eye(d, dtype=torch.float64) + 0.4 * torch.randn(4 * count, d, d, dtype=torch.float64)
    return F[torch.linalg.det(F) > least][:count]


def rotations(count, d):
    return ops.polar(torch.randn(count, d, d, dtype=torch.float64))[0]


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", SOLIDS + FLUIDS, ids=name)
def test_stress_is_the_derivative_of_the_energy(law, d):
    F = gradients(1000, d).requires_grad_()
    (P,) = torch.autograd.grad(law.energy(F).sum(), F)
    torch.testing.assert_close(law(F), P @ F.mT, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", SOLIDS, ids=name)
def test_small_strains_are_linear_elasticity(law, d):
    H = torch.randn(50, d, d, dtype=torch.float64)
    strain = (H + H.mT) / 2
    one = torch.eye(d, dtype=torch.float64)
    linear = 2 * law.mu * strain + law.lam * strain.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] * one
    errors = [(law(one + h * H) - h * linear).abs().max().item() for h in (1e-3, 1e-4)]
    assert errors[1] < 1e-5
    assert math.log10(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", SOLIDS + FLUIDS, ids=name)
def test_symmetries(law, d):
    F = gradients(1000, d)
    Q = rotations(len(F), d)
    tau = law(F)
    scale = tau.flatten(1).norm(dim=1).clamp_min(1e-3)[:, None, None]
    assert ((law(Q @ F) - Q @ tau @ Q.mT) / scale).abs().max() < 1e-10
    assert ((law(F @ Q) - tau) / scale).abs().max() < 1e-10
    assert ((tau - tau.mT) / scale).abs().max() < 1e-12
    assert law(torch.eye(d, dtype=torch.float64)).abs().max() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", SOLIDS + FLUIDS, ids=name)
def test_derivatives_at_rest_and_at_equal_stretches(law, d):
    one = torch.eye(d, dtype=torch.float64)
    near = one + 1e-5 * torch.randn(d, d, dtype=torch.float64)
    for F in (one, 1.3 * rotations(1, d)[0], near, torch.diag(torch.tensor([1.2, 0.8, 0.8][:d], dtype=torch.float64))):
        assert gradcheck(law, (F.clone().requires_grad_(),))
    assert gradgradcheck(law, (gradients(1, d)[0].requires_grad_(),))


def test_float32_agrees():
    F = gradients(100, 3)
    for law in SOLIDS + FLUIDS:
        torch.testing.assert_close(law(F.float()).double(), law(F), rtol=1e-3, atol=1e-4)
        assert law(F.float()).dtype == torch.float32
        assert law(F[:0]).shape == (0, 3, 3)


def test_moduli_can_be_learned():
    law = Hencky(2.0, 0.2).requires_grad_()
    F = gradients(20, 3)
    target = Hencky(5.0, 0.2)(F)
    optimizer = torch.optim.Adam([law.log_young], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        (law(F) - target).square().mean().backward()
        optimizer.step()
    assert law.log_young.exp().item() == pytest.approx(5.0, rel=1e-3)


def test_wave_speeds():
    assert FixedCorotated(1e5, 0.2).wave_speed(1e3) == pytest.approx(10.54, abs=0.01)
    assert Hencky(3e5, 0.25).wave_speed(1e3) == pytest.approx(18.97, abs=0.01)
    assert WeaklyCompressible(1e5, 0.3).wave_speed(1e3) == pytest.approx(7.6, abs=0.01)


@pytest.mark.parametrize(("young", "poisson"), [(0.0, 0.2), (-1.0, 0.2), (math.nan, 0.2), (1.0, 0.5), (1.0, -0.1)])
def test_constants_out_of_range(young, poisson):
    with pytest.raises(ValueError, match=r"expected (young|poisson)"):
        Hencky(young, poisson)
    with pytest.raises(ValueError, match="exponent"):
        Tait(1.0, 0.3, exponent=1.0)
