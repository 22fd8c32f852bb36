import math

import pytest
import torch
from torch.autograd import gradcheck

from geoops import ops
from geoops.models import IsotropicEnergy, YieldProjection
from geoops.physics import MPM, Box, DruckerPrager, FixedCorotated, Hencky, Particles, VolumeOnly, VonMises

CLAY, SAND = Hencky(3e5, 0.25), Hencky(1e6, 0.2)


def gradients(count, d, spread=0.2):
    F = torch.eye(d, dtype=torch.float64) + spread * torch.randn(4 * count, d, d, dtype=torch.float64)
    return F[torch.linalg.det(F) > 0.2][:count]


def rotations(count, d):
    Q = ops.polar(torch.randn(count, d, d, dtype=torch.float64))[0]
    return Q * torch.linalg.det(Q)[:, None, None] if d == 3 else Q[torch.linalg.det(Q) > 0][0].expand(count, d, d)


def trained(d, **options):
    """A stress law whose network says something."""
    law = IsotropicEnergy(d, **options).double()
    torch.nn.init.normal_(law.last.weight, std=0.1)
    return law


def projection(length, slopes, forgets):
    """A return map with a yield length at rest, its growth with compression, and how much of an expansion is forgotten."""
    law = YieldProjection().double()
    with torch.no_grad():
        law.root[0] = length
        law.root[1:] = torch.as_tensor(slopes, dtype=law.root.dtype)
        law.root.sqrt_()
        law.forgets.fill_(forgets)
    return law


@pytest.mark.parametrize("d", [2, 3])
def test_the_stress_is_the_derivative_of_the_energy(d):
    law, F = trained(d), gradients(500, d).requires_grad_()
    (P,) = torch.autograd.grad(law.energy(F).sum(), F)
    tau = law(F)
    torch.testing.assert_close(tau, P @ F.mT, rtol=1e-9, atol=1e-9 * tau.abs().max().item())


@pytest.mark.parametrize("d", [2, 3])
def test_the_stress_is_symmetric_isotropic_and_turns_with_the_material(d):
    law, F = trained(d), gradients(1000, d)
    Q, tau = rotations(len(F), d), law(F)
    scale = tau.flatten(1).norm(dim=1)[:, None, None]
    assert ((tau - tau.mT) / scale).abs().max() < 1e-14
    assert ((law(Q @ F) - Q @ tau @ Q.mT) / scale).abs().max() < 1e-10
    assert ((law(F @ Q) - tau) / scale).abs().max() < 1e-10
    torch.testing.assert_close(law.energy(Q @ F @ Q), law.energy(F))


@pytest.mark.parametrize("d", [2, 3])
def test_there_is_no_stress_and_no_energy_at_rest(d):
    law, one = trained(d), torch.eye(d, dtype=torch.float64)
    modulus = law.log_moduli.exp().max()
    turned = rotations(50, d)
    assert law(one).abs().max() < 1e-12 * modulus
    assert law.energy(one).abs() < 1e-12 * modulus
    assert law(turned).abs().max() < 1e-12 * modulus
    assert law.energy(gradients(500, d, spread=0.01)).min() > 0  # rest is a minimum


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(("kind", "exponent", "close"), [(FixedCorotated, 1.0, 1e-12), (Hencky, 0.0, 2e-3)])
def test_a_law_whose_network_is_silent_is_one_of_seth_and_hill(d, kind, exponent, close):
    law, known = IsotropicEnergy(d, exponent=exponent).double(), kind(1e5, 0.3)
    torch.nn.init.zeros_(law.last.weight)
    with torch.no_grad():
        law.log_moduli.copy_(torch.stack([known.mu, known.lam]).log())
    F = gradients(100, d)
    tau = known(F)
    torch.testing.assert_close(law(F), tau, rtol=close, atol=close * tau.abs().max().item())
    torch.testing.assert_close(law.energy(F), known.energy(F), rtol=10 * close, atol=0)
    assert law.wave_speed(1e3) == pytest.approx(known.wave_speed(1e3))


def test_laws_go_back_to_the_simplest():
    law, flow = trained(3), projection(0.01, 0.1, 0.5)
    weight, length = law.last.weight.clone(), flow.length(torch.zeros(1))
    law.relax(0.1)
    flow.relax(0.1)
    torch.testing.assert_close(law.last.weight, 0.9 * weight)
    torch.testing.assert_close(flow.length(torch.zeros(1)), 1.21 * length)


