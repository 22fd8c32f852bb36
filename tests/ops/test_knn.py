"""k nearest neighbours, and what all searches share."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.ops import knn, knn_graph, nearest, radius, radius_graph
from geoops.ops._neighbours import _nearest_torch, _neighbours_torch

INF = math.inf


KINDS = ["uniform", "lattice", "one place", "line", "clusters", "far away", "large"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_knn_equals_a_loop_over_all_pairs(draw, reference, dtype, dim, kind):
    x, y = draw(90, dim, kind, dtype), draw(20, dim, kind, dtype)
    expected = reference(x, y, [0] * 90, [0] * 20, k=4)
    assert torch.equal(knn(x, y, 4), expected)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 300),
    st.integers(0, 200),
    st.integers(1, 5),
    st.integers(0, 40),
    st.sampled_from(KINDS),
    st.integers(1, 5),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(["none", "some", "all"]),
    st.sampled_from([0.0, 0.3, 1.0, 1e3, INF]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_every_search_equals_brute_force(draw, n, m, dim, k, kind, examples, dtype, periodic, r, graph, seed):
    torch.manual_seed(seed)
    x, y = draw(n, dim, kind, dtype), draw(m, dim, kind, dtype)
    bx, by = (torch.randint(examples, (len(z),)).sort().values for z in (x, y))
    box = {"none": None, "some": [0.7] + [INF] * (dim - 1), "all": [1.5] * dim}[periodic]
    lengths = None if box is None else torch.tensor(box, dtype=torch.float64)
    if graph:
        for loop in (False, True):
            expected = _neighbours_torch(x, x, bx, bx, lengths, k, INF, loop)
            assert torch.equal(knn_graph(x, k, bx, loop=loop, flow="target_to_source", box=box), expected)
            expected = _neighbours_torch(x, x, bx, bx, lengths, -1, r, loop).flip(0)
            assert torch.equal(radius_graph(x, r, bx, loop=loop, box=box), expected)
        return
    assert torch.equal(knn(x, y, k, bx, by, box=box), _neighbours_torch(x, y, bx, by, lengths, k, INF, True))
    assert torch.equal(radius(x, y, r, bx, by, box=box), _neighbours_torch(x, y, bx, by, lengths, -1, r, True))
    capped = radius(x, y, r, bx, by, max_num_neighbors=k, box=box)
    assert torch.equal(capped, _neighbours_torch(x, y, bx, by, lengths, k, r, True))


@pytest.mark.parametrize("k", [1, 16, 50, 200, 3000])
@pytest.mark.parametrize("kind", ["uniform", "lattice", "one place", "clusters"])
def test_many_points_and_neighbours(draw, kind, k):
    x = draw(2000, 3, kind)
    expected = _neighbours_torch(x, x[:60], None, None, None, k, INF, True)
    assert torch.equal(knn(x, x[:60], k), expected)


def test_deep_trees_equal_brute_force(draw):
    x = draw(30000, 3)
    every = x[::500]
    assert torch.equal(knn(x, every, 20), _neighbours_torch(x, every, None, None, None, 20, INF, True))
    assert torch.equal(radius(x, every, 0.1), _neighbours_torch(x, every, None, None, None, -1, 0.1, True))
    graph = knn_graph(x, 7, flow="target_to_source")
    part = _neighbours_torch(x, x[:100], None, None, None, 7, INF, False)
    assert torch.equal(graph[:, : part.shape[1]], part)


@pytest.mark.parametrize("box", [[1.0, 2.0, 0.3], [1.0, INF, INF]])
def test_periodic_points_outside_of_the_box(draw, reference, dtype, box):
    x, y = draw(80, 3, dtype=dtype) * 4 - 2, draw(15, 3, dtype=dtype) * 4 - 2
    assert torch.equal(knn(x, y, 5, box=box), reference(x, y, [0] * 80, [0] * 15, k=5, box=box))
    assert torch.equal(knn(x, y, 5, box=torch.tensor(box)), knn(x, y, 5, box=torch.tensor(box).double()))


def test_periodic_translation_changes_nothing():
    x = torch.randint(0, 64, (500, 3)).double() / 64
    moved = x + torch.tensor([0.25, 0.5, -3.0])
    assert torch.equal(radius_graph(x, 0.2, box=[1.0] * 3), radius_graph(moved, 0.2, box=[1.0] * 3))


def test_duplicates_are_neighbours_but_the_point_itself_is_not(device):
    x = torch.zeros(5, 2, device=device)
    edges = knn_graph(x, 2)
    assert edges.tolist() == [[1, 2, 0, 2, 0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]


def test_nearest(draw, device, dtype):
    x, y = draw(200, 3, dtype=dtype, device=device), draw(50, 3, dtype=dtype, device=device)
    assert torch.equal(nearest(x, y), torch.cdist(x, y).argmin(1))
    bx, by = torch.arange(200, device=device) // 100, torch.arange(50, device=device) // 25
    found = nearest(x, y, bx, by)
    assert torch.equal(by[found], bx)
    assert torch.equal(found, _nearest_torch(x, y, bx, by, None))
    with pytest.raises(ValueError, match="no points of y"):
        nearest(x, y, bx, torch.zeros_like(by))


def test_empty(device):
    none, some = torch.empty(0, 3, device=device), torch.rand(4, 3, device=device)
    for found in (knn(none, some, 3), knn(some, none, 3), knn(none, none, 3), knn(some, some, 0), knn_graph(none, 2)):
        assert found.shape == (2, 0)
        assert found.dtype == torch.int64
    assert nearest(none, some).shape == (0,)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_examples_without_partners(device, index):
    x, y = torch.rand(6, 2, device=device), torch.rand(5, 2, device=device)
    bx = torch.tensor([0, 0, 3, 3, 3, 9], dtype=index, device=device)
    by = torch.tensor([1, 3, 3, 10**9, 10**9], dtype=index, device=device)
    pairs = knn(x, y, 10, bx, by)
    assert pairs[0].tolist() == [1, 1, 1, 2, 2, 2]
    assert sorted(pairs[1, :3].tolist()) == [2, 3, 4]


def test_non_contiguous_points_and_gradients(device):
    x = torch.rand(3, 50, device=device).T.requires_grad_()
    edges = knn_graph(x, 4)
    assert torch.equal(edges, knn_graph(x.contiguous(), 4))
    (x[edges[0]] - x[edges[1]]).square().sum().backward()


@pytest.mark.parametrize("kind", ["uniform", "lattice", "clusters"])
def test_every_device_finds_the_same(draw, device, dtype, kind):
    x = draw(5000, 3, kind, dtype)
    batch = torch.arange(5000) // 700
    for examples, box in [(None, None), (batch, None), (batch, [0.6, INF, 1.1])]:
        there = None if examples is None else examples.to(device)
        assert torch.equal(knn_graph(x.to(device), 9, there, box=box).cpu(), knn_graph(x, 9, examples, box=box))
        assert torch.equal(radius_graph(x.to(device), 0.1, there, box=box).cpu(), radius_graph(x, 0.1, examples, box=box))
        near = nearest(x[::7].contiguous().to(device), x.to(device), box=box)
        assert torch.equal(near.cpu(), nearest(x[::7].contiguous(), x, box=box))


def test_bits_do_not_depend_on_threads(draw):
    x = draw(20000, 3)
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append((knn_graph(x, 8), radius_graph(x, 0.05), radius_graph(x, 0.05, max_num_neighbors=3)))
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("value", [math.nan, INF, -INF])
def test_points_that_are_no_numbers(device, value):
    x = torch.zeros(40, 3, device=device)
    x[17, 1] = value
    for call in (lambda: knn(x, x[:3], 2), lambda: knn_graph(x, 2), lambda: radius_graph(x, 1.0)):
        with pytest.raises(ValueError, match=r"x\[17, 1\]"):
            call()
    with pytest.raises(ValueError, match=r"y\[17, 1\]"):
        knn(x[:3], x, 2)


def test_bad_input(unchecked):
    x, b = torch.rand(5, 3), torch.zeros(5, dtype=torch.int64)
    for wrong, error, words in [
        (lambda: knn(x.half(), x, 1), TypeError, "float32 or float64"),
        (lambda: knn(x, x.double(), 1), TypeError, "cast one"),
        (lambda: knn(x, x[:, :2], 1), ValueError, "coordinates"),
        (lambda: knn(x[0], x, 1), ValueError, "shape"),
        (lambda: knn(x[:, :0], x[:, :0], 1), ValueError, "dim >= 1"),
        (lambda: knn(x, x, -1), ValueError, "k >= 0"),
        (lambda: knn(x, x, 1, b), ValueError, "batch_x alone"),
        (lambda: knn(x, x, 1, b.float(), b), TypeError, "batch_x of dtype"),
        (lambda: knn(x, x, 1, b[:3], b), ValueError, "batch vector of x"),
        (lambda: knn_graph(x, 1, torch.tensor([0, 1, 0, 1, 1])), ValueError, "ascending"),
        (lambda: knn_graph(x, 1, b - 1), ValueError, "batch"),
        (lambda: knn_graph(x, 1, flow="up"), ValueError, "flow"),
        (lambda: knn_graph(x, 1, box=[1.0]), ValueError, "3 lengths"),
        (lambda: knn_graph(x, 1, box=[1.0, 0.0, 1.0]), ValueError, "lengths > 0"),
        (lambda: knn_graph(x, 1, box=[1.0, math.nan, 1.0]), ValueError, "lengths > 0"),
    ]:
        with pytest.raises(error, match=words):
            wrong()


def test_raw_op_checks_for_itself():
    x = torch.rand(5, 3)
    op = torch.ops.geoops.neighbours.default
    for arguments in [
        (x[0], x, None, None, None, 1, INF, True),
        (x, x[0], None, None, None, 1, INF, True),
        (x, x[:, :2], None, None, None, 1, INF, True),
        (x, x, None, None, torch.ones(2), 1, INF, True),
        (x, x, None, None, None, -1, math.nan, True),
        (x, x, torch.zeros(5, dtype=torch.int64), None, None, 1, INF, True),
    ]:
        with pytest.raises((ValueError, IndexError)):
            op(*arguments)


def test_opcheck():
    x, y = torch.rand(30, 3), torch.rand(20, 3)
    bx, by = torch.arange(30) // 10, torch.arange(20) // 7
    box = torch.ones(3, dtype=torch.float64)
    torch.library.opcheck(torch.ops.geoops.neighbours.default, (x, y, None, None, None, 4, INF, True))
    torch.library.opcheck(torch.ops.geoops.neighbours.default, (x, y, bx, by, box, -1, 0.3, True))
    torch.library.opcheck(torch.ops.geoops.nearest.default, (x, y, bx, by, None))


@pytest.mark.compile
def test_compiles_whole():
    x, y = torch.rand(60, 3), torch.rand(40, 3)
    b = torch.arange(60) // 20

    def graph(x, y, b):
        return knn_graph(x, 3, b), knn(x, y, 2, box=[1.0, 1.0, INF]), nearest(x, y)

    compiled = torch.compile(graph, fullgraph=True, dynamic=True)
    for ours, theirs in zip(compiled(x, y, b), graph(x, y, b), strict=True):
        assert torch.equal(ours, theirs)
