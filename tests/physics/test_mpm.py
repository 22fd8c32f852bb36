import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from geoops.models import IsotropicEnergy
from geoops.physics import (
    MPM,
    Box,
    ByMaterial,
    DruckerPrager,
    FixedCorotated,
    Hencky,
    Particles,
    Tait,
    VolumeOnly,
    VonMises,
    WeaklyCompressible,
)

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "nclaw"
BOX = Box((20, 20, 20), 0.05, eps=1e-7)


def material(kind):
    if kind == "jelly":
        return FixedCorotated(1e5, 0.2), None
    if kind == "sand":
        return (law := Hencky(1e6, 0.2)), DruckerPrager(law, 25.0)
    if kind == "plasticine":
        return (law := Hencky(3e5, 0.25)), VonMises(law, 5e3)
    return WeaklyCompressible(1e5, 0.3), VolumeOnly()


class Law(torch.nn.Module):
    """A law made of a function."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def cube(dtype):
    """The training scene of NCLaw: a cube that is thrown and spins."""
    axis = torch.linspace(-0.25, 0.25, 10, dtype=torch.float64)
    offset = torch.cartesian_prod(axis, axis, axis)
    v = torch.tensor([1.0, -1.5, -2.0]) + torch.linalg.cross(torch.full_like(offset, 4.0), offset)
    return Particles.undeformed((offset + 0.5).to(dtype), v.to(dtype), volume=1.25e-4, density=1e3)


@pytest.mark.parametrize("kind", ["jelly", "sand"])
def test_replay_of_the_original(kind, dtype):
    file = REFERENCE / f"{kind}.npz"
    if not file.exists():
        pytest.skip(f"needs {file.name} of the reference trajectories")
    with np.load(file) as data:
        meta, frames = str(data["meta"]), torch.from_numpy(data["frames"])
    assert json.loads(meta)
    errors = []
    for step, now in enumerate(MPM(BOX, 5e-4, *material(kind)).steps(cube(dtype), 1000), 1):
        if step % 20 == 0:
            errors.append((now.x - frames[step // 20]).double())
    largest = [e.abs().max().item() for e in errors]
    for step, limit in ((20, 2e-6), (100, 2e-5), (200, 5e-5), (1000, 3e-4)):
        assert largest[step // 20 - 1] <= limit
    assert torch.stack(errors).square().mean() <= 1e-9


@pytest.mark.parametrize(
    ("kind", "loss", "slopes"),
    [("jelly", 0.635638, {"log_young": -9.70377e-3}), ("sand", 0.628084, {"log_young": -8.90754e-3, "friction": -3.2191e-4})],
)
def test_gradients_of_the_original(kind, loss, slopes):
    file = REFERENCE / f"{kind}.npz"
    if not file.exists():
        pytest.skip(f"needs {file.name} of the reference trajectories")
    with np.load(file) as data:
        start = replace(
            cube(torch.float64), **{key: torch.from_numpy(data[f"s100_{key}"]).double() for key in ("x", "v", "C", "F")}
        )
    mpm = MPM(BOX, 5e-4, *material(kind)).requires_grad_()
    found = sum((now.x - 0.5).square().mean() + 0.01 * now.v.square().mean() for now in mpm.steps(start, 10))
    assert found.item() == pytest.approx(loss, abs=1e-5)
    found.backward()
    parameters = {name.rpartition(".")[2]: p for name, p in mpm.named_parameters()}
    for name, slope in slopes.items():
        assert parameters[name].grad.item() == pytest.approx(slope, rel=0.01)


@pytest.mark.parametrize("warm", [0, 100], ids=["from rest", "after 100 steps"])
@pytest.mark.parametrize("kind", ["jelly", "sand", "plasticine", "water"])
def test_adjoint_against_central_differences(kind, warm):
    mpm = MPM(BOX, 5e-4, *material(kind))
    start = cube(torch.float64)
    with torch.no_grad():
        start = mpm.run(start, warm)
    weight = [torch.randn_like(t) for t in (start.x, start.v, start.F)]
    direction = {name: torch.randn_like(getattr(start, name)) for name in ("x", "v", "C", "F")}
    direction["x"], direction["F"] = 0.01 * direction["x"], 0.01 * direction["F"]

    def loss(h):
        now = mpm.run(replace(start, **{name: getattr(start, name) + h * d for name, d in direction.items()}), 5)
        return sum((w * t).sum() for w, t in zip(weight, (now.x, now.v, now.F), strict=True))

    h = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(h), h)
    step = 1e-6
    with torch.no_grad():
        difference = (loss(step) - loss(-step)) / (2 * step)
    assert slope.item() == pytest.approx(difference.item(), rel=1e-5)


def test_angular_momentum_of_a_tumbling_cube():
    box = Box((40, 40, 40), 0.05, gravity=(0.0, 0.0, 0.0), walls="open")
    start = cube(torch.float64)
    start = replace(start, x=start.x + 0.5, v=start.v - start.v.mean(0) + 0.5 * (start.x - 0.5))
    dx = box.dx

    def momentum(now):
        spin = torch.stack([now.C[:, 2, 1] - now.C[:, 1, 2], now.C[:, 0, 2] - now.C[:, 2, 0], now.C[:, 1, 0] - now.C[:, 0, 1]], -1)
        return (now.mass[:, None] * (torch.linalg.cross(now.x, now.v) + dx**2 / 4 * spin)).sum(0)

    end = MPM(box, 5e-4, *material("jelly")).run(start, 50)
    before, after = momentum(start), momentum(end)
    assert ((after - before).norm() / before.norm()).item() < 1e-10
    assert end.F.sub(torch.eye(3)).abs().max() > 1e-3


def test_a_bar_rings_at_its_frequency():
    """A free bar between walls that hold the normal velocity: period 2 L / c with the speed c of pressure waves."""
    law, errors = FixedCorotated(1e5, 0.2), []
    for cells in (16, 32):
        dx = 1 / cells
        box = Box((8, 8, cells), dx, gravity=(0.0, 0.0, 0.0), walls=("bilateral",) * 4 + ("open",) * 2)
        side, along = (
            begin + (torch.arange(count, dtype=torch.float64) + 0.5) * dx / 2 for begin, count in ((2 * dx, 8), (0.25, cells))
        )
        x = torch.cartesian_prod(side, side, along)
        mode = torch.cos(math.pi * (x[:, 2] - 0.25) / 0.5)
        start = Particles.undeformed(x, torch.stack([0 * mode, 0 * mode, 0.01 * mode], -1), volume=(dx / 2) ** 3, density=1e3)
        swing = [1.0, *((state.v[:, 2] * mode).sum().item() for state in MPM(box, 5e-4, law).steps(start, 160))]
        zeros = [i + a / (a - b) for i, (a, b) in enumerate(pairwise(swing)) if a * b < 0]
        errors.append(abs(2 * (zeros[1] - zeros[0]) * 5e-4 * law.wave_speed(1e3) - 1))
    assert errors[1] < 0.03
    assert errors[1] < 0.6 * errors[0]


def test_batches_are_scenes_of_their_own(dtype):
    mpm, one = MPM(BOX, 5e-4, *material("jelly")), cube(dtype)
    other = replace(one, v=-one.v)
    both = Particles(*(torch.stack([getattr(one, k), getattr(other, k)]) for k in ("x", "v", "C", "F", "mass", "volume")))
    for state in mpm.steps(both, 5):
        one, other = mpm(one), mpm(other)
        assert torch.equal(state.x[0], one.x)
        assert torch.equal(state.x[1], other.x)


def test_errors(unchecked):
    for cells in ((4,), (4, 0, 4)):
        with pytest.raises(ValueError, match="cells"):
            Box(cells, 0.1)
    with pytest.raises(ValueError, match="dx"):
        Box((4, 4), math.nan)
    with pytest.raises(ValueError, match="2 axes"):
        Box((4, 4), 0.1, gravity=(0.0, 0.0, -9.8))
    with pytest.raises(ValueError, match="dt"):
        MPM(BOX, 0.0, *material("jelly"))
    for laws in (("jelly",), (FixedCorotated(1e5, 0.2), "jelly")):
        with pytest.raises(
            TypeError, match=r"MPM: expected (elastic|plastic) to be a module .*, got 'jelly'.*geoops\.physics\.material"
        ):
            MPM(BOX, 5e-4, *laws)
    with pytest.raises(FloatingPointError, match="after step 1 particle 0 "):
        MPM(BOX, 5e-4, Law(lambda F: F * torch.nan)).run(cube(torch.float32), 3)
    large = Law(lambda F: torch.full_like(F, 3e38))  # finite, though their sum is not
    assert MPM(BOX, 5e-4, Law(torch.zeros_like), large).run(cube(torch.float32), 1).F.isfinite().all()


@pytest.mark.parametrize(
    ("law", "courant"),
    [
        (Hencky(1e6, 0.2), 0.7),
        (FixedCorotated(1e5, 0.2), 0.7),
        (WeaklyCompressible(1e5, 0.3), 0.35),
        (Tait(1e5, 0.3), 0.35),
        (IsotropicEnergy(), 0.7),
    ],
    ids=["Hencky", "FixedCorotated", "WeaklyCompressible", "Tait", "IsotropicEnergy"],
)
def test_the_bound_of_the_time_step(law, courant):
    start, longest = cube(torch.float32), courant * BOX.dx / law.wave_speed(1e3)
    MPM(BOX, 0.999 * longest, law).check(start)
    words = rf"dt = {1.001 * longest:g} is unstable: the bound of {type(law).__name__} is {longest:.3g} \({courant} of the time"
    with pytest.raises(ValueError, match=words):
        MPM(BOX, 1.001 * longest, law).check(start)
    with pytest.raises(ValueError, match="is unstable"):
        MPM(BOX, 1.001 * longest, law).run(start, 1)


@pytest.mark.parametrize(
    ("law", "plastic"),
    [
        (Tait(1e5, 0.3), VolumeOnly()),
        (WeaklyCompressible(1e5, 0.3), VolumeOnly()),
        (FixedCorotated(1e5, 0.45), None),
        ((plasticine := Hencky(3e5, 0.25)), VonMises(plasticine, 5e3)),
    ],
    ids=["tait", "water", "nearly incompressible", "plasticine"],
)
def test_steps_at_the_bound_are_stable(law, plastic):
    dt = 0.999 * law.courant * BOX.dx / law.wave_speed(1e3)
    with torch.no_grad():
        end = MPM(BOX, dt, law, plastic).run(cube(torch.float32), 300)
    assert end.v.norm(dim=-1).max() < 10


@pytest.mark.parametrize("scenes", [(), (2,)])
def test_the_bound_takes_each_law_with_its_own_particles(scenes):
    """Stiff and heavy beside soft and light: each alone allows 1e-3."""
    kind = torch.tensor([0, 1] * 2)
    density = torch.tensor([8e3, 10.0] * 2)
    x = (0.3 + 0.1 * torch.arange(4.0))[:, None].expand(*scenes, 4, 3)
    start = Particles.undeformed(x, volume=1e-5, density=density)
    laws = ByMaterial([FixedCorotated(1e5, 0.2), FixedCorotated(1e3, 0.2)], kind)
    MPM(BOX, 1e-3, laws).check(start)
    MPM(BOX, 3e-3, laws).check(start)
    with pytest.raises(ValueError, match=r"the bound of FixedCorotated is 0\.00332 "):
        MPM(BOX, 4e-3, laws).check(start)
    start.mass[..., 1::2] = 0
    MPM(BOX, 4e-3, laws).check(start)
    with pytest.raises(ValueError, match=r"the bound of FixedCorotated is 0\.00939 "):
        MPM(BOX, 1e-2, laws).check(start)
    MPM(BOX, 1e-2, ByMaterial([torch.nn.Identity()], 0 * kind)).check(start)


def test_the_start_is_checked(unchecked):
    mpm, start = MPM(BOX, 5e-4, *material("jelly")), cube(torch.float32)
    empty = Particles(*(getattr(start, k)[:0] for k in ("x", "v", "C", "F", "mass", "volume")))
    with pytest.raises(ValueError, match="no particles"):
        mpm.run(empty, 1)
    for name in ("x", "v", "C", "F", "mass", "volume"):
        value = getattr(start, name).clone()
        value[7] = math.nan
        with pytest.raises(ValueError, match=f"{name} of particle 7 is not finite"):
            mpm.run(replace(start, **{name: value}), 1)
    for name in ("mass", "volume"):
        value = getattr(start, name).clone()
        value[7] = -0.5
        with pytest.raises(ValueError, match=rf"expected {name} >= 0, got -0\.5 of particle 7 at the start"):
            mpm.run(replace(start, **{name: value}), 1)
    both = Particles(*(torch.stack([getattr(start, k)] * 2) for k in ("x", "v", "C", "F", "mass", "volume")))
    both.x[1, 5] = torch.tensor([0.5, 0.5, 1.2])
    with pytest.raises(ValueError, match=r"particle 5 of scene 1 starts at \(0\.5, 0\.5, 1\.2\).*at least 0\.5 cells \(0\.025\)"):
        mpm.run(both, 1)
    near = start.x.clone()
    near[3, 1] = 0.02
    with pytest.raises(ValueError, match=r"particle 3 starts .*\(1 particles"):
        mpm.run(replace(start, x=near), 1)
    near[3, 1] = 0.025
    assert mpm.run(replace(start, x=near), 1).x.isfinite().all()
    with pytest.raises(ValueError, match="3 dimensions and the particles have 2"):
        mpm.run(Particles.undeformed(torch.full((1, 2), 0.5), volume=1.0, density=1.0), 1)
    with pytest.raises(ValueError, match="every >= 1, got 0"):
        next(mpm.steps(start, 1, 0))
    with pytest.raises(ValueError, match="expected count >= 0, got -3"):
        mpm.run(start, -3)


@pytest.mark.parametrize("name", ["volume", "density"])
def test_volumes_and_densities_are_checked(name, unchecked):
    x = torch.rand(2, 5, 3)
    for bad in (-1.0, 0.0, math.nan, math.inf, torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0])):
        with pytest.raises(ValueError, match=rf"Particles: expected {name} > 0, got (-1|0|nan|inf)$"):
            Particles.undeformed(x, **{"volume": 1.0, "density": 1.0, name: bad})
    with pytest.raises(ValueError, match=rf"expected one {name} or 5, one for each particle, got the shape \(4,\)"):
        Particles.undeformed(x, **{"volume": 1.0, "density": 1.0, name: torch.ones(4)})
    each = Particles.undeformed(x, **{"volume": 2.0, "density": 2.0, name: torch.arange(1.0, 6.0)})
    assert torch.equal(each.mass, 2 * torch.arange(1.0, 6.0).expand(2, 5))


def test_some_of_the_states():
    mpm, start = MPM(BOX, 5e-4, *material("jelly")), cube(torch.float32)
    every = list(mpm.steps(start, 7))
    some = list(mpm.steps(start, 7, 3))
    assert [torch.equal(a.x, b.x) for a, b in zip(some, every[2::3], strict=True)] == [True, True]
    assert torch.equal(mpm.run(start, 7).x, every[-1].x)
    assert mpm.run(start, 0) is start
