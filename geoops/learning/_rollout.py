"""Errors of a simulation against an observed motion."""

import math

import torch

from geoops.physics import MPM, Trajectory

EVERY = 5  # steps between the states that count, from the start on


def rollout_mse(mpm: MPM, truth: Trajectory) -> float:
    r"""Returns the mean squared error of positions over a motion, simulated from its first frame.

    $$\frac{1}{|T|} \sum_{t \in T} \frac{1}{N d} \sum_p |x_p(t) - x_p^{obs}(t)|^2$$

    over the frames T whose step is a multiple of 5, the start among them; infinite where the simulation breaks down.

    Raises:
        ValueError: no frame is at such a step.
    """
    wanted = {int(step): i for i, step in enumerate(truth.steps.tolist()) if step % EVERY == 0}
    if not wanted:
        raise ValueError(f"a motion needs frames at multiples of {EVERY} steps to be compared, got {truth.steps.tolist()[:5]} ...")
    gap = math.gcd(*truth.steps.diff().tolist()) or 1
    total = 0.0
    with torch.no_grad():
        try:
            last = int(truth.steps[-1])
            for i, state in enumerate(mpm.steps(truth.frame(0), last - int(truth.steps[0]), gap), start=1):
                step = int(truth.steps[0]) + i * gap
                if step in wanted:
                    total += float((state.x - truth.frames.x[wanted[step]]).square().mean())
        except FloatingPointError:
            return math.inf
        except ValueError as error:  # of a law that breaks down or is too stiff; a start that is wrong is no result
            if "outside the box of the grid" not in str(error) and "is unstable" not in str(error):
                raise
            return math.inf
    return total / len(wanted)
