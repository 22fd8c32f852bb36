"""Particles to a lattice and back."""

import math

import pytest
import torch

from geoops.layers import FromLattice, Stencil, ToLattice

BOXES = {
    2: torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[-3.0, -1.0], [5.0, 5.5]]], dtype=torch.float64),
    3: torch.tensor([[[0.0, 1.0]] * 3, [[-3.0, -1.0], [5.0, 5.5], [0.1, 0.9]]], dtype=torch.float64),
}


def cloud(dim, count=300, dtype=torch.float64, device="cpu"):
    """Particles of two scenes of different boxes, some on the walls and in the corners."""
    bounds = BOXES[dim].to(device, dtype)
    x, scene = torch.rand(2 * count, dim, dtype=dtype, device=device), torch.arange(2, device=device).repeat_interleave(count)
    x[::5] = x[::5].round()
    x[1::5, 0] = x[1::5, 0].round()
    low, high = bounds[scene].unbind(2)
    return low + x * (high - low), scene, bounds


def spline(s):
    s = s.abs()
    return torch.where(s <= 0.5, 0.75 - s.square(), 0.5 * (1.5 - s).clamp_min(0).square())


def as_one(layer):
    """Makes the learned kernel the number one."""
    torch.nn.init.zeros_(layer.kernel[2].weight)
    return layer


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("resolution", [1, 7])
def test_every_particle_has_all_its_nodes(dim, resolution, device, dtype):
    """Check 6 and defects 5 and 6: all particles are in reach of 3^d nodes, on the walls and for boxes of any place and size."""
    x, scene, bounds = cloud(dim, dtype=dtype, device=device)
    stencil = Stencil.of(x, scene, bounds, resolution)
    assert stencil.weight.dtype == dtype
    assert stencil.node.shape == (len(x), 3**dim)
    torch.testing.assert_close(stencil.weight.sum(1), torch.ones_like(x[:, 0]), rtol=0, atol=1e-6)
    assert (stencil.weight >= 0).all()
    each = math.prod(stencil.shape)
    assert (stencil.node.sort(1)[0].diff(dim=1) > 0).all()
    assert torch.equal(torch.div(stencil.node, each, rounding_mode="floor"), scene[:, None].expand_as(stencil.node))
    # offsets are those to the places of the nodes, and weights the splines of them
    cell = (bounds[..., 1] - bounds[..., 0]).amax(1) / resolution
    index = torch.stack(torch.unravel_index(stencil.node % each, stencil.shape), -1)
    at = (x - bounds[scene, :, 0]) / cell[scene, None] + 1
    loose = {"rtol": 0, "atol": 1e-4 if dtype == torch.float32 else 1e-10}
    torch.testing.assert_close(stencil.offset, index.to(dtype) - at[:, None], **loose)
    torch.testing.assert_close(stencil.weight, spline(stencil.offset).prod(2), **loose)


@pytest.mark.parametrize("dim", [2, 3])
def test_weights_know_where_particles_are(dim):
    """The mean place of the nodes is the particle."""
    stencil = Stencil.of(*cloud(dim), 9)
    assert (stencil.weight[..., None] * stencil.offset).sum(1).abs().max() < 1e-12


@pytest.mark.parametrize("dim", [2, 3])
def test_particles_outside_use_the_border(dim, dtype):
    _, _, bounds = cloud(dim, dtype=dtype)
    x = torch.tensor([[-1e6] * dim, [1e6] * dim, [1.04] * dim], dtype=dtype)
    stencil = Stencil.of(x, torch.zeros(3, dtype=torch.int64), bounds, 8)
    torch.testing.assert_close(stencil.weight.sum(1), torch.ones(3, dtype=dtype), rtol=0, atol=1e-6)
    assert stencil.offset.abs().max() <= 1.5
    assert stencil.node.min() == 0
    assert stencil.node.max() == math.prod(stencil.shape) - 1


@pytest.mark.parametrize("dim", [2, 3])
def test_the_lattice_does_not_depend_on_other_scenes(dim):
    x, scene, bounds = cloud(dim)
    both, alone = Stencil.of(x, scene, bounds, 6), Stencil.of(x[scene == 1], scene[scene == 1] - 1, bounds[1:], 6)
    assert both.shape == alone.shape
    assert both.nodes == 2 * alone.nodes
    assert torch.equal(both.node[scene == 1] - alone.nodes, alone.node)
    assert torch.equal(both.weight[scene == 1], alone.weight)


