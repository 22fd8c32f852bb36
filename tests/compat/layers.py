"""Layers of torch_geometric after `install`, against plain torch. `test_install.py` runs these tests in a process of their own,
since install has to come before the first import of torch_geometric.
"""

import geoops.compat

geoops.compat.install()

import importlib.util  # noqa: E402
from itertools import pairwise  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
import torch_geometric  # noqa: E402
from torch_geometric import nn, utils  # noqa: E402
from torch_geometric.data import Data  # noqa: E402
from torch_geometric.transforms import RootedRWSubgraph  # noqa: E402

close = torch.testing.assert_close


@pytest.fixture
def x():
    return torch.rand(30, 3)


@pytest.fixture
def batch():
    return torch.arange(30) // 12


def pairs(edges):
    return set(zip(*edges.tolist(), strict=True))


def together(batch):
    return batch[:, None] == batch


def within(x, r, batch):
    """All pairs of different points of one example within a radius, as a matrix."""
    return (torch.cdist(x, x) <= r) & together(batch) & ~torch.eye(len(x), dtype=torch.bool)


def closest(x, k, batch, loop=False):
    far = ~together(batch) if loop else ~together(batch) | torch.eye(len(x), dtype=torch.bool)
    return torch.cdist(x, x).masked_fill(far, torch.inf).topk(k, largest=False).indices


def test_torch_geometric_finds_the_stand_ins():
    assert torch_geometric.typing.WITH_TORCH_SCATTER
    assert torch_geometric.typing.torch_scatter is geoops.compat.torch_scatter
    for name in ("torch_scatter", "torch_scatter.composite", "torch_cluster"):
        assert importlib.util.find_spec(name) is not None
    geoops.compat.install()  # a second time


@pytest.mark.parametrize("flow", ["source_to_target", "target_to_source"])
def test_graphs_of_neighbours(x, batch, flow):
    expected = within(x, 0.4, batch).nonzero().T
    assert pairs(nn.radius_graph(x, 0.4, batch, flow=flow)) == pairs(expected)
    edges = nn.knn_graph(x, 4, batch, flow=flow)
    point, neighbour = edges.flip(0) if flow == "source_to_target" else edges
    assert torch.equal(neighbour.view(30, 4), closest(x, 4, batch))
    assert torch.equal(point.view(30, 4)[:, 0], torch.arange(30))


def test_searches_between_two_sets(x, batch):
    y, batch_y = x[::3] + 0.01, batch[::3].contiguous()  # torch reads the memory of a view
    distance = torch.cdist(y, x).masked_fill(batch_y[:, None] != batch, torch.inf)
    assert pairs(nn.radius(x, y, 0.3, batch, batch_y)) == pairs((distance <= 0.3).nonzero().T)
    assert torch.equal(nn.knn(x, y, 2, batch, batch_y)[1].view(-1, 2), distance.topk(2, largest=False).indices)
    assert torch.equal(nn.nearest(x, y, batch, batch_y), distance.argmin(0))


def test_a_cap_keeps_the_nearest(x, batch):
    edges = nn.radius_graph(x, 5.0, batch, max_num_neighbors=3)
    assert torch.equal(edges[0].view(30, 3), closest(x, 3, batch))


def test_fps_and_voxels(x, batch):
    chosen = nn.fps(x[:12], ratio=0.5, random_start=False)
    distance, expected = torch.cdist(x[:12], x[:12]), [0]
    for _ in range(5):
        expected.append(int(distance[expected].amin(0).argmax()))
    assert chosen.tolist() == expected
    assert nn.fps(x, batch, ratio=0.25).shape == (8,)
    cells = nn.voxel_grid(x, 0.3, batch)
    same = (cells[:, None] == cells).nonzero().T
    place = torch.cat([((x - x.amin(0)) / 0.3).floor(), batch[:, None].float()], 1)
    assert pairs(same) == pairs((place[:, None] == place).all(2).nonzero().T)


def test_dynamic_edge_conv(x, batch):
    mlp = torch.nn.Linear(6, 5)
    out = nn.DynamicEdgeConv(mlp, k=4)(x, batch)
    neighbours = x[closest(x, 4, batch, loop=True)]
    middle = x[:, None].expand_as(neighbours)
    close(out, mlp(torch.cat([middle, neighbours - middle], 2)).amax(1))


def test_point_net_conv(x, batch):
    mlp, h = torch.nn.Linear(7, 5), torch.randn(30, 4)
    edges = nn.radius_graph(x, 0.5, batch)
    out = nn.PointNetConv(mlp)(h, x, edges)
    messages = mlp(torch.cat([h.expand(30, 30, 4), x - x[:, None]], 2))
    joined = within(x, 0.5, batch) | torch.eye(30, dtype=torch.bool)
    close(out, messages.masked_fill(~joined[..., None], -torch.inf).amax(1))


