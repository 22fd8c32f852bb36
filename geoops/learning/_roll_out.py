"""Steppers in time, and the errors of one step and of many."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.geometry._particle_graph import ParticleGraph
from geoops.models._stepper import Stepper
from geoops.physics import Motion

CROWD = 4  # times the mean number of neighbours at the start: most that a particle has later
FAR = 3.0  # sides of the box that a particle may be outside before a motion counts as exploded


def roll_out(stepper: Stepper, graph: ParticleGraph, frames: int, clamp: bool = True) -> Iterator[Float[Tensor, "particles dim"]]:
    r"""Yields the positions of each frame after a window.

    $$x_{t+1} = x_t + (x_t - x_{t-1}) + a, \qquad \text{clamped to the walls}$$

    The graph is built anew in each frame, with the radius of the window. Where particles clump, which poor steppers make them do,
    only the nearest are neighbours, so that a step does not take ever longer.

    Args:
        stepper: gives accelerations.
        graph: the window.
        frames: how many.
        clamp: whether positions are kept within the bounds.

    Raises:
        FloatingPointError: the motion explodes; names the frame.
    """
    low, high = graph.bounds[graph.scene].unbind(2)
    far = FAR * (high - low)
    most = max(32, CROWD * -(-graph.edge_index.shape[1] // max(len(graph.material), 1)))
    with torch.no_grad():
        for frame in range(1, frames + 1):
            x = stepper.next(graph)
            inside = (x >= low - far) & (x <= high + far)  # false for NaN, too
            if not inside.all():
                worst = int((~inside).any(1).nonzero()[0])
                raise FloatingPointError(
                    f"the motion exploded: in frame {frame} after the start particle {worst} is at {x[worst].tolist()}; "
                    "a larger sample, or a stepper trained for longer, may help"
                )
            if clamp:
                x = torch.minimum(torch.maximum(x, low), high)
            yield x
            graph = graph.moved(x, most) if frame < frames else graph


def free_fall(motion: Motion, last: int, frames: int, clamp: bool = True) -> Float[Tensor, "frames particles dim"]:
    """Returns what gravity alone does after a frame, kept within the walls if `clamp`: the least that a stepper has to beat."""
    x, v = motion.x[last], motion.x[last] - motion.x[last - 1]
    low, high = motion.bounds.unbind(1)
    out = []
    for _ in range(frames):
        v = v + motion.gravity
        x = x + v
        out.append(torch.minimum(torch.maximum(x, low), high) if clamp else x)
    return torch.stack(out) if out else x.new_empty(0, *x.shape)


class StepErrors(NamedTuple):
    """Sums of squared errors of accelerations, and of what predicting none of them would give.

    Args:
        squared: of the predictions, in (length per frame squared)^2, summed over the axes.
        zero: of the acceleration zero.
        count: particles.
    """

    squared: float
    zero: float
    count: int

    @property
    def mse(self) -> float:
        """Mean over particles of the error summed over axes."""
        return self.squared / max(self.count, 1)

    @property
    def relative(self) -> float:
        """Error as a share of that of the acceleration zero."""
        return self.squared / max(self.zero, 1e-30)


def step_errors(stepper: Stepper, graph: ParticleGraph, future: Float[Tensor, "particles dim"]) -> StepErrors:
    """Returns the errors of one step from true positions."""
    with torch.no_grad():
        x = graph.positions
        truth = future - 2 * x[:, -1] + x[:, -2]
        error = (stepper(graph) - truth).square().sum()
    return StepErrors(float(error), float(truth.square().sum()), len(truth))


def as_motion(truth: Motion, chosen: Int[Tensor, " samples"], last: int, x: Float[Tensor, "frames samples dim"]) -> Motion:
    """Returns a predicted motion of a sample, with the true frames up to `last` in front."""
    from dataclasses import replace

    some = truth.of(chosen)
    return replace(some, x=torch.cat([some.x[: last + 1], x]))
