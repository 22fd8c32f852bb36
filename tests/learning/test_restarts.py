import math

import pytest
import torch

from geoops.learning._restarts import Segments, at, cut, observed_states, position_loss, restart_length
from geoops.models import IsotropicEnergy, YieldProjection
from geoops.physics import MPM, FixedCorotated, material


@pytest.mark.parametrize("intervals", [1, 7, 100, 1000])
@pytest.mark.parametrize("length", [1.0, 25.0, 37.5, 200.0, 5000.0])
def test_segments_begin_where_the_published_rule_says(intervals, length):
    segments = cut(intervals, length)
    count = len(segments.begin)
    rule = [t for t in range(intervals) if t == 0 or t * count // intervals != (t - 1) * count // intervals]
    assert segments.begin.tolist() == rule
    assert int(segments.length.sum()) == intervals
    assert int(segments.length.max()) <= math.ceil(length)


def test_segments_grow_along_a_cosine():
    lengths = [restart_length(s, 25.0, 200.0) for s in (0.0, 0.5, 1.0)]
    assert lengths == pytest.approx([25, 112.5, 200])


@pytest.mark.parametrize("velocity_weight", [0.0, 1e-3])
def test_segments_side_by_side_are_segments_one_by_one(motion, velocity_weight):
    truth = motion("sand")
    elastic, plastic = IsotropicEnergy(modulus=1e5).double(), YieldProjection().double()
    mpm, segments = MPM(truth.box, truth.dt, elastic, plastic), cut(40, 15.0)
    parameters = [*elastic.parameters(), *plastic.parameters()]
    together = position_loss(mpm, truth.frames, truth.frames, segments, 1, velocity_weight)
    gradients = torch.autograd.grad(together, parameters)
    loss, sums = torch.zeros((), dtype=torch.float64), [torch.zeros_like(p) for p in parameters]
    for begin, length in zip(*segments, strict=True):
        state = at(truth.frames, begin[None])
        one = torch.zeros((), dtype=torch.float64)
        for t in range(1, int(length) + 1):
            state = mpm(state)
            one = one + (state.x[0] - truth.frames.x[begin + t]).square().mean()
            one = one + velocity_weight * (state.v[0] - truth.frames.v[begin + t]).square().mean()
        loss = loss + one.detach()
        sums = [a + b for a, b in zip(sums, torch.autograd.grad(one, parameters), strict=True)]
    torch.testing.assert_close(together.detach(), loss, rtol=1e-6, atol=0)
    for a, b in zip(gradients, sums, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


def test_the_true_law_has_no_loss(motion):
    truth = motion()
    law = material("jelly")
    assert position_loss(MPM(truth.box, truth.dt, law.elastic), truth.frames, truth.frames, cut(40, 10.0), 1) < 1e-20


def test_frames_need_not_be_every_step(motion):
    truth = motion()
    every = 4
    chosen = at(truth.frames, torch.arange(0, 41, every))
    law = FixedCorotated(1e5, 0.2)
    loss = position_loss(MPM(truth.box, truth.dt, law), chosen, chosen, Segments(torch.tensor([0, 5]), torch.tensor([5, 5])), every)
    assert loss < 1e-20


def test_restarts_without_deformations_find_them_with_the_true_law(motion):
    truth = motion()
    law = material("jelly")
    found = observed_states(MPM(truth.box, truth.dt, law.elastic, law.plastic), truth.frames, 1)
    torch.testing.assert_close(found.v, truth.frames.v, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.F, truth.frames.F, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.C, truth.frames.C, rtol=0, atol=1e-7)