def test_interaction_graph_of_schnet(x, batch):
    edges, weights = nn.models.schnet.RadiusInteractionGraph(0.4, 32)(x, batch)
    assert pairs(edges) == pairs(within(x, 0.4, batch).nonzero().T)
    close(weights, (x[edges[0]] - x[edges[1]]).norm(dim=1))
    energy = nn.SchNet(hidden_channels=8, num_filters=8, num_interactions=2, num_gaussians=5, cutoff=0.6)
    assert energy(torch.randint(1, 9, (30,)), x, batch).shape == (3, 1)


def test_other_layers_that_search(x, batch):
    assert nn.XConv(4, 4, dim=3, kernel_size=3)(torch.randn(30, 4), x, batch).shape == (30, 4)
    assert nn.GravNetConv(3, 4, space_dimensions=2, propagate_dimensions=3, k=3)(x, batch).shape == (30, 4)


def test_max_pool_of_graclus_clusters(x, batch):
    edges = nn.knn_graph(x, 3, batch)
    weight = torch.rand(edges.shape[1])
    for w in (None, weight):
        cluster = nn.graclus(edges, w, 30)
        assert cluster.bincount().max() == 2
        row, col = edges
        alone = cluster.bincount(minlength=30)[cluster] == 1
        assert not (alone[row] & alone[col]).any()
    h = torch.randn(30, 4)
    pooled, _ = nn.max_pool_x(cluster, h, batch)
    close(pooled, torch.stack([h[cluster == c].amax(0) for c in cluster.unique()]))
    assert nn.max_pool(cluster, Data(x=h, pos=x, batch=batch, edge_index=edges)).num_nodes == len(pooled)


def test_reductions(x):
    index, ptr = torch.tensor([0] * 7 + [2] * 13 + [3] * 10), torch.tensor([0, 7, 7, 20, 30])
    parts = [x[:7], x[:0], x[7:20], x[20:]]
    zero = torch.zeros(3)
    for name, reduce in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}.items():
        expected = torch.stack([reduce(p, 0) if len(p) else zero for p in parts])
        close(utils.scatter(x, index, 0, reduce=name), expected)
        close(utils.segment(x, ptr, name), expected)
    expected = torch.cat([p.softmax(0) for p in parts])
    close(utils.softmax(x, index), expected)
    close(utils.softmax(x, ptr=ptr), expected)
    close(utils.softmax(x.T, ptr=ptr, dim=1), expected.T)
    assert utils._scatter.scatter_argmax(x[:, 0], index).tolist() == [
        int(p[:, 0].argmax()) + at if len(p) else 30 for p, at in zip(parts, ptr, strict=False)
    ]


def test_gradients_of_segments(x):
    x, ptr = x.requires_grad_(), torch.tensor([0, 7, 20, 30])
    (grad,) = torch.autograd.grad(nn.MaxAggregation()(x, ptr=ptr).square().sum(), x)
    expected = torch.zeros(30, 3)
    for begin, end in ((0, 7), (7, 20), (20, 30)):
        value, at = x[begin:end].max(0)
        expected[at + begin, torch.arange(3)] = 2 * value
    close(grad, expected.detach())


def test_node2vec(x, batch):
    edges = nn.knn_graph(x, 3, batch)
    model = nn.Node2Vec(edges, 8, walk_length=6, context_size=3, walks_per_node=2, p=0.5, q=2.0)
    walks = model.pos_sample(torch.arange(30))
    assert walks.shape == (30 * 2 * 4, 3)
    steps = {(i, j) for walk in walks.tolist() for i, j in pairwise(walk)}
    stuck = set(range(30)) - set(edges[0].tolist())
    assert all(step in pairs(edges) or (step[0] == step[1] and step[0] in stuck) for step in steps)
    model.loss(*model.sample([0, 1, 2])).backward()
    assert model().shape == (30, 8)
    assert model.embedding.weight.grad.isfinite().all()


def test_other_walks(x, batch):
    edges = nn.knn_graph(x, 3, batch)
    left, mask = utils.dropout_path(edges, p=0.3)
    assert torch.equal(left, edges[:, mask])
    data = RootedRWSubgraph(walk_length=2)(Data(x=x, edge_index=edges))
    reach = torch.eye(30, dtype=torch.bool)
    reach[edges[0], edges[1]] = True
    reach = (reach.float() @ reach.float()) > 0
    assert reach[data.n_sub_batch, data.n_id].all()
