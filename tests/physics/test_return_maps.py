import math

import pytest
import torch
from torch.autograd import gradcheck

from geoops import ops
from geoops.physics import DruckerPrager, Hencky, Unchanged, VolumeOnly, VonMises

CLAY, SAND = Hencky(3e5, 0.25), Hencky(1e6, 0.2)
MAPS = [Unchanged(), VolumeOnly(), VonMises(CLAY, 5e3), DruckerPrager(SAND, 25.0)]
name = lambda law: type(law).__name__  # noqa: E731


def gradients(count, d, spread=0.2):
    F = torch.eye(d, dtype=torch.float64) + spread * torch.randn(4 * count, d, d, dtype=torch.float64)
    return F[torch.linalg.det(F) > 0.2][:count]


def strains(F):
    strain = ops.svd(F)[1].log()
    return strain, strain - strain.mean(-1, keepdim=True)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", MAPS, ids=name)
def test_a_map_is_equivariant_and_idempotent_and_leaves_rest_alone(law, d):
    F = gradients(1000, d)
    Q = ops.polar(torch.randn(len(F), d, d, dtype=torch.float64))[0]
    once = law(F)
    assert (law(once) - once).abs().max() < 1e-12
    one = torch.eye(d, dtype=torch.float64)
    assert (law(one) - one).abs().max() <= 1e-15
    if isinstance(law, VolumeOnly):
        assert (law(Q @ F) - once).abs().max() < 1e-12  # a fluid forgets how it turned
    else:
        assert (law(Q @ F) - Q @ once).abs().max() < 1e-10


@pytest.mark.parametrize("d", [2, 3])
def test_von_mises_bounds_the_deviator_and_keeps_the_volume(d):
    F = gradients(1000, d)
    new = MAPS[2](F)
    stress = (2 * CLAY.mu * strains(new)[1]).norm(dim=-1)
    assert stress.max() <= 5e3 * (1 + 1e-12)
    assert (torch.linalg.det(new) / torch.linalg.det(F) - 1).abs().max() < 1e-12
    inside = one_plus(1e-3, d)
    assert torch.equal(MAPS[2](inside), inside)


def one_plus(h, d):
    return torch.eye(d, dtype=torch.float64) + h * torch.randn(200, d, d, dtype=torch.float64)


@pytest.mark.parametrize("d", [2, 3])
def test_drucker_prager_ends_in_the_cone(d):
    F = gradients(1000, d)
    new = MAPS[3](F)
    strain, e = strains(new)
    sine = math.sin(math.radians(25))
    slope = math.sqrt(2 / 3) * 2 * sine / (3 - sine)
    assert slope == pytest.approx(0.267766, abs=1e-6)
    pressure = -float((d * SAND.lam + 2 * SAND.mu) / (2 * SAND.mu)) * strain.sum(-1)
    assert (e.norm(dim=-1) - slope * pressure).max() < 1e-12
    opened = torch.linalg.det(F) >= 1
    assert opened.any()
    turned = ops.polar(F[opened])[0]
    torch.testing.assert_close(new[opened], turned, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", MAPS, ids=name)
def test_derivatives_are_right_in_every_branch_and_finite_where_branches_meet(law, d):
    one = torch.eye(d, dtype=torch.float64)
    sheared = one.clone()
    sheared[0, 1] = 0.3
    for F in (0.8 * one, 1.1 * one, 0.9 * sheared, sheared @ torch.diag(torch.tensor([0.7, 1.1, 0.9][:d], dtype=torch.float64))):
        assert gradcheck(law, (F.clone().requires_grad_(),))
    F = torch.stack(
        [one, 0.9 * one, 1e-3 * one, torch.diag(torch.tensor([1.5, 0.8, 0.8][:d], dtype=torch.float64))]
    ).requires_grad_()
    (g,) = torch.autograd.grad(law(F).sum(), F)
    assert law(F).isfinite().all()
    assert g.isfinite().all()


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("law", MAPS[2:], ids=name)
def test_small_stretches_are_raised_and_reflections_stay(law, d, dtype):
    U, V = torch.linalg.qr(torch.randn(2, 200, d, d, dtype=torch.float64))[0]
    sigma = 10.0 ** (-12 * torch.rand(200, d, dtype=torch.float64))
    sigma[:20] = 0
    F = (U * sigma[:, None] @ V.mT).to(dtype).requires_grad_()
    new = law(F)
    (g,) = torch.autograd.grad(new.sum(), F)
    assert g.isfinite().all()
    assert ops.svd(new.double())[1].min() >= 0.05 * (1 - 1e-4)
    raised = ops.singular_value_map(F.detach(), lambda s: s.clamp_min(0.05))
    torch.testing.assert_close(new.detach(), law(raised), rtol=1e-4, atol=1e-5)
    whole = sigma.amin(1) > 1e-3
    assert torch.equal(torch.linalg.det(new[whole]).sign(), torch.linalg.det(F[whole]).sign())


def test_float32_agrees():
    F = gradients(100, 3)
    for law in MAPS:
        torch.testing.assert_close(law(F.float()).double(), law(F), rtol=1e-4, atol=1e-5)
        assert law(F.float()).dtype == torch.float32
        assert law(F[:0]).shape == (0, 3, 3)


def test_constants_out_of_range():
    with pytest.raises(ValueError, match="yield_stress"):
        VonMises(CLAY, 0.0)
    with pytest.raises(ValueError, match="friction"):
        DruckerPrager(SAND, 90.0)
    with pytest.raises(ValueError, match="cohesion"):
        DruckerPrager(SAND, 25.0, -1.0)
