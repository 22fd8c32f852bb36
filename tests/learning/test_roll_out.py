"""Steppers in time, and the errors of one step and of many."""

import math

import pytest
import torch

from geoops.data import window
from geoops.learning import as_motion, free_fall, roll_out, step_errors
from geoops.models import GIOROM
from geoops.models._stepper import Stepper, StepperSizes
from geoops.testing import random_motion


class Formula(Stepper):
    """Accelerations that a function gives; `seen` keeps what it was asked."""

    def __init__(self, function, names=("jelly", "sand")):
        super().__init__(StepperSizes(2, names))
        self.function, self.seen = function, []

    def forward(self, graph):
        self.seen.append(graph)
        return self.function(graph)


def start(motion, last=5, radius=0.1, names=("jelly", "sand")):
    return window(motion, torch.arange(len(motion.material)), last, names, 5, radius).joined()


def test_each_frame_is_seen_by_the_next():
    motion = random_motion(40, names=("jelly", "sand"), frames=20)
    truth = motion.x.diff(n=2, dim=0)
    stepper = Formula(lambda graph: truth[3 + len(stepper.seen)])
    frames = list(roll_out(stepper, start(motion), 10))
    torch.testing.assert_close(torch.stack(frames), motion.x[6:16], rtol=0, atol=1e-5)
    for k, graph in enumerate(stepper.seen):
        torch.testing.assert_close(graph.positions, motion.x[k : k + 6].transpose(0, 1), rtol=0, atol=1e-5)
        # defects 10 and 21: materials and the radius stay, edges do not
        assert torch.equal(graph.material, motion.material)
        assert graph.radius.item() == pytest.approx(0.1)
        found, wanted = (torch.unique(g.edge_index, dim=1) for g in (graph, graph.joined()))
        assert torch.equal(found, wanted)
        assert torch.equal(graph.rest, motion.x[0])
    assert len(stepper.seen) == 10


def test_walls_hold_particles():
    motion = random_motion(40)
    fall = Formula(lambda graph: torch.tensor([0.0, -0.01]).expand(40, 2))
    low = motion.bounds[1, 0]
    held = torch.stack(list(roll_out(fall, start(motion), 15)))
    assert held[..., 1].min() == low
    assert (held[-1][:, 1] == low).all()
    free = torch.stack(list(roll_out(fall, start(motion), 15, clamp=False)))
    assert free[..., 1].min() < low


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e3, -1e3])
def test_explosions_name_the_frame(bad):
    def exploding(graph):
        a = torch.zeros(40, 2)
        if len(stepper.seen) == 4:
            a[17, 0] = bad
        return a

    stepper, seen = Formula(exploding), []
    with pytest.raises(FloatingPointError, match=r"the motion exploded: in frame 4 after the start particle 17 is at \["):
        seen.extend(roll_out(stepper, start(random_motion(40)), 9))
    assert len(seen) == 3


def test_particles_that_clump_do_not_slow_the_steps():
    def gathering(graph):
        x = graph.positions
        return 0.5 + 1e-3 * (x[:, -1] - 0.5) - 2 * x[:, -1] + x[:, -2]

    stepper, graph = Formula(gathering), start(random_motion(400), radius=0.03)
    list(roll_out(stepper, graph, 3))
    assert stepper.seen[0].edge_index.shape[1] == graph.edge_index.shape[1] < 32 * 400
    assert stepper.seen[2].edge_index.shape[1] <= max(32, 4 * (graph.edge_index.shape[1] // 400 + 1)) * 400


def test_no_frames_and_no_gradients():
    net = GIOROM(StepperSizes(2, ("jelly", "sand")), width=4, lattice=4, channels=(4,))
    assert list(roll_out(net, start(random_motion(40)), 0)) == []
    assert not next(roll_out(net, start(random_motion(40)), 1)).requires_grad


def test_free_fall_is_what_an_untrained_stepper_does():
    motion = random_motion(40, frames=12)
    net = GIOROM(StepperSizes(2, ("jelly", "sand")), width=4, lattice=4, channels=(4,))
    rolled = torch.stack(list(roll_out(net, start(motion), 30)))
    torch.testing.assert_close(free_fall(motion, 5, 30), rolled, rtol=0, atol=5e-5)
    assert free_fall(motion, 5, 0).shape == (0, 40, 2)


def test_errors_of_one_step():
    motion = random_motion(40, dtype=torch.float64)
    truth = motion.x[6] - 2 * motion.x[5] + motion.x[4]
    graph = start(motion)
    exact = step_errors(Formula(lambda graph: truth).double(), graph, motion.x[6])
    assert exact.mse < 1e-25
    nothing = step_errors(Formula(lambda graph: torch.zeros_like(truth)).double(), graph, motion.x[6])
    assert nothing.relative == pytest.approx(1.0)
    assert nothing.mse == pytest.approx(truth.square().sum(1).mean().item())  # the sum over axes
    assert nothing.count == 40


def test_predictions_follow_true_frames():
    motion = random_motion(40, names=("jelly", "sand"))
    chosen = torch.tensor([3, 1, 30])
    x = torch.rand(4, 3, 2)
    found = as_motion(motion, chosen, 5, x)
    assert torch.equal(found.x, torch.cat([motion.x[:6, chosen], x]))
    assert torch.equal(found.material, motion.material[chosen])
    assert found.spacing == motion.spacing