@pytest.mark.parametrize("d", [2, 3])
def test_pressure_waves_are_those_of_the_stress_at_rest(d):
    law, one = trained(d).float(), torch.eye(d, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(law(one)[0, 0], one)
    assert law.wave_speed(1e3) == pytest.approx((slope[0, 0].item() / 1e3) ** 0.5, rel=1e-6)
    with torch.inference_mode():
        assert law.wave_speed(4e3) == pytest.approx(law.wave_speed(1e3) / 2)
    torch.nn.init.constant_(law.log_moduli, -math.inf)
    assert law.wave_speed(1e3) == 0


@pytest.mark.parametrize("d", [2, 3])
def test_angular_momentum_of_a_tumbling_body(d):
    box = Box((40,) * d, 0.05, gravity=(0.0,) * d, walls="open")
    axis = torch.linspace(-0.25, 0.25, 9, dtype=torch.float64)
    r = torch.cartesian_prod(*[axis] * d)
    spin = torch.randn(d, d, dtype=torch.float64)
    v = r @ (4 * (spin - spin.mT) + 0.5 * torch.eye(d, dtype=torch.float64))
    start = Particles.undeformed(r + 1, v, volume=0.0625**d, density=1e3)
    end = MPM(box, 5e-4, trained(d), projection(0.01, 0.1, 0.5)).run(start, 50)

    def momentum(now):
        """The tensor x v^T - v x^T and that of the affine part."""
        arms = torch.einsum("p,pi,pj->ij", now.mass, now.x, now.v) + box.dx**2 / 4 * torch.einsum("p,pij->ji", now.mass, now.C)
        return arms - arms.mT

    before, after = momentum(start), momentum(end)
    assert (after - before).norm() < 1e-10 * before.norm()
    assert (end.F - start.F).abs().max() > 1e-3


@pytest.mark.parametrize("d", [2, 3])
def test_derivatives_of_the_stress_also_at_rest(d):
    law, one = trained(d, hidden=4, modulus=2.0), torch.eye(d, dtype=torch.float64)
    names, values = zip(*law.named_parameters(), strict=True)
    stretched = torch.diag(torch.tensor([1.2, 1.2, 0.8][:d], dtype=torch.float64))
    for F in (one, 0.9 * one, stretched, one + 0.1 * torch.randn(d, d, dtype=torch.float64)):
        assert gradcheck(law, (F.clone().requires_grad_(),))
        call = lambda *p, F=F: torch.func.functional_call(law, dict(zip(names, p, strict=True)), (F,))  # noqa: E731
        assert gradcheck(call, values)


@pytest.mark.parametrize("d", [2, 3])
def test_a_map_turns_with_the_material_and_leaves_rest_alone(d):
    law, F, one = projection(0.02, 0.3, 0.7), gradients(1000, d), torch.eye(d, dtype=torch.float64)
    Q, new = rotations(len(F), d), law(F)
    assert (law(Q @ F) - Q @ new).abs().max() < 1e-10
    assert (law(F @ Q) - new @ Q).abs().max() < 1e-10
    assert torch.equal(law(one), one)
    inside = one + 1e-3 * torch.randn(200, d, d, dtype=torch.float64)
    inside = inside[torch.linalg.det(inside) < 1]
    assert torch.equal(law(inside), inside)


@pytest.mark.parametrize("forgets", [0.0, 1.0])
@pytest.mark.parametrize("d", [2, 3])
def test_a_map_is_idempotent_and_ends_in_the_yield_set(d, forgets):
    law, F = projection(0.01, [0.4, 0.3, 0.2, 0.1, 0.2, 0.3], forgets), gradients(1000, d)
    once = law(F)
    assert (law(once) - once).abs().max() < 1e-12
    h = ops.log_strain(once)
    t = h.diagonal(dim1=-2, dim2=-1).sum(-1)
    e = h - t[:, None, None] / d * torch.eye(d, dtype=torch.float64)
    assert (e.flatten(1).norm(dim=1) - law.length(t)).max() < 1e-12
    before = torch.linalg.det(F).log()
    torch.testing.assert_close(t, before if forgets == 0 else before.clamp_max(0), rtol=1e-12, atol=1e-12)


def test_the_yield_length_is_linear_between_its_knots():
    law = projection(0.01, [0.4, 0.3, 0.2, 0.1, 0.2, 0.3], 0.5)
    t = torch.tensor([0.1, 0.0, -0.001, -0.01, -0.1, -1.3], dtype=torch.float64)
    expected = [0.01, 0.01, 0.0104, 0.0133, 0.0133 + 0.02 * 0.2 + 0.07 * 0.1, 0.0243 + 0.2 * 0.2 + 0.3]
    torch.testing.assert_close(law.length(t), torch.tensor(expected, dtype=torch.float64))
    assert law.length(torch.linspace(1, -3, 500, dtype=torch.float64)).diff().min() >= 0


@pytest.mark.parametrize("d", [2, 3])
def test_known_materials_are_members(d):
    F = gradients(1000, d)
    clay = projection(5e3 / (2 * CLAY.mu.item()), 0.0, 0.0)
    torch.testing.assert_close(clay(F), VonMises(CLAY, 5e3)(F), rtol=1e-12, atol=1e-12)
    sine = math.sin(math.radians(25))
    rise = math.sqrt(2 / 3) * 2 * sine / (3 - sine) * (d * SAND.lam + 2 * SAND.mu) / (2 * SAND.mu)
    sand = projection(0.0, rise.item(), 1.0)
    torch.testing.assert_close(sand(F), DruckerPrager(SAND, 25.0)(F), rtol=1e-12, atol=1e-12)
    fluid = projection(0.0, 0.0, 0.0)
    torch.testing.assert_close(fluid(F), ops.polar(F)[0] @ VolumeOnly()(F), rtol=1e-12, atol=1e-12)
    assert torch.equal(projection(1e6, 0.0, 0.0)(F), F)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("forgets", [0.0, 0.3, 1.0])
def test_derivatives_of_the_map(d, forgets):
    law, one = projection(0.02, [0.4, 0.3, 0.2, 0.1, 0.2, 0.3], forgets), torch.eye(d, dtype=torch.float64)
    values = [p.detach().clone().requires_grad_() for p in law.parameters()]
    sheared = one.clone()
    sheared[0, 1] = 0.3
    stretched = torch.diag(torch.tensor([0.7, 1.1, 0.9][:d], dtype=torch.float64))
    for F in (0.8 * one, 1.1 * one, 0.999 * one, 0.9 * sheared, 1.2 * sheared, sheared @ stretched):
        assert gradcheck(law, (F.clone().requires_grad_(),))
        if 0 < forgets < 1:  # at its ends the gate stops
            call = lambda *p, F=F: torch.func.functional_call(law, dict(zip(("root", "forgets"), p, strict=True)), (F,))  # noqa: E731
            assert gradcheck(call, values)
    F = torch.stack([one, torch.diag(torch.tensor([1.5, 0.8, 0.8][:d], dtype=torch.float64)), 1e-3 * one]).requires_grad_()
    gradient = torch.autograd.grad(law(F).sum(), [F, *law.parameters()])
    assert all(g.isfinite().all() for g in gradient)


@pytest.mark.parametrize("d", [2, 3])
def test_precisions_agree(d):
    F = gradients(100, d)
    for law in (trained(d), projection(0.02, 0.3, 0.7)):
        exact, law = law(F), law.float()
        for kind in (torch.float32, torch.float64):
            found = law(F.to(kind))
            assert found.dtype == kind
            scale = exact.abs().max().item()
            torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5 * scale)
        assert law(F[None].expand(2, 3, *F.shape)).shape == (2, 3, *F.shape)
        assert law(F[0]).shape == (d, d)


