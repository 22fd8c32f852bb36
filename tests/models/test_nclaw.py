import pytest
import torch
from torch.autograd import gradcheck

from geoops import ops
from geoops.models import NCLawElastic, NCLawPlastic


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
