"""`geoops.compat.torch_cluster`: signatures, dispatch to the searches, matchings, walks and samples."""

import inspect

import pytest
import torch
from torch.nn.functional import normalize

from geoops import ops
from geoops.compat import pyg_lib
from geoops.compat import torch_cluster as tc

SIGNATURES = {
    "fps": "src batch=None ratio=None random_start=True batch_size=None ptr=None",
    "graclus_cluster": "row col weight=None num_nodes=None",
    "grid_cluster": "pos size start=None end=None",
    "knn": "x y k batch_x=None batch_y=None cosine=False num_workers=1 batch_size=None",
    "knn_graph": "x k batch=None loop=False flow='source_to_target' cosine=False num_workers=1 batch_size=None",
    "nearest": "x y batch_x=None batch_y=None",
    "neighbor_sampler": "start rowptr size",
    "radius": "x y r batch_x=None batch_y=None max_num_neighbors=32 num_workers=1 batch_size=None",
    "radius_graph": "x r batch=None loop=False max_num_neighbors=32 flow='source_to_target' num_workers=1 batch_size=None",
    "random_walk": "row col start walk_length p=1 q=1 coalesced=True num_nodes=None return_edge_indices=False",
}


def parameters(function):
    return " ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in inspect.signature(function).parameters.values()
    )


def test_signatures_are_those_of_torch_cluster():
    functions = dict(inspect.getmembers(tc, inspect.isfunction))
    assert {name: parameters(function) for name, function in functions.items()} == SIGNATURES
    assert tc.__version__ == "1.6.3"
    assert "batch_size" in tc.knn.__doc__  # torch_geometric before 2.8 looks there


def points(dtype, device):
    x = torch.rand(40, 3, dtype=dtype, device=device)
    return x, torch.arange(40, device=device) // 15


def test_searches_are_those_of_ops(dtype, device):
    x, batch = points(dtype, device)
    y, batch_y = x[::4] + 0.01, batch[::4]
    assert torch.equal(tc.knn(x, y, 3, batch, batch_y), ops.knn(x, y, 3, batch, batch_y))
    assert torch.equal(tc.knn(x, y, 3, batch, batch_y, False, 4, 3), ops.knn(x, y, 3, batch, batch_y))
    assert torch.equal(tc.radius(x, y, 0.4, batch, batch_y), ops.radius(x, y, 0.4, batch, batch_y, max_num_neighbors=32))
    assert torch.equal(tc.nearest(x, y, batch, batch_y), ops.nearest(x, y, batch, batch_y))
    for flow in ("source_to_target", "target_to_source"):
        assert torch.equal(tc.knn_graph(x, 4, batch, True, flow), ops.knn_graph(x, 4, batch, loop=True, flow=flow))
        expected = ops.radius_graph(x, 0.4, batch, max_num_neighbors=5, flow=flow)
        assert torch.equal(tc.radius_graph(x, 0.4, batch, False, 5, flow), expected)
    assert torch.equal(tc.fps(x, batch, 0.3, False), ops.fps(x, batch, ratio=0.3))
    size = x.new_tensor([0.3, 0.4, 0.5])
    assert torch.equal(tc.grid_cluster(x, size), ops.grid_cluster(x, size))
    assert torch.equal(tc.grid_cluster(x, size, size * 0, size * 3), ops.grid_cluster(x, size, size * 0, size * 3))


def test_what_only_torch_cluster_takes_as_points(device):
    line = torch.tensor([0, 10, 11, 30], device=device)
    assert tc.knn(line, line[:2], 2).tolist() == [[0, 0, 1, 1], [0, 1, 1, 2]]
    assert tc.radius_graph(line, 1.0).tolist() == [[2, 1], [1, 2]]
    assert tc.nearest(line, line[1:3] - 1).tolist() == [0, 1, 1, 1]
    assert tc.grid_cluster(line, torch.tensor([10], device=device)).tolist() == [0, 1, 1, 3]
    assert tc.fps(line, random_start=False).tolist() == [0, 3]
    assert tc.knn(line[:, None].half(), line[:1, None].half(), 1).tolist() == [[0], [0]]
    assert tc.fps(torch.rand(6, 2, 2, device=device), ratio=0.5).shape == (3,)


