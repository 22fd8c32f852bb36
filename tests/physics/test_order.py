from dataclasses import fields, replace

import pytest
import torch

from geoops.physics import MPM, Box, ByMaterial, FixedCorotated, Particles, VolumeOnly, WeaklyCompressible, _mpm

BOX = Box((16, 16, 16), 1 / 16)


def mixture(count=500):
    """Particles of two materials without any order in memory."""
    x = 0.4 + 0.2 * torch.rand(count, 3, dtype=torch.float64)
    material = torch.randint(2, (count,))
    start = Particles.undeformed(x, torch.randn_like(x), volume=0.008 / count, density=1e3 + 500.0 * material)
    elastic = ByMaterial([FixedCorotated(1e5, 0.2), WeaklyCompressible(1e5, 0.3)], material)
    plastic = ByMaterial([torch.nn.Identity(), VolumeOnly()], material)
    return start, MPM(BOX, 5e-4, elastic, plastic)


def test_sorting_changes_no_result(monkeypatch):
    start, mpm = mixture()
    with torch.no_grad():
        plain = list(mpm.steps(start, 12, 4))
        monkeypatch.setattr(_mpm, "LEAST", 100)
        monkeypatch.setattr(_mpm, "EVERY", 3)
        sorted_, orders = list(mpm.steps(start, 12, 4)), []
        monkeypatch.setattr(_mpm, "grid_order", lambda *args: orders.append(args))
        with torch.enable_grad():
            mpm.run(start, 1)
    assert len(plain) == len(sorted_) == 3
    for a, b in zip(plain, sorted_, strict=True):
        for field in fields(Particles):
            torch.testing.assert_close(getattr(a, field.name), getattr(b, field.name), rtol=1e-9, atol=1e-9)
    assert not orders  # where gradients are wanted the order stays


def test_neighbours_come_together(monkeypatch):
    start, mpm = mixture()
    order = _mpm.grid_order(BOX, start, (mpm.elastic, mpm.plastic))
    assert torch.equal(order.sort()[0], torch.arange(500))
    assert torch.equal(mpm.elastic.material[order], mpm.elastic.material)
    block = ((start.x * 16 - 0.5).long() + 1) // 4
    for kind in range(2):
        runs = block[order][mpm.elastic.material == kind]
        changes = (runs[1:] != runs[:-1]).any(-1).sum()
        assert changes + 1 == len(runs.unique(dim=0))


def test_errors_name_the_particle_of_the_caller(monkeypatch, unchecked):
    monkeypatch.setattr(_mpm, "LEAST", 100)
    start, mpm = mixture()
    F = start.F.clone()
    F[321] = 0.0  # and stays so, which the return map turns to NaN
    spoil = torch.nn.Identity()
    spoil.forward = lambda F: torch.where((F == 0).all(-1).all(-1)[:, None, None], torch.nan, F)
    with torch.no_grad(), pytest.raises(FloatingPointError, match="after step 1 particle 321 is not finite"):
        MPM(BOX, 5e-4, mpm.elastic, spoil).run(replace(start, F=F), 1)
