import pytest
import torch

from geoops.learning._weak_form import bump, weak_form_loss, weak_residual
from geoops.physics import MPM, FixedCorotated, WeaklyCompressible, material


def simulator(truth, elastic, plastic=None):
    return MPM(truth.box, truth.dt, elastic, plastic)


@pytest.mark.parametrize("frames", [1, 8])
def test_the_true_law_leaves_no_residual(motion, frames):
    truth = motion()
    left, state = weak_residual(
        simulator(truth, FixedCorotated(1e5, 0.2)), truth.frames, truth.frames, torch.tensor([3, 20]), frames, 1
    )
    assert left.abs().max() < 1e-12
    torch.testing.assert_close(state.F[0], truth.frames.F[4])


def test_the_residual_is_linear_in_the_stress(motion):
    truth = motion(steps=20)
    residuals = []
    for young in (1e5, 2e5, 3e5):
        law = WeaklyCompressible(young, 0.3)
        residuals.append(weak_residual(simulator(truth, law), truth.frames, truth.frames, torch.tensor([12]), 4, 1)[0])
    torch.testing.assert_close(residuals[2] - residuals[1], residuals[1] - residuals[0], rtol=1e-6, atol=1e-10)
    assert (residuals[1] - residuals[0]).abs().max() > 1e-4


def test_the_loss_falls_towards_the_true_constants(motion):
    truth = motion("plasticine")
    begin = torch.tensor([2, 9, 21])
    losses = {}
    for factor in (0.5, 0.9, 1.0):
        law = material("plasticine")
        law.elastic.log_young.data += torch.tensor(factor).log()
        losses[factor] = float(
            weak_form_loss(simulator(truth, law.elastic, law.plastic), truth.frames, truth.frames, begin, 2, 1, deformation=True)
        )
    assert losses[0.5] > losses[0.9] > losses[1.0]
    assert losses[1.0] < 1e-20


def test_bumps_have_mean_square_one_and_vanish_at_the_ends():
    assert bump(1).tolist() == [1.0]
    weight = bump(26)
    assert weight.square().mean() == pytest.approx(1, rel=1e-5)
    assert weight[0] < 1e-3 * weight.max()
