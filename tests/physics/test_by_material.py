import pytest
import torch

from geoops.physics import ByMaterial, FixedCorotated, Unchanged, VolumeOnly, WeaklyCompressible


def laws():
    return FixedCorotated(1e5, 0.2), WeaklyCompressible(1e5, 0.3)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_every_particle_obeys_its_own_law(dtype, batch):
    material = torch.tensor([1, 0, 1, 1, 0])
    F = torch.eye(3, dtype=dtype) + 0.1 * torch.randn(*batch, 5, 3, 3, dtype=dtype)
    found = ByMaterial(laws(), material)(F)
    for p, m in enumerate(material):
        torch.testing.assert_close(found[..., p : p + 1, :, :], laws()[m](F[..., p : p + 1, :, :]))


@pytest.mark.parametrize("material", [[0, 0, 0], [1, 1, 1], []])
def test_materials_without_particles(material):
    F = torch.eye(3).expand(len(material), 3, 3)
    out = ByMaterial((Unchanged(), VolumeOnly(), Unchanged()), torch.tensor(material, dtype=torch.int64))(F)
    assert torch.equal(out, F)


def test_gradients_reach_every_law_and_every_particle():
    both = ByMaterial(laws(), torch.tensor([1, 0, 1])).requires_grad_()
    F = (torch.eye(3, dtype=torch.float64) + 0.1 * torch.randn(3, 3, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(both, F)
    both(F).square().sum().backward()
    assert all(law.log_young.grad.abs() > 0 for law in both.laws)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_laws_with_the_values_of_their_particles(batch):
    both = ByMaterial((*laws(), Unchanged()), torch.tensor([2, 0, 2]))
    values = torch.tensor([1.0, 2.0, 3.0]).expand(*batch, 3)
    (first, own), (second, others) = both.shares(values)
    assert (first, second) == (both.laws[0], both.laws[2])
    assert torch.equal(own, values[..., 1:2])
    assert torch.equal(others, values[..., ::2])


def test_errors():
    with pytest.raises(ValueError, match="from 0 to 1 for 2 laws, got 0 to 2"):
        ByMaterial(laws(), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="2 particles are known, got 3"):
        ByMaterial(laws(), torch.tensor([0, 1]))(torch.eye(3).expand(3, 3, 3))
