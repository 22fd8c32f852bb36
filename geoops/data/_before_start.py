"""Frames in front of the first one."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def before_start(
    x0: Float[Tensor, "particles dim"],
    x1: Float[Tensor, "particles dim"],
    gravity: Float[Tensor, " dim"],
    frames: int,
    body: Int[Tensor, " particles"] | None = None,
) -> Float[Tensor, "frames particles dim"]:
    r"""Returns positions as if each body had flown freely and rigidly before the start.

    With the rotation R that turns a body from frame 0 to frame 1 best and the path c of its centre,

    $$x_{-k} = c_{-k} + R^{-k} (x_0 - c_0), \qquad c_{t+1} - 2 c_t + c_{t-1} = g$$

    Steppers need a few velocities; scenes have one.

    Args:
        x0: positions at the start.
        x1: positions one frame later.
        gravity: change of velocity in a frame.
        frames: how many, the earliest first.
        body: number of the body of each particle; all are one unless given.
    """
    out = torch.empty(frames, *x0.shape, dtype=x0.dtype, device=x0.device)
    body = torch.zeros(len(x0), dtype=torch.int64, device=x0.device) if body is None else body
    for number in body.unique().tolist():
        mine = body == number
        a, b = x0[mine].double(), x1[mine].double()
        c0, c1 = a.mean(0), b.mean(0)
        U, _, Vh = torch.linalg.svd((b - c1).T @ (a - c0))
        flip = torch.ones(a.shape[1], dtype=a.dtype, device=a.device)
        flip[-1] = torch.linalg.det(U @ Vh).sign()
        R = (U * flip) @ Vh
        arm, after, here = a - c0, c1, c0
        for k in range(1, frames + 1):
            arm, after, here = arm @ R, here, 2 * here - after + gravity.double()
            out[frames - k, mine] = (here + arm).to(x0.dtype)
    return out
