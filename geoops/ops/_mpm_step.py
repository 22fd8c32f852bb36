"""One explicit step of the material point method, and its adjoint."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ._derive import batch_first, derive
from ._library import plain_torch
from ._small_dense import differentiated

_ops = torch.ops.geoops

Wall = Literal["open", "free-slip", "no-slip", "bilateral"]
WALLS: tuple[Wall, ...] = ("open", "free-slip", "no-slip", "bilateral")


def mpm_step(
    x: Float[Tensor, "*scenes particles d"],
    v: Float[Tensor, "*scenes particles d"],
    C: Float[Tensor, "*scenes particles d d"],
    F: Float[Tensor, "*scenes particles d d"],
    tau: Float[Tensor, "*scenes particles d d"],
    mass: Float[Tensor, "*#scenes particles"],
    volume: Float[Tensor, "*#scenes particles"],
    *,
    cells: Sequence[int],
    dx: float,
    dt: float,
    gravity: Sequence[float],
    walls: Sequence[Wall],
    bound: int = 3,
    clip: float = 0.5,
    eps: float = 0.0,
) -> tuple[
    Float[Tensor, "*scenes particles d"],
    Float[Tensor, "*scenes particles d"],
    Float[Tensor, "*scenes particles d d"],
    Float[Tensor, "*scenes particles d d"],
]:
    r"""Moves particles by one time step (MLS-MPM with APIC transfers and quadratic B-splines).

    With the splines $w_{ip}$ of particle p at the nodes i, their distances $d_{ip} = x_i - x_p$ and $k = 4 / h^2$:

    $$m_i = \sum_p w_{ip} m_p, \qquad
    p_i = \sum_p w_{ip} \left(m_p v_p + (m_p C_p - \Delta t\, V_p k\, \tau_p)\, d_{ip}\right)$$
    $$v_i = \mathrm{walls}\left(\frac{p_i}{m_i + \varepsilon} + \Delta t\, g\right)$$
    $$v_p' = \sum_i w_{ip} v_i, \quad C_p' = k \sum_i w_{ip} v_i d_{ip}^T, \quad F_p' = (1 + \Delta t\, C_p') F_p, \quad
    x_p' = x_p + \Delta t\, v_p'$$

    and x' is held `clip` cells away from the faces of the box, with no gradient where that binds. The derivative keeps
    particles only and makes the grid again. Results have the same bits for any number of threads and in
    every run.

    Args:
        x: positions in the box from 0 to cells * dx, for any number of scenes that do not see each other; d is 2 or 3.
        v: velocities.
        C: affine velocities, C[i, j] = dv_i / dx_j.
        F: elastic deformation gradients.
        tau: Kirchhoff stresses.
        mass: masses; particles of mass 0 take no part and stay as they are. Not differentiated, like `volume`.
        volume: rest volumes.
        cells: cells of the box along each axis.
        dx: length of a cell, h.
        dt: time step.
        gravity: acceleration, d numbers.
        walls: what the faces do, lower and upper of each axis: 2 d words. "open" nothing; "free-slip" stops the velocity
            that approaches; "bilateral" holds the normal velocity at zero in both directions; "no-slip" stops all of the
            velocity where it approaches.
        bound: walls act on nodes i < bound and i > cells - bound, at i * dx.
        clip: least distance of particles from the faces, in cells.
        eps: added to the masses of nodes.

    Returns:
        x', v', C' and F'.

    Raises:
        ValueError: shapes do not fit, a constant is out of range, or a particle is outside of the box or NaN; the message
            names the scene and the particle.
        TypeError: x is not float32 or float64, or another dtype differs from that of x.

    Source: Hu et al. 2018, "A moving least squares material point method".
    """
    d = x.shape[-1]
    if x.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"mpm_step: expected x of dtype float32 or float64, got {x.dtype}")
    if x.ndim < 2 or d not in (2, 3):
        raise ValueError(f"mpm_step: expected x of shape (*scenes, particles, 2 or 3), got {tuple(x.shape)}")
    particles = x.shape[:-1]
    shapes = {"v": (v, (d,)), "C": (C, (d, d)), "F": (F, (d, d)), "tau": (tau, (d, d)), "mass": (mass, ()), "volume": (volume, ())}
    for name, (tensor, end) in shapes.items():
        if tensor.dtype != x.dtype:
            raise TypeError(f"mpm_step: x is {x.dtype} and {name} is {tensor.dtype}; cast one of them")
        fits = tensor.shape == (*particles, *end) or (end == () and tensor.shape == particles[-1:])
        if not fits:
            raise ValueError(f"mpm_step: expected {name} of shape {(*particles, *end)}, got {tuple(tensor.shape)}")
    if len(cells) != d or len(gravity) != d or len(walls) != 2 * d:
        raise ValueError(
            f"mpm_step: in {d} dimensions expected {d} cells, {d} gravity and {2 * d} walls, "
            f"got {len(cells)}, {len(gravity)} and {len(walls)}"
        )
    for wall in walls:
        if wall not in WALLS:
            raise ValueError(f"mpm_step: expected walls of {', '.join(WALLS)}, got {wall!r}")
    if not (dx > 0 and dt > 0):
        raise ValueError(f"mpm_step: expected dx > 0 and dt > 0, got {dx} and {dt}")
    code = sum(WALLS.index(wall) << (2 * face) for face, wall in enumerate(walls))
    scenes = math.prod(particles[:-1])
    flat = [t.reshape(scenes, *t.shape[len(particles) - 1 :]) for t in (x, v, C, F, tau)]
    numbers = [t.expand(particles).reshape(scenes, particles[-1]) for t in (mass, volume)]
    size = [*cells, *[1] * (3 - d)]
    pull = [*(float(g) for g in gravity), *[0.0] * (3 - d)]
    out = _step(*flat, *numbers, *size, code, bound, *pull, float(dx), float(dt), float(clip), float(eps))
    return tuple(new.reshape(old.shape) for new, old in zip(out, (x, v, C, F), strict=True))


def _step_torch(x, v, C, F, tau, mass, volume, nx, ny, nz, walls, bound, gx, gy, gz, dx, dt, clip, eps):
    d, options = x.shape[-1], {"dtype": x.dtype, "device": x.device}
    cells = torch.tensor((nx, ny, nz)[:d], device=x.device)
    active = mass != 0
    _check_inside(x, active, cells, dx)
    s = torch.where(active[..., None], x, 0.5 * dx) / dx
    base = (s.detach() - 0.5).floor()
    f = s - base
    spline = torch.stack([0.5 * (1.5 - f).square(), 0.75 - (f - 1).square(), 0.5 * (f - 0.5).square()], -2)
    near = torch.tensor(list(product(range(3), repeat=d)), device=x.device)  # (3^d, d)
    weight = torch.ones(1, **options)
    for a in range(d):
        weight = weight * spline[..., near[:, a], a]
    distance = (near - f[..., None, :]) * dx
    stressed = torch.where(active, volume, 0.0)[..., None, None]
    spread = mass[..., None, None] * C - (dt * 4 / dx**2) * stressed * tau
    brings = (mass[..., None] * v)[..., None, :] + distance @ spread.mT
    brings = weight[..., None] * torch.cat([brings, mass[..., None, None].expand(*brings.shape[:-1], 1)], -1)

    count = cells + 3  # nodes from -1 on
    places = base.long()[..., None, :] + near + 1
    node = torch.arange(len(x), device=x.device)[:, None, None]
    for a in range(d):
        node = node * count[a] + places[..., a]
    nodes = int(len(x) * count.prod())
    sums = brings.new_zeros(nodes, d + 1).index_add(0, node.flatten(), brings.flatten(0, 2))
    held = sums[:, d:] > 0
    velocity = torch.where(held, sums[:, :d] / torch.where(held, sums[:, d:] + eps, 1.0), 0.0)
    velocity = velocity + dt * torch.tensor((gx, gy, gz)[:d], **options)
    velocity = _walls(velocity.view(len(x), *count.tolist(), d), cells, walls, bound).view(nodes, d)

    found = velocity[node.flatten()].view(*weight.shape, d) * weight[..., None]
    v2 = found.sum(-2)
    C2 = 4 / dx**2 * (found.mT @ distance)
    F2 = F + dt * (C2 @ F)
    top = (cells.to(x.dtype) - clip) * dx
    x2 = torch.minimum(torch.clamp_min(x + dt * v2, clip * dx), top)
    keep = lambda new, old: torch.where(active.view(active.shape + (1,) * (new.ndim - 2)), new, old)  # noqa: E731
    return keep(x2, x), keep(v2, v), keep(C2, C), keep(F2, F)


def _check_inside(x: Tensor, active: Tensor, cells: Tensor, dx: float) -> None:
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    bad = (~((x >= 0) & (x <= cells.to(x.dtype) * dx)).all(-1) & active).nonzero()
    if len(bad):
        scene, particle = bad[0].tolist()
        place = tuple(x[scene, particle].tolist())
        raise ValueError(f"mpm_step: particle {particle} of scene {scene} is at {place}, outside the box of the grid")


def _walls(velocity: Tensor, cells: Tensor, walls: int, bound: int) -> Tensor:
    d = velocity.shape[-1]
    for a in range(d):
        at = torch.arange(-1, int(cells[a]) + 2, device=velocity.device).view([-1 if b == a else 1 for b in range(d)])
        for face in range(2):
            wall = WALLS[walls >> (4 * a + 2 * face) & 3]
            inside = at < bound if face == 0 else at > cells[a] - bound
            approaches = velocity[..., a] < 0 if face == 0 else velocity[..., a] > 0
            if wall == "no-slip":
                velocity = torch.where((inside & approaches)[..., None], 0.0, velocity)
            elif wall != "open":
                stopped = inside if wall == "bilateral" else inside & approaches
                own = torch.arange(d, device=velocity.device) == a
                velocity = torch.where(stopped[..., None] & own, 0.0, velocity)
    return velocity


def _backward_torch(gx, gv, gC, gF, x, v, C, F, tau, mass, volume, v2, C2, *options):
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_() for t in (x, v, C, F, tau)]
        outputs = _step_torch(*inputs, mass, volume, *options)
        return torch.autograd.grad(outputs, inputs, (gx, gv, gC, gF))


plain_torch("mpm_step", _step_torch)
plain_torch("mpm_step_backward", _backward_torch)


@torch.library.register_fake("geoops::mpm_step")
def _step_fake(x, v, C, F, tau, mass, volume, *options):
    return x.new_empty(x.shape), v.new_empty(v.shape), C.new_empty(C.shape), F.new_empty(F.shape)


@torch.library.register_fake("geoops::mpm_step_backward")
def _backward_fake(gx, gv, gC, gF, x, v, C, F, tau, *rest):
    return tuple(t.new_empty(t.shape) for t in (x, v, C, F, tau))


def _save(ctx, inputs, output) -> None:
    ctx.save_for_backward(*inputs[:7], output[1], output[2])
    ctx.options = inputs[7:]


def _backward(ctx, gx, gv, gC, gF):
    x, v, C, F, tau, mass, volume, v2, C2 = ctx.saved_tensors
    if differentiated():
        pull = torch.func.vjp(lambda *state: _step_torch(*state, mass, volume, *ctx.options), x, v, C, F, tau)[1]
        grads = pull((gx, gv, gC, gF))
    else:
        grads = _ops.mpm_step_backward.default(gx, gv, gC, gF, x, v, C, F, tau, mass, volume, v2, C2, *ctx.options)
    return *grads, *[None] * (2 + len(ctx.options))


def _jvp(ctx, *tangents):
    *state, mass, volume, _, _ = ctx.saved_tensors
    tangents = [torch.zeros_like(s) if t is None else t for s, t in zip(state, tangents[:5], strict=True)]
    # forward mode does not nest: the derivative of the reverse rule, which is linear in the gradients that it is given
    pull = torch.func.vjp(lambda *s: _step_torch(*s, mass, volume, *ctx.options), *state)[1]
    push = torch.func.vjp(lambda *g: pull(g), *(torch.zeros_like(t) for t in state[:4]))[1]
    return push(tuple(tangents))


def _vmap(info, in_dims, *inputs):
    size = info.batch_size
    folded = [batch_first(t, dim, size).flatten(0, 1) for t, dim in zip(inputs[:7], in_dims, strict=False)]
    out = _ops.mpm_step.default(*folded, *inputs[7:])
    return tuple(t.unflatten(0, (size, -1)) for t in out), (0, 0, 0, 0)


_step = derive("mpm_step", _save, _backward, _jvp, _vmap)
