import math

import pytest
import torch

from geoops.ops import radius, radius_graph

KINDS = ["uniform", "lattice", "one place", "line", "clusters", "far away", "large"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_equals_a_loop_over_all_pairs(draw, reference, dtype, dim, kind):
    x, y = draw(90, dim, kind, dtype), draw(20, dim, kind, dtype)
    r = {"lattice": 1.0, "large": 3e14}.get(kind, 0.4)
    assert torch.equal(radius(x, y, r), reference(x, y, [0] * 90, [0] * 20, r=r))
    capped = radius(x, y, r, max_num_neighbors=3)
    assert torch.equal(capped, reference(x, y, [0] * 90, [0] * 20, r=r, k=3))


def test_batches_and_boxes(draw, reference, dtype):
    x, y = draw(70, 3, dtype=dtype), draw(40, 3, dtype=dtype)
    bx, by = torch.arange(70) // 30, torch.arange(40) // 15
    expected = reference(x, y, bx.tolist(), by.tolist(), r=0.5, box=[1.0, 1.0, math.inf])
    assert torch.equal(radius(x, y, 0.5, bx, by, box=[1.0, 1.0, math.inf]), expected)


def test_graph_is_symmetric_without_loops(draw, device, dtype):
    x = draw(300, 3, dtype=dtype, device=device)
    edges = radius_graph(x, 0.3)
    assert (edges[0] != edges[1]).all()
    assert {tuple(e) for e in edges.T.tolist()} == {tuple(e) for e in edges.flip(0).T.tolist()}
    looped = radius_graph(x, 0.3, loop=True)
    assert looped.shape[1] == edges.shape[1] + 300
    assert torch.equal(radius_graph(x, 0.3, flow="target_to_source"), edges.flip(0))


def test_radius_zero_and_all(draw, device):
    x = draw(500, 2, "lattice", device=device)
    assert torch.equal(radius(x, x, 0.0)[0].unique(), torch.arange(500, device=device))
    everything = radius(x, x, math.inf)
    assert everything.shape[1] == 500**2
    assert torch.equal(everything[1].view(500, 500), torch.arange(500, device=device).expand(500, 500))
    assert radius(x, x, 1e30, box=[2.0, 2.0]).shape[1] == 500**2  # each pair once, whatever r


def test_the_cap_keeps_the_nearest_and_nothing_else_is_cut(draw, device):
    x = draw(400, 3, device=device)
    everything, few = radius_graph(x, 0.6), radius_graph(x, 0.6, max_num_neighbors=5)
    assert everything.shape[1] > 400 * 64
    assert few[1].bincount().max() == 5
    assert radius_graph(x, 0.6, max_num_neighbors=0).shape == (2, 0)
    assert radius_graph(x, 0.6, max_num_neighbors=400).shape == everything.shape


def test_bad_input(unchecked):
    x = torch.rand(5, 3)
    for wrong, words in [
        (lambda: radius(x, x, -1.0), "r >= 0"),
        (lambda: radius(x, x, math.nan), "r >= 0"),
        (lambda: radius_graph(x, 1.0, max_num_neighbors=-2), "max_num_neighbors"),
        (lambda: radius_graph(x, 1.0, flow="down"), "flow"),
    ]:
        with pytest.raises(ValueError, match=words):
            wrong()


@pytest.mark.compile
def test_compiles_whole():
    x = torch.rand(60, 3)
    compiled = torch.compile(lambda x: radius_graph(x, 0.3), fullgraph=True, dynamic=True)
    assert torch.equal(compiled(x), radius_graph(x, 0.3))