def test_cosine_searches_directions(dtype, device):
    x, _ = points(dtype, device)
    x, y = x - 0.5, x[:5] - 0.4
    closest = (normalize(y) @ normalize(x).T).argmax(1)
    assert torch.equal(tc.knn(x, y, 1, cosine=True)[1], closest)
    assert torch.equal(tc.knn_graph(3 * x, 2, cosine=True), tc.knn_graph(x / x.norm(dim=1, keepdim=True), 2))


def test_one_batch_vector_leaves_the_others_in_example_zero():
    x, y = torch.rand(6, 2), torch.rand(3, 2)
    batch = torch.tensor([0, 0, 0, 1, 1, 1])
    assert tc.knn(x, y, 6, batch)[1].max() == 2
    assert tc.radius(y, x, 2.0, None, batch)[0].max() == 2
    assert torch.equal(tc.nearest(y, x, None, batch), tc.nearest(y, x[:3]))


def test_empty_points():
    none, some = torch.empty(0, 2), torch.rand(3, 2)
    for pairs in (tc.knn(none, some, 1), tc.radius(some, none, 1.0), tc.knn_graph(none, 1), tc.radius_graph(none, 1.0)):
        assert pairs.shape == (2, 0)
        assert pairs.dtype == torch.int64
    assert tc.fps(none, ratio=0.5).numel() == tc.grid_cluster(none, torch.ones(2)).numel() == 0


def test_fps_by_pointers_and_ratios(device):
    x, batch = points(torch.float32, device)
    ptr = [0, 15, 30, 40]
    expected = tc.fps(x, batch, 0.2, False)
    assert torch.equal(tc.fps(x, ratio=0.2, random_start=False, ptr=ptr), expected)
    assert torch.equal(tc.fps(x, ratio=torch.tensor(0.2), random_start=False, ptr=torch.tensor(ptr)), expected)
    several = tc.fps(x, batch, torch.tensor([0.2, 0.0, 0.5]), False)
    assert torch.equal(several[:3], expected[:3])
    assert batch[several].bincount(minlength=3).tolist() == [3, 0, 5]
    assert tc.fps(x, batch).shape == (8 + 8 + 5,)


def test_examples_by_pointers(device):
    x, batch = points(torch.float32, device)
    ptr = torch.tensor([0, 15, 30, 40], device=device)
    assert torch.equal(pyg_lib.ops.knn(x, x, ptr, ptr, 3), tc.knn(x, x, 3, batch, batch))
    for y in (x, x.clone()):  # points of their own, and points that only look the same
        pairs = pyg_lib.ops.radius(x, y, ptr, ptr, 0.5, 4, 1, True)
        assert torch.equal(pairs, tc.radius_graph(x, 0.5, batch, False, 4, "target_to_source"))
    assert torch.equal(pyg_lib.ops.radius(x, x, ptr, ptr, 0.5, 4), tc.radius(x, x, 0.5, batch, batch, 4))
    assert pyg_lib.ops.radius(x[:0], x, None, None, 0.5, 4, 1, True).shape == (2, 0)
    with pytest.raises(ImportError, match="pyg-lib"):
        pyg_lib.sampler.neighbor_sample()


def random_graph(n, edges, device):
    ends = torch.randint(n, (2, edges), device=device)
    return ends[0], ends[1]