@pytest.mark.parametrize("law", [IsotropicEnergy(), YieldProjection()], ids=["elastic", "plastic"])
def test_no_matrices(law, dtype):
    F = torch.zeros(0, 3, 3, dtype=dtype, requires_grad=True)
    out = law(F)
    assert out.shape == (0, 3, 3)
    assert out.dtype == dtype
    out.sum().backward()
    assert all(p.grad.isfinite().all() for p in law.parameters() if p.grad is not None)


def test_a_bad_matrix_spoils_no_other():
    F = gradients(20, 3)
    for law in (trained(3), projection(0.02, 0.3, 0.7)):
        good, bad = law(F), law(torch.cat([F[:7], F[7:8] * torch.nan, F[8:]]))
        assert bad[7].isnan().all()
        rest = torch.arange(20) != 7
        torch.testing.assert_close(bad[rest], good[rest])


def test_constants_out_of_range_and_wrong_sizes(unchecked):
    with pytest.raises(ValueError, match="dim of 2 or 3, got 4"):
        IsotropicEnergy(4)
    with pytest.raises(ValueError, match="modulus > 0 and strain > 0"):
        IsotropicEnergy(modulus=-1.0)
    with pytest.raises(ValueError, match="start > 0 and slope > 0"):
        YieldProjection(start=0.0)
    with pytest.raises(ValueError, match=r"IsotropicEnergy: expected F of shape \(\.\.\., 3, 3\), got \(5, 2, 2\)"):
        IsotropicEnergy()(torch.zeros(5, 2, 2))
    with pytest.raises(ValueError, match="F"):
        YieldProjection()(torch.zeros(5, 4, 4))


def test_gates_beyond_their_ends_count_as_the_ends():
    F = gradients(50, 3)
    for beyond, end in ((-0.2, 0.0), (1.2, 1.0)):
        assert torch.equal(projection(0.02, 0.3, beyond)(F), projection(0.02, 0.3, end)(F))
