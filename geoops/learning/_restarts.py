"""Roll-outs that start again from the observed motion, many at a time."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from geoops.physics import MPM, Particles


def restart_length(progress: float, first: float, last: float) -> float:
    r"""Returns the length of a segment at a share s of the training, $l_1 + (l_0 - l_1)\,(1 + \cos \pi s)/2$."""
    return last + (first - last) * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))) / 2


class Segments(NamedTuple):
    """Parts of a motion: the frames at which they begin, and how many intervals between frames each has."""

    begin: Int[Tensor, " segments"]
    length: Int[Tensor, " segments"]


def cut(intervals: int, length: float) -> Segments:
    """Cuts a motion into nearly equal segments of at most `length` intervals.

    Interval t begins a segment where floor(t K / T) changes, with K = ceil(T / length) segments of T intervals.
    """
    count = max(math.ceil(intervals / max(length, 1.0)), 1)
    begin = torch.tensor([-(-k * intervals // count) for k in range(count)])
    end = torch.cat([begin[1:], torch.tensor([intervals])])
    return Segments(begin, end - begin)


def at(particles: Particles, frames: Int[Tensor, " scenes"]) -> Particles:
    """Returns chosen frames as scenes."""
    p = particles
    return Particles(p.x[frames], p.v[frames], p.C[frames], p.F[frames], p.mass, p.volume)


def roll(mpm: MPM, start: Particles, intervals: int, every: int) -> Iterator[Particles]:
    """Yields the state after each of `intervals` times `every` steps, with gradients."""
    state = start
    for _ in range(intervals):
        for _ in range(every):
            state = mpm(state)
        yield state


def position_loss(
    mpm: MPM, states: Particles, observed: Particles, segments: Segments, every: int, velocity_weight: float = 0.0
) -> Tensor:
    r"""Returns the sum over segments and frames of the mean squared error of positions.

    $$\sum_k \sum_t \frac{1}{N d} \sum_p |x_p - x_p^{obs}|^2 + w\,|v_p - v_p^{obs}|^2$$

    All segments run at once, as scenes.

    Args:
        mpm: simulator with the law that is learned.
        states: frames that segments start from.
        observed: frames that positions (and velocities) are compared with.
        segments: parts to run.
        every: steps between frames.
        velocity_weight: w, in seconds squared.
    """
    loss = observed.x.new_zeros(())
    longest = int(segments.length.max())
    for i, state in enumerate(roll(mpm, at(states, segments.begin), longest, every), start=1):
        runs = i <= segments.length
        frame = (segments.begin + i).clamp_max(len(observed.x) - 1)
        error = (state.x - observed.x[frame]).square()
        if velocity_weight:
            error = error + velocity_weight * (state.v - observed.v[frame]).square()
        loss = loss + torch.where(runs.to(error.device), error.mean((1, 2)), 0.0).sum()
    return loss


def observed_states(mpm: MPM, observed: Particles, every: int) -> Particles:
    """Returns states for restarts of which only positions were observed.

    Velocities are differences of positions; affine velocities and deformations are those of a simulation with the present
    law whose positions and velocities are replaced by the observed ones at every frame. The first frame is taken whole.
    """
    with torch.no_grad():
        v = torch.cat([observed.v[:1], observed.x.diff(dim=0) / (every * mpm.dt)])
        state = at(observed, torch.tensor([0]))
        C, F = [state.C], [state.F]
        for t in range(1, len(v)):
            for _ in range(every):
                state = mpm(state)
            C.append(state.C)
            F.append(state.F)
            state = Particles(observed.x[t : t + 1], v[t : t + 1], state.C, state.F, state.mass, state.volume)
    return Particles(observed.x, v, torch.cat(C), torch.cat(F), observed.mass, observed.volume)