def pairs_of(cluster):
    """Requires clusters of one or two nodes numbered by the smaller one; returns the partner of each node."""
    n = len(cluster)
    partner = torch.arange(n)
    for number in cluster.unique().tolist():
        members = (cluster == number).nonzero().flatten().tolist()
        assert len(members) in (1, 2)
        assert members[0] == number
        partner[members] = torch.tensor(members[::-1])
    return partner


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "edges"), [(1, 0), (2, 1), (30, 40), (200, 900)])
def test_graclus_is_a_maximal_matching(weighted, n, edges, device):
    row, col = random_graph(n, edges, device)
    weight = torch.rand(edges, device=device) if weighted else None
    partner = pairs_of(tc.graclus_cluster(row, col, weight, n).cpu())
    joined = {frozenset(pair) for pair in zip(row.tolist(), col.tolist(), strict=True)}
    alone = partner == torch.arange(n)
    assert all(frozenset((i, j)) in joined for i, j in enumerate(partner.tolist()) if i != j)
    assert not any(alone[i] and alone[j] for i, j in zip(row.tolist(), col.tolist(), strict=True) if i != j)


def test_graclus_takes_the_locally_heaviest_edges():
    row, col = torch.tensor([0, 1, 2, 3, 4, 0]), torch.tensor([1, 2, 3, 4, 5, 0])
    assert tc.graclus_cluster(row, col, torch.tensor([1.0, 2, 3, 2, 1, 9])).tolist() == [0, 0, 2, 2, 4, 4]
    row, col = random_graph(60, 300, "cpu")
    weight = torch.rand(300, dtype=torch.float64)
    cluster, left = torch.arange(60), set(range(60))
    for edge in weight.argsort(descending=True).tolist():  # the greedy matching, which is unique for distinct weights
        i, j = int(row[edge]), int(col[edge])
        if i != j and {i, j} <= left:
            left -= {i, j}
            cluster[max(i, j)] = min(i, j)
    assert torch.equal(tc.graclus_cluster(row, col, weight), cluster)
    assert tc.graclus_cluster(torch.tensor([0]), torch.tensor([1]), torch.tensor([-1.0])).tolist() == [0, 1]
    assert len({tuple(tc.graclus_cluster(row, col).tolist()) for _ in range(5)}) > 1


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.5, 2.0)])
def test_walks_follow_edges(p, q, device):
    row, col = random_graph(50, 120, device)
    start = torch.arange(50, device=device)
    nodes, edges = tc.random_walk(row, col, start, 8, p, q, num_nodes=50, return_edge_indices=True)
    assert nodes.shape == (50, 9)
    assert edges.shape == (50, 8)
    assert torch.equal(nodes[:, 0], start)
    order = (row * 50 + col).argsort()
    row, col = row[order], col[order]
    went = edges >= 0
    assert torch.equal(row[edges[went]], nodes[:, :-1][went])
    assert torch.equal(col[edges[went]], nodes[:, 1:][went])
    degree = torch.bincount(row, minlength=50)
    assert torch.equal(degree[nodes[:, :-1]] == 0, ~went)
    assert torch.equal(nodes[:, 1:][~went], nodes[:, :-1][~went])


def test_walks_are_uniform_by_default():
    row, col = torch.tensor([0, 0, 0, 0]), torch.tensor([1, 2, 3, 4])
    ends = tc.random_walk(row, col, torch.zeros(20000, dtype=torch.int64), 1)[:, 1]
    torch.testing.assert_close(ends.bincount() / 20000, torch.tensor([0.0, 0.25, 0.25, 0.25, 0.25]), rtol=0, atol=0.02)


@pytest.mark.parametrize(("p", "q"), [(0.25, 1.0), (4.0, 0.5), (1.0, 3.0)])
def test_walks_have_the_probabilities_of_node2vec(p, q):
    # from 0 all walks go to 1, which is joined to 0, to 2, a neighbour of 0 by the edge 0 -> 2 that is not taken, and to 3
    row = torch.tensor([0, 0, 1, 1, 1])
    col = torch.tensor([1, 2, 0, 2, 3])
    nodes = tc.random_walk(row, col, torch.zeros(60000, dtype=torch.int64), 2, p, q)
    ends = nodes[nodes[:, 1] == 1, 2]
    weights = torch.tensor([1 / p, 0.0, 1.0, 1 / q])
    torch.testing.assert_close(ends.bincount(minlength=4) / len(ends), weights / weights.sum(), rtol=0, atol=0.02)


