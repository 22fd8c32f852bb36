"""Message passing that does not see how densely a body is sampled."""

import math

import pytest
import torch

from geoops import ops
from geoops.layers import EdgeBlock

WIDTH = 8


def smooth(x):
    """Features of nodes that are a smooth function of their places."""
    rows = torch.linspace(1, 4, WIDTH, dtype=x.dtype, device=x.device)
    return torch.sin(x @ torch.stack([rows, rows.flip(0)]) + rows)


def joined(x, radius, first=None):
    """Returns what edges to the first nodes know, their weights, which sum to one for each node, and the edges."""
    edges = ops.radius(x, x[:first], radius, max_num_neighbors=len(x)).flip(0)
    source, target = edges
    gap = (x[source] - x[target]) / radius
    length = gap.norm(dim=1, keepdim=True)
    weight = (1 - length[:, 0].square()).clamp_min(0) ** 2 + 1e-3
    total = ops.scatter(weight, target, 0, len(x))
    return torch.cat([gap, length], 1), weight / total[target], edges


def test_is_the_formula(device, dtype, tolerance):
    x = torch.rand(30, 2, dtype=dtype, device=device)
    e, weight, edges = joined(x, 0.3)
    block, h = EdgeBlock(WIDTH, 3).to(device, dtype), torch.randn(30, WIDTH, dtype=dtype, device=device)
    source, target = edges
    n = torch.nn.functional.layer_norm(h, (WIDTH,))
    z = n[target] @ block.target.weight.T + block.target.bias + n[source] @ block.source.weight.T + e @ block.edge.weight.T
    mean = torch.zeros_like(h).index_add(0, target, weight[:, None] * block.message(z))
    new = h + mean @ block.mix.weight.T + block.mix.bias
    torch.testing.assert_close(block(h, e, weight, edges), new + block.update(new), **tolerance)


def test_order_of_edges_and_nodes():
    x = torch.rand(30, 2, dtype=torch.float64)
    e, weight, edges = joined(x, 0.3)
    block, h = EdgeBlock(WIDTH, 3).double(), torch.randn(30, WIDTH, dtype=torch.float64)
    order, place = torch.randperm(len(e)), torch.randperm(30)
    there = block(h[place], e[order], weight[order], place.argsort()[edges[:, order]])
    torch.testing.assert_close(there, block(h, e, weight, edges)[place], rtol=1e-10, atol=1e-10)


def test_doubled_nodes_change_nothing():
    """A mean does not see how many nodes there are, only where they are."""
    x = torch.rand(30, 2, dtype=torch.float64)
    block = EdgeBlock(WIDTH, 3).double()
    with torch.no_grad():
        one = block(smooth(x), *joined(x, 0.3))
        twice = block(smooth(x.repeat(3, 1)), *joined(x.repeat(3, 1), 0.3))
    torch.testing.assert_close(twice, one.repeat(3, 1), rtol=1e-10, atol=1e-10)


def change(block, clouds, radii):
    """Root mean square change of the features of those nodes away from the border that both clouds begin with."""
    n = len(clouds[0])
    inner = ((clouds[0] - 0.5).abs() < 0.5 - max(radii)).all(1)
    with torch.no_grad():
        out = [block(smooth(x), *joined(x, r, n))[:n][inner] for x, r in zip(clouds, radii, strict=True)]
    return (out[0] - out[1]).square().mean().sqrt().item()


def test_features_converge_within_one_radius():
    """Four times as many even samples in the same physical radius: the difference halves or better.

    That of random samples is halved on the average, as sums of random numbers are.
    """
    block = EdgeBlock(WIDTH, 3).double()
    points = torch.quasirandom.SobolEngine(2, scramble=True, seed=0).draw(64 * 4**4, dtype=torch.float64)
    inner, changes = (points[:64] - 0.5).abs().amax(1) < 0.25, []
    for level in range(4):
        with torch.no_grad():
            few, many = (
                block(smooth(x), *joined(x, 0.25, 64))[:64][inner] for x in (points[: 64 * 4**level], points[: 256 * 4**level])
            )
        changes.append((few - many).square().mean().sqrt().item())
    assert (changes[-1] / changes[0]) ** (1 / 3) <= 0.5


@pytest.mark.parametrize("degree", [12.0, 20.0])
def test_features_converge_with_the_radius_of_the_density(degree):
    """Four times as many samples with the radius that the degree asks for, half of it: the difference halves or better.

    Samples on lattices have the same neighbourhood at each density, so that nothing but the field makes the difference; with
    irregular ones that of the neighbourhoods, some ten samples, would remain.
    """
    block = EdgeBlock(WIDTH, 3).double()
    changes = []
    for cells in (16, 32, 64):
        both = torch.arange(2 * cells + 1) % 2
        first = (both[:, None] + both == 0).flatten()  # the nodes of the coarser lattice
        coarse, fine = (torch.cartesian_prod(*[torch.linspace(0, 1, n + 1, dtype=torch.float64)] * 2) for n in (cells, 2 * cells))
        clouds = (coarse, torch.cat([fine[first], fine[~first]]))
        changes.append(change(block, clouds, [(degree / math.pi) ** 0.5 / n for n in (cells, 2 * cells)]))
    assert changes[1] <= 0.5 * changes[0]
    assert changes[2] <= 0.5 * changes[1]


def test_nodes_without_edges(device, dtype):
    block = EdgeBlock(WIDTH, 3).to(device, dtype)
    for nodes in (3, 0):
        h, e = (torch.zeros(n, k, dtype=dtype, device=device) for n, k in ((nodes, WIDTH), (0, 3)))
        new = block(h, e, e[:, 0], torch.zeros(2, 0, dtype=torch.int64, device=device))
        assert new.shape == (nodes, WIDTH)
        assert new.isfinite().all()


def test_derivatives():
    x = torch.rand(6, 2, dtype=torch.float64)
    e, weight, edges = joined(x, 0.5)
    block = EdgeBlock(4, 3).double()
    inputs = (torch.randn(6, 4, dtype=torch.float64), e, weight)
    assert torch.autograd.gradcheck(lambda h, e, w: block(h, e, w, edges), tuple(t.requires_grad_() for t in inputs))
