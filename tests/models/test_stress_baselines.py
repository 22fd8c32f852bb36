import pytest
import torch
from torch.autograd import gradcheck

from geoops import ops
from geoops.models import PrincipalStressNet, StretchSplines

LAWS = [PrincipalStressNet, StretchSplines]


def gradients(count, d, dtype=torch.float64):
    F = torch.eye(d, dtype=dtype) + 0.2 * torch.randn(4 * count, d, d, dtype=dtype)
    return F[torch.linalg.det(F) > 0.2][:count]


@pytest.mark.parametrize("kind", LAWS)
@pytest.mark.parametrize("d", [2, 3])
def test_stress_is_symmetric_and_turns_with_the_material(kind, d):
    law = kind(d).double()
    F = gradients(40, d)
    Q = ops.polar(torch.randn(len(F), d, d, dtype=torch.float64))[0]
    tau = law(F)
    scale = tau.abs().max()
    assert ((tau - tau.mT) / scale).abs().max() < 1e-12
    assert ((law(Q @ F) - Q @ tau @ Q.mT) / scale).abs().max() < 1e-10
    assert ((law(F @ Q) - tau) / scale).abs().max() < 1e-9


@pytest.mark.parametrize("d", [2, 3])
def test_splines_go_through_their_knots_and_start_as_lines(d):
    law = StretchSplines(d).double()
    at = torch.linspace(0.05, 12, 200, dtype=torch.float64)
    knots = law.knots.double()
    values = law.scale * law.values.double()[0]
    torch.testing.assert_close(law._spline(values, knots), values.detach(), check_dtype=False)
    line = law._spline(knots * 3 - 1, at)
    torch.testing.assert_close(line, at * 3 - 1)


def test_the_stress_of_splines_is_the_formula():
    law = StretchSplines().double()
    torch.nn.init.normal_(law.values)
    s = torch.tensor([1.3, 1.1, 0.8], dtype=torch.float64)
    f, g, h = (lambda x, v=v: law._spline(law.scale * v, x) for v in law.values)
    want = [
        f(s[i]) + g(s[i] * s[j]) * s[j] + g(s[i] * s[k]) * s[k] + h(s.prod()) * s[j] * s[k]
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    ]
    torch.testing.assert_close(law(torch.diag(s)).diagonal(), torch.stack(want) * s)


def test_the_scale_of_the_network():
    torch.manual_seed(0)
    one = PrincipalStressNet(scale=1.0).double()
    many = PrincipalStressNet(scale=5e3).double()
    many.load_state_dict(one.state_dict())
    F = gradients(5, 3)
    torch.testing.assert_close(many(F), 5e3 * one(F))
    with pytest.raises(ValueError, match=r"expected a positive scale, got 0"):
        PrincipalStressNet(scale=0.0)


@pytest.mark.parametrize("kind", LAWS)
def test_derivatives_where_stretches_differ(kind):
    law = kind().double()
    F = torch.diag(torch.tensor([1.31, 1.04, 0.83], dtype=torch.float64)) + 0.02 * torch.randn(3, 3, dtype=torch.float64)
    assert gradcheck(lambda F: law(F) / 1e3, (F.requires_grad_(),))


@pytest.mark.parametrize("kind", LAWS)
def test_empty_and_wrong_sizes(unchecked, kind, dtype):
    assert kind().to(dtype)(torch.zeros(0, 3, 3, dtype=dtype)).shape == (0, 3, 3)
    with pytest.raises(ValueError, match="dim of 2 or 3"):
        kind(4)
    with pytest.raises(ValueError, match=r"expected F of shape \(..., 3, 3\), got \(5, 2, 2\)"):
        kind()(torch.zeros(5, 2, 2))
