"""The balance of momentum against test functions: a loss on a law that unrolls nothing."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from geoops.ops import small_matmul
from geoops.physics import MPM, Particles, to_nodes

from ._restarts import at


def bump(frames: int) -> Float[Tensor, " {frames}"]:
    r"""Returns the weights in time of a test function, $\sin^4(\pi (t + 1/2) / T)$, of mean square 1; 1 for one frame."""
    weight = torch.sin(torch.pi * (torch.arange(frames) + 0.5) / frames) ** 4
    return weight / weight.square().mean().sqrt()


def weak_residual(
    mpm: MPM, states: Particles, observed: Particles, begin: Int[Tensor, " windows"], frames: int, every: int
) -> tuple[Float[Tensor, " windows nodes d"], Particles]:
    r"""Returns what is left of the balance of momentum in windows of time, and the states one interval on.

    $$r_i = \sum_t b(t) \frac{\sum_p w_{ip} m_p\,(v_p(t + 1) - v_p^{obs}(t + 1))}{\sum_p w_{ip} m_p}$$

    for the splines w of the nodes and a bump b in time, where v(t + 1) comes from the observed state at t in one interval.
    It is linear in the stress wherever no wall starts or stops to hold.
    """
    count = len(begin)
    frame = (begin[:, None] + torch.arange(frames)).flatten()
    state = start = at(states, frame)
    for _ in range(every):
        state = mpm(state)
    left = to_nodes(start.x, state.v - observed.v[frame + 1], start.mass, mpm.box)
    weight = bump(frames).to(left)
    return torch.einsum("f,bfnd->bnd", weight, left.unflatten(0, (count, frames))), state


def weak_form_loss(
    mpm: MPM,
    states: Particles,
    observed: Particles,
    begin: Int[Tensor, " windows"],
    frames: int,
    every: int,
    *,
    deformation: bool,
) -> Float[Tensor, ""]:
    """Returns the mean square of the weak residual, and that of F F^T where F was observed, in units of their changes.

    What F F^T leaves out is a rotation of the material before its deformation, which isotropic materials do not know.

    Args:
        mpm: simulator with the law that is learned.
        states: frames to start from.
        observed: frames to compare with.
        begin: first frame of each window.
        frames: frames of a window.
        every: steps between frames.
        deformation: F was observed.
    """
    left, state = weak_residual(mpm, states, observed, begin, frames, every)
    frame = (begin[:, None] + torch.arange(frames)).flatten()
    change = to_nodes(states.x[frame], observed.v[frame + 1] - observed.v[frame], observed.mass, mpm.box)
    loss = left.square().sum() / len(begin) / (change.square().sum() / len(frame)).clamp_min(1e-30)
    if deformation:
        before, after, found = (small_matmul(F, F, transpose_b=True) for F in (observed.F[frame], observed.F[frame + 1], state.F))
        loss = loss + (found - after).square().sum() / (after - before).square().sum().clamp_min(1e-30)
    return loss
