"""Searches of `geoops.compat.torch_cluster` find what torch_cluster finds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.compat import torch_cluster as ours

theirs = pytest.importorskip("torch_cluster")

thorough = settings(max_examples=150, deadline=None, derandomize=True)


@st.composite
def clouds(draw):
    """Draws two clouds of points in up to three examples, and their batch vectors."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    dim, dtype = draw(st.integers(1, 4)), draw(st.sampled_from([torch.float32, torch.float64]))
    clouds = []
    for _ in range(2):
        sizes = torch.tensor(draw(st.lists(st.integers(1, 15), min_size=3, max_size=3)))
        x = torch.rand(int(sizes.sum()), dim, generator=generator, dtype=torch.float64).to(dtype)
        clouds += [x, torch.arange(3).repeat_interleave(sizes)]
    return clouds


def pairs(edges):
    found = list(zip(*edges.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


@thorough
@given(clouds(), st.integers(1, 6), st.booleans())
def test_knn(cloud, k, batched):
    x, batch_x, y, batch_y = cloud
    batches = (batch_x, batch_y) if batched else ()
    assert pairs(ours.knn(x, y, k, *batches)) == pairs(theirs.knn(x, y, k, *batches))
    for flow in ("source_to_target", "target_to_source"):
        for loop in (True, False):
            arguments = (x, k, batch_x if batched else None, loop, flow)
            assert pairs(ours.knn_graph(*arguments)) == pairs(theirs.knn_graph(*arguments))


@thorough
@given(clouds(), st.floats(0.01, 1.5), st.booleans())
def test_radius(cloud, r, batched):
    x, batch_x, y, batch_y = cloud
    batches = (batch_x, batch_y) if batched else (None, None)
    assert pairs(ours.radius(x, y, r, *batches, 100)) == pairs(theirs.radius(x, y, r, *batches, 100))
    for flow in ("source_to_target", "target_to_source"):
        for loop in (True, False):
            arguments = (x, r, batches[0], loop, 100, flow)
            assert pairs(ours.radius_graph(*arguments)) == pairs(theirs.radius_graph(*arguments))


@thorough
@given(clouds(), st.booleans())
def test_nearest(cloud, batched):
    x, batch_x, y, batch_y = cloud
    x, y = x.double(), y.double()  # they scale float32, which makes ties
    batches = (batch_x, batch_y) if batched else ()
    assert torch.equal(ours.nearest(x, y, *batches), theirs.nearest(x, y, *batches))


@thorough
@given(clouds(), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_fps(cloud, ratio):
    x, batch, *_ = cloud
    x = x.double()
    assert torch.equal(ours.fps(x, batch, ratio, False), theirs.fps(x, batch, ratio, False))
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), batch.bincount().cumsum(0)])
    assert torch.equal(ours.fps(x, None, ratio, False, ptr=ptr), theirs.fps(x, None, ratio, False, ptr=ptr))
    share = torch.tensor(ratio, dtype=x.dtype)
    assert torch.equal(ours.fps(x, batch, share, False), theirs.fps(x, batch, share, False))


@thorough
@given(clouds(), st.floats(0.05, 1.0))
def test_grid_cluster(cloud, side):
    x = cloud[0]
    size = torch.full(x.shape[1:], side, dtype=x.dtype)
    assert torch.equal(ours.grid_cluster(x, size), theirs.grid_cluster(x, size))
    start, end = torch.zeros_like(size), torch.ones_like(size)
    assert torch.equal(ours.grid_cluster(x, size, start, end), theirs.grid_cluster(x, size, start, end))


@thorough
@given(st.integers(1, 20), st.integers(0, 2**16))
def test_walks_where_there_is_no_choice(n, seed):
    col = torch.randint(n, (n,), generator=torch.Generator().manual_seed(seed))
    row, start = torch.randperm(n), torch.arange(n)
    for p, q in ((1.0, 1.0), (0.5, 2.0)):
        a = ours.random_walk(row, col, start, 5, p, q, num_nodes=n, return_edge_indices=True)
        b = theirs.random_walk(row, col, start, 5, p, q, num_nodes=n, return_edge_indices=True)
        for mine, other in zip(a, b, strict=True):
            assert torch.equal(mine, other)


@thorough
@given(st.integers(1, 20), st.floats(0.1, 6.0), st.integers(0, 2**16))
def test_numbers_of_samples(n, size, seed):
    degree = torch.randint(6, (n,), generator=torch.Generator().manual_seed(seed))
    rowptr = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
    row = torch.arange(n).repeat_interleave(degree)
    counts = [row[p.neighbor_sampler(torch.arange(n), rowptr, size)].bincount(minlength=n) for p in (ours, theirs)]
    assert torch.equal(*counts)


@thorough
@given(st.integers(2, 30), st.integers(0, 2**16))
def test_matchings_are_alike(n, seed):
    row, col = torch.randint(n, (2, 3 * n), generator=torch.Generator().manual_seed(seed))
    row, col = torch.cat([row, col]), torch.cat([col, row])
    for package in (ours, theirs):
        cluster = package.graclus_cluster(row, col, None, n)
        alone = cluster.bincount(minlength=n)[cluster] == 1
        assert cluster.bincount().max() <= 2
        assert not (alone[row] & alone[col] & (row != col)).any()
