import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from geoops import ops
from geoops.ops import _mpm_step as module
from geoops.ops import mpm_step

CELLS = {2: (9, 12), 3: (6, 7, 9)}
OPEN = {"gravity": (0.0, 0.0, 0.0), "walls": ("open",) * 6, "dx": 0.1, "dt": 1e-3}


def options(d, **changes):
    new = {"cells": CELLS[d], **OPEN, **changes}
    return new | {"gravity": new["gravity"][:d], "walls": new["walls"][: 2 * d]}


def state(d, count=60, scenes=2, dtype=torch.float64, device="cpu", margin=0.15):
    cells = torch.tensor(CELLS[d])
    x = margin + torch.rand(scenes, count, d, dtype=dtype) * (0.1 * cells - 2 * margin).to(dtype)
    v, C, tau = (torch.randn(scenes, count, *s, dtype=dtype) for s in ((d,), (d, d), (d, d)))
    F = torch.eye(d, dtype=dtype) + 0.1 * torch.randn(scenes, count, d, d, dtype=dtype)
    mass, volume = 0.5 + torch.rand(scenes, count, dtype=dtype), 0.5 + torch.rand(scenes, count, dtype=dtype)
    return [t.to(device) for t in (x, v, C, F, tau, mass, volume)]


WALLED = {"walls": ("free-slip", "bilateral", "no-slip", "free-slip", "open", "no-slip"), "gravity": (1.0, -9.8, 3.0), "eps": 1e-3}


def raw(d, inputs, **changes):
    """Arguments of the op itself."""
    given = options(d, **changes)
    code = sum(module.WALLS.index(w) << (2 * i) for i, w in enumerate(given["walls"]))
    pad = 3 - d
    numbers = [given["dx"], given["dt"], 0.5, given.get("eps", 0.0)]
    return [*inputs, *given["cells"], *[1] * pad, code, 3, *given["gravity"], *[0.0] * pad, *numbers]


@pytest.mark.parametrize("d", [2, 3])
def test_kernel_agrees_with_plain_torch(d, dtype, device, tolerance):
    inputs, loose = state(d, dtype=dtype, device=device), {key: 10 * value for key, value in tolerance.items()}
    inputs[5][0, 3] = 0.0
    arguments = raw(d, inputs, **WALLED)
    expected = module._step_torch(*arguments)
    found = torch.ops.geoops.mpm_step.default(*arguments)
    for new, old in zip(found, expected, strict=True):
        torch.testing.assert_close(new, old, **loose)
    grads = [torch.randn_like(t) for t in expected]
    back = [*grads, *arguments[:7], expected[1], expected[2], *arguments[7:]]
    pairs = zip(torch.ops.geoops.mpm_step_backward.default(*back), module._backward_torch(*back), strict=True)
    for new, old in pairs:
        scale = old.abs().max()
        torch.testing.assert_close(new / scale, old / scale, **loose)


@pytest.mark.parametrize("d", [2, 3])
def test_mass_less_particles_stay_as_they_are(d):
    inputs = state(d)
    inputs[5][1, 4] = 0.0
    inputs[0][1, 4] = -7.0
    found = mpm_step(*inputs, **options(d))
    for new, old in zip(found, inputs, strict=False):
        assert torch.equal(new[1, 4], old[1, 4])


@pytest.mark.parametrize("d", [2, 3])
def test_momentum_is_conserved(d):
    x, v, C, F, tau, mass, volume = state(d, count=500)
    new = mpm_step(x, v, C, F, 0 * tau, mass, volume, **options(d))[1]
    before, after = (torch.einsum("bn,bnd->bd", mass, u) for u in (v, new))
    assert (after - before).abs().max() / mass.sum() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