@pytest.mark.parametrize("dim", [2, 3])
def test_constant_fields_are_returned(dim, device, dtype, tolerance):
    x, scene, bounds = cloud(dim, dtype=dtype, device=device)
    stencil = Stencil.of(x, scene, bounds, 6)
    back = as_one(FromLattice(dim, 2)).to(device, dtype)
    z = torch.tensor([3.0, -2.0], dtype=dtype, device=device)
    flat = z[None, :, *(None,) * dim].expand(2, 2, *stencil.shape)
    torch.testing.assert_close(back(flat, stencil), z.expand(len(x), 2), **tolerance)
    there = as_one(ToLattice(dim, 2)).to(device, dtype)
    lattice = there(z.expand(len(x), 2), torch.ones_like(x[:, 0]), stencil)
    assert lattice.shape == (2, 3, *stencil.shape)
    density = lattice[:, 2:]
    # means have a thousandth of a particle at zero in them, so that empty nodes are 0
    expected = density / (density + 1e-3)
    torch.testing.assert_close(lattice[:, :2], z[None, :, *(None,) * dim] * expected, **tolerance)
    assert (lattice[(density == 0).expand_as(lattice)] == 0).all()
    torch.testing.assert_close(density.flatten(1).sum(1), torch.full((2,), 300.0, dtype=dtype, device=device))


@pytest.mark.parametrize("dim", [2, 3])
def test_kernels_see_offsets_only(dim):
    """Defect 1: values differ between particles with the same nodes; moving scene and particles changes nothing."""
    x, scene, bounds = cloud(dim, 40)
    there, back = ToLattice(dim, 3).double(), FromLattice(dim, 3).double()
    f, fill = torch.randn(80, 3, dtype=torch.float64), torch.rand(80, dtype=torch.float64)
    shift = torch.randn(dim, dtype=torch.float64)
    out = []
    for move in (0 * shift, shift):
        stencil = Stencil.of(x + move, scene, bounds + move[:, None], 5)
        z = there(f, fill, stencil)
        out.append((z, back(z[:, :3], stencil)))
    torch.testing.assert_close(out[1], out[0], rtol=1e-9, atol=1e-9)
    middle = torch.full((2, dim), 0.52, dtype=torch.float64) + torch.tensor([[0.0], [0.01]], dtype=torch.float64)
    stencil = Stencil.of(middle, torch.zeros(2, dtype=torch.int64), bounds[:1], 5)
    assert torch.equal(stencil.node[0], stencil.node[1])
    u = back(torch.ones(1, 3, *stencil.shape, dtype=torch.float64), stencil)
    assert (u[0] - u[1]).abs().max() > 1e-6


@pytest.mark.parametrize("dim", [2, 3])
def test_derivatives(dim):
    torch.manual_seed(1)
    bounds = BOXES[dim][:1]
    x = torch.rand(4, dim, dtype=torch.float64) * 0.9 + 0.05
    f, fill = torch.randn(4, 2, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    there, back = ToLattice(dim, 2, hidden=3).double(), FromLattice(dim, 2, hidden=3).double()

    def both(x, f, fill):
        stencil = Stencil.of(x, torch.zeros(4, dtype=torch.int64), bounds, 2)
        z = there(f, fill, stencil)
        return back(z[:, :2] * z[:, 2:], stencil)

    assert torch.autograd.gradcheck(both, (x.requires_grad_(), f.requires_grad_(), fill.requires_grad_()))


def test_no_particles_and_no_scenes(device, dtype):
    for scenes in (1, 0):
        bounds = BOXES[2][:scenes].to(device, dtype)
        x = torch.zeros(0, 2, dtype=dtype, device=device)
        stencil = Stencil.of(x, torch.zeros(0, dtype=torch.int64, device=device), bounds, 4)
        there, back = ToLattice(2, 3).to(device, dtype), FromLattice(2, 4).to(device, dtype)
        z = there(torch.zeros(0, 3, dtype=dtype, device=device), x[:, 0], stencil)
        assert z.shape == (scenes, 4, *stencil.shape)
        assert (z == 0).all()
        assert back(z, stencil).shape == (0, 4)
