import pytest
import torch
from torch.autograd import gradcheck

from geoops import ops
from geoops.models import NCLawElastic, NCLawPlastic
from geoops.physics import MPM, Box, Particles


def gradients(count, d):
    F = torch.eye(d, dtype=torch.float64) + 0.3 * torch.randn(4 * count, d, d, dtype=torch.float64)
    return F[torch.linalg.det(F) > 0.2][:count]


@pytest.mark.parametrize("d", [2, 3])
def test_laws_turn_with_the_material_and_leave_rest_alone(d):
    stress, flow = NCLawElastic(d).double(), NCLawPlastic(d).double()
    F, one = gradients(1000, d), torch.eye(d, dtype=torch.float64)
    Q = ops.polar(torch.randn(len(F), d, d, dtype=torch.float64))[0]
    tau = stress(F)
    scale = tau.flatten(1).norm(dim=1)[:, None, None]
    assert ((stress(Q @ F) - Q @ tau @ Q.mT) / scale).abs().max() < 1e-10
    assert (flow(Q @ F) - Q @ flow(F)).abs().max() < 1e-10
    assert stress(one).abs().max() < 1e-12
    assert (flow(one) - one).abs().max() <= 1e-15
    asymmetry = ((tau - tau.mT) / scale).abs().amax((-2, -1))
    assert asymmetry.median() > 1e-3  # the known defect of the published law


def test_sizes():
    assert sum(p.numel() for p in NCLawElastic().parameters()) == 5504
    assert sum(p.numel() for p in NCLawPlastic().parameters()) == 5504


@pytest.mark.parametrize("law", [NCLawElastic(), NCLawPlastic()], ids=["elastic", "plastic"])
def test_derivatives_where_stretches_differ(law):
    law = law.double()
    F = torch.diag(torch.tensor([1.2, 1.0, 0.8], dtype=torch.float64)) + 0.05 * torch.randn(3, 3, dtype=torch.float64)
    assert gradcheck(law, (F.requires_grad_(),))
    (g,) = torch.autograd.grad(law(F0 := torch.eye(3, dtype=torch.float64, requires_grad=True)).sum(), F0)
    assert g.isfinite().all()


def test_empty_and_wrong_sizes(unchecked, dtype):
    assert NCLawElastic().to(dtype)(torch.zeros(0, 3, 3, dtype=dtype)).shape == (0, 3, 3)
    with pytest.raises(ValueError, match="dim of 2 or 3"):
        NCLawElastic(4)
    with pytest.raises(ValueError, match=r"NCLawPlastic: expected F of shape \(..., 3, 3\), got \(5, 2, 2\)"):
        NCLawPlastic()(torch.zeros(5, 2, 2))


@pytest.mark.parametrize(("features", "count"), [("plain", 9), ("polar", 9), ("invariant", 3)])
def test_ablations_see_less(features, count):
    law, flow = NCLawElastic(features=features).double(), NCLawPlastic(features=features).double()
    assert law.net[0].in_features == flow.net[0].in_features == count
    F, one = gradients(50, 3), torch.eye(3, dtype=torch.float64)
    Q = ops.polar(torch.randn(len(F), 3, 3, dtype=torch.float64))[0]
    turned = (law(Q @ F) - Q @ law(F) @ Q.mT).abs().max() / law(F).abs().max()
    assert (turned > 1e-2) if features == "plain" else (turned < 1e-10)
    at_rest = law(one).abs().max()
    assert (at_rest > 1e-6) if features == "invariant" else (at_rest < 1e-12)
    assert flow(F).shape == F.shape


def test_features_that_do_not_exist(unchecked):
    with pytest.raises(ValueError, match=r"expected features of full, plain, polar, invariant, got 'all'"):
        NCLawElastic(features="all")


@pytest.mark.parametrize("at_rest", [True, False])
def test_gradients_of_a_roll_out_by_weights(at_rest):
    """Five steps with both networks against central differences, from F = I and from a deformed state."""
    elastic, plastic = NCLawElastic(hidden=6).double(), NCLawPlastic(hidden=6, alpha=0.1).double()
    for p in elastic.parameters():
        p.data *= 20
    x = torch.rand(12, 3, dtype=torch.float64) * 0.2 + 0.4
    F = torch.eye(3, dtype=torch.float64).expand(12, 3, 3)
    if not at_rest:
        F = F + 0.1 * torch.randn(12, 3, 3, dtype=torch.float64)
    start = Particles(
        x, torch.randn_like(x), torch.zeros_like(F), F, torch.full((12,), 0.1).double(), torch.full((12,), 1e-4).double()
    )
    mpm = MPM(Box((10, 10, 10), 0.1), 1e-3, elastic, plastic)
    parameters = [*elastic.parameters(), *plastic.parameters()]

    def loss():
        state = start
        for _ in range(5):
            state = mpm(state)
        return (state.v.square().sum() + state.F.square().sum()) * 1e2

    gradients = torch.autograd.grad(loss(), parameters)
    for p, g in zip(parameters, gradients, strict=True):
        way = torch.randn_like(p)
        step, kept = 1e-4, p.data.clone()
        with torch.no_grad():
            values = []
            for k in (-2, -1, 1, 2):
                p.data = kept + k * step * way
                values.append(loss())
            p.data = kept
        slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        torch.testing.assert_close((g * way).sum(), slope, rtol=1e-6, atol=1e-9)