def test_affine_velocities_come_back(d):
    x, _, _, F, tau, mass, volume = state(d, count=500)
    a, B = torch.randn(d, dtype=torch.float64), torch.randn(d, d, dtype=torch.float64)
    v = a + x @ B.mT
    _, v2, C2, F2 = mpm_step(x, v, B.expand(*x.shape, d), F, 0 * tau, mass, volume, **options(d))
    assert (v2 - v).abs().max() < 1e-12
    assert (C2 - B).abs().max() < 1e-11
    torch.testing.assert_close(F2, F + 1e-3 * B @ F, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_free_fall(d):
    x, _, C, F, tau, mass, volume = state(d, margin=0.3)
    start, v = x, torch.zeros_like(x)
    g = torch.tensor([0.0, -9.8, 0.0], dtype=torch.float64)[:d]
    C, tau = 0 * C, 0 * tau
    for _ in range(20):
        x, v, C, F = mpm_step(x, v, C, F, tau, mass, volume, **options(d, gravity=(0.0, -9.8, 0.0)))
    t = 20e-3
    assert (x - (start + g * t * (t + 1e-3) / 2)).abs().max() < 1e-12


@pytest.mark.parametrize("d", [2, 3])
def test_scenes_do_not_see_each_other_and_order_does_not_matter(d):
    inputs = state(d, scenes=3)
    together = mpm_step(*inputs, **options(d, **WALLED))
    order = torch.randperm(inputs[0].shape[1])
    alone = mpm_step(*(t[1][order] for t in inputs), **options(d, **WALLED))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1][order], b, rtol=1e-12, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads_and_in_every_run(dtype, device):
    inputs = state(3, count=5000, dtype=dtype, device=device)
    grads = [torch.randn_like(t) for t in inputs[:4]]
    results = []
    threads = torch.get_num_threads()
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        leaves = [t.clone().requires_grad_() for t in inputs[:5]]
        out = mpm_step(*leaves, *inputs[5:], **options(3, **WALLED))
        results.append([*out, *torch.autograd.grad(out, leaves, grads)])
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("d", [2, 3])
def test_derivatives(d):
    x, v, C, F, tau, mass, volume = state(d, count=6, scenes=1)
    x = ((x / 0.1).floor() + 0.3 + 0.1 * torch.rand_like(x)) * 0.1  # away from where splines change piece
    leaves = [t.requires_grad_() for t in (x, v, C, F, tau)]
    function = lambda *s: mpm_step(*s, mass, volume, **options(d, dt=1e-2, gravity=(1.0, -9.8, 3.0)))  # noqa: E731
    assert gradcheck(function, leaves, check_forward_ad=True)
    if d == 2:
        assert gradgradcheck(function, leaves)


@pytest.mark.parametrize("d", [2, 3])
def test_opcheck(d):
    inputs = state(d, count=10)
    for t in inputs[:5]:
        t.requires_grad_()
    torch.library.opcheck(torch.ops.geoops.mpm_step.default, tuple(raw(d, inputs, **WALLED)))


@pytest.mark.parametrize(("wall", "stopped"), [("open", (0, 0)), ("free-slip", (1, 0)), ("bilateral", (1, 1)), ("no-slip", (2, 0))])
def test_walls(wall, stopped):
    for normal, kind in ((-1.0, stopped[0]), (1.0, stopped[1])):
        x = torch.tensor([[0.12, 0.5]], dtype=torch.float64)
        v = torch.tensor([[normal, 1.0]], dtype=torch.float64)
        zero, one = torch.zeros(1, 2, 2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        v2 = mpm_step(x, v, zero, zero, zero, one, one, **options(2, walls=(wall,) * 4))[1]
        expected = {0: v, 1: v * torch.tensor([0.0, 1.0]), 2: 0 * v}[kind]
        torch.testing.assert_close(v2, expected, rtol=1e-12, atol=1e-12)


def test_positions_are_held_off_the_faces():
    x = torch.tensor([[0.06, 0.5], [0.84, 0.5]], dtype=torch.float64, requires_grad=True)
    v = torch.tensor([[-50.0, 0.0], [50.0, 0.0]], dtype=torch.float64)
    zero, one = torch.zeros(2, 2, 2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    x2 = mpm_step(x, v, zero, zero, zero, one, one, **options(2))[0]
    torch.testing.assert_close(x2[:, 0], torch.tensor([0.05, 0.85], dtype=torch.float64))
    (g,) = torch.autograd.grad(x2[:, 0].sum(), x)
    assert torch.equal(g, torch.zeros_like(g))


@pytest.mark.parametrize("d", [2, 3])
def test_particles_on_the_faces_and_no_particles(d, dtype):
    top = torch.tensor(CELLS[d], dtype=dtype) * 0.1
    x = torch.stack([0 * top, top])
    one = torch.ones(2, dtype=dtype)
    zero = torch.zeros(2, d, d, dtype=dtype)
    out = mpm_step(x, torch.ones_like(x), zero, zero, zero, one, one, **options(d))
    torch.testing.assert_close(out[1], torch.ones_like(x))
    for scenes, count in ((2, 0), (0, 3)):
        empty = state(d, count=count, scenes=scenes, dtype=dtype)
        assert all(t.numel() == 0 for t in mpm_step(*empty, **options(d)))


def test_errors(unchecked):
    good = state(2)
    for bad in (-0.01, 2.0, torch.nan, torch.inf):
        inputs = [t.clone() for t in good]
        inputs[0][1, 7, 1] = bad
        with pytest.raises(ValueError, match="particle 7 of scene 1"):
            mpm_step(*inputs, **options(2))
    with pytest.raises(TypeError, match=r"v is torch\.float32"):
        mpm_step(good[0], good[1].float(), *good[2:], **options(2))
    with pytest.raises(ValueError, match="expected C of shape"):
        mpm_step(good[0], good[1], good[2][:1], *good[3:], **options(2))
    with pytest.raises(ValueError, match="walls"):
        mpm_step(*good, **options(2, walls=("sticky",) * 4))
    with pytest.raises(ValueError, match="2 cells"):
        mpm_step(*good, **{**options(2), "cells": (9, 9, 9)})
    with pytest.raises(ValueError, match="dt > 0"):
        mpm_step(*good, **options(2, dt=0.0))
    assert ops.info().cpu in ("native", "torch")