def test_walks_without_sorting_and_without_steps():
    row, col = torch.tensor([0, 0, 1]), torch.tensor([2, 1, 0])
    nodes, edges = tc.random_walk(row, col, torch.tensor([1]), 1, coalesced=False, return_edge_indices=True)
    assert (nodes.tolist(), edges.tolist()) == ([[1, 0]], [[2]])
    assert tc.random_walk(row, col, torch.tensor([1, 2]), 0).tolist() == [[1], [2]]
    nodes, edges = tc.random_walk(*torch.empty(2, 0, dtype=torch.int64), torch.tensor([3]), 2, 0.5, 2.0, return_edge_indices=True)
    assert (nodes.tolist(), edges.tolist()) == ([[3, 3, 3]], [[-1, -1]])


def test_samples_of_neighbours(device):
    degree = torch.tensor([5, 0, 1, 8], device=device)
    rowptr = torch.cat([degree.new_zeros(1), degree.cumsum(0)])
    start = torch.tensor([3, 0, 1, 2, 3], device=device)
    for size, counts in ((3, [3, 3, 0, 1, 3]), (0.5, [4, 3, 0, 1, 4]), (1, [8, 5, 0, 1, 8]), (1.9, [1, 1, 0, 1, 1])):
        sample = tc.neighbor_sampler(start, rowptr, float(size)).split(counts)
        for node, edges in zip(start.tolist(), sample, strict=True):
            assert len(edges.unique()) == len(edges)
            assert ((edges >= rowptr[node]) & (edges < rowptr[node + 1])).all()
    many = tc.neighbor_sampler(torch.full((4000,), 3, device=device), rowptr, 2.0) - 6
    torch.testing.assert_close(many.bincount().cpu() / 8000, torch.full((8,), 1 / 8), rtol=0, atol=0.02)


def test_bad_input(unchecked):
    x, ends = torch.rand(4, 2), torch.tensor([0, 1])
    with pytest.raises(TypeError, match="row"):
        tc.graclus_cluster(ends.float(), ends)
    with pytest.raises(ValueError, match="col"):
        tc.graclus_cluster(ends, ends[:1])
    with pytest.raises(ValueError, match="weight"):
        tc.graclus_cluster(ends, ends, torch.rand(3))
    with pytest.raises(IndexError, match="col"):
        tc.graclus_cluster(ends, ends + 4, num_nodes=3)
    with pytest.raises(IndexError, match="start"):
        tc.random_walk(ends, ends, ends + 5, 2, num_nodes=3)
    with pytest.raises(ValueError, match="walk_length"):
        tc.random_walk(ends, ends, ends, -1)
    with pytest.raises(ValueError, match="p > 0"):
        tc.random_walk(ends, ends, ends, 1, p=0.0)
    with pytest.raises(ValueError, match="ascending"):
        tc.random_walk(ends.flip(0), ends, ends, 1, coalesced=False)
    with pytest.raises(IndexError, match="start"):
        tc.neighbor_sampler(ends + 5, torch.tensor([0, 1]), 2)
    with pytest.raises(ValueError, match="size"):
        tc.neighbor_sampler(ends[:1], torch.tensor([0, 1]), 0)
    with pytest.raises(TypeError, match="batch"):
        tc.knn_graph(x, 2, torch.zeros(4))
    with pytest.raises(ValueError, match="ascending"):
        tc.radius_graph(x, 1.0, torch.tensor([1, 0, 0, 0]))
    with pytest.raises(ValueError, match="ratio"):
        tc.fps(x, None, torch.tensor([0.5, 0.5]))
    with pytest.raises(ValueError, match="flow"):
        tc.knn_graph(x, 1, flow="sideways")
