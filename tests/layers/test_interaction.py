import pytest
import torch
from torch_geometric.nn import SSGConv
from torch_geometric.utils import get_laplacian

from geoops import ops
from geoops.layers import InteractionBlock
from geoops.layers._interaction import simulator_mlp


def graph(device="cpu", dtype=torch.float64, nodes=20, width=6):
    x = torch.rand(nodes, 2, dtype=dtype, device=device)
    edges = ops.radius_graph(x, 0.3, loop=True)
    distance = (x[edges[0]] - x[edges[1]]).norm(dim=1) / 0.3
    h, e = (torch.randn(n, width, dtype=dtype, device=device) for n in (nodes, edges.shape[1]))
    return h, e, edges, distance


@pytest.mark.parametrize("aggregation", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [True, False])
def test_is_the_formula(aggregation, weighted, device, dtype, tolerance):
    h, e, edges, distance = graph(device, dtype)
    block = InteractionBlock(6, aggregation, weighted=weighted).to(device, dtype)
    new, along = block(h, e, edges, distance)
    m = block.message(torch.cat([h[edges[1]], h[edges[0]], e], 1))
    torch.testing.assert_close(along, e + m, **tolerance)
    weight = 1 / (1 + distance[:, None]) if weighted else 1
    gathered = torch.zeros_like(h).index_add(0, edges[1], m * weight)
    if aggregation == "mean":
        gathered = gathered / edges[1].bincount(minlength=len(h))[:, None]
    torch.testing.assert_close(new, h + block.update(torch.cat([h, gathered], 1)), **tolerance)


def test_published_spectral_branch_is_a_linear_map_of_each_node():
    """Defect 3: with the Laplacian itself as weights of edges, all weights of the propagation are zero."""
    h, e, edges, distance = graph()
    published = SSGConv(6, 6, alpha=0.7).double()
    spread = published(h, *get_laplacian(edges, dtype=h.dtype, num_nodes=len(h)))
    block, plain, ssg = (InteractionBlock(6, spectral=kind).double() for kind in ("authors", "none", "ssg"))
    block.mix.load_state_dict(published.lin.state_dict())
    plain.load_state_dict({name: value for name, value in block.state_dict().items() if "mix" not in name})
    ssg.load_state_dict(block.state_dict())
    linear = published.lin(0.7 * h)
    torch.testing.assert_close(spread, linear, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(block(h, e, edges, distance)[0] - plain(h, e, edges, distance)[0], linear)
    meant = ssg(h, e, edges, distance)[0] - plain(h, e, edges, distance)[0]
    assert (meant - linear).abs().max() > 1e-2
    torch.testing.assert_close(meant, published(h, edges))


def test_order_of_edges_and_gradients():
    h, e, edges, distance = graph(nodes=8)
    order = torch.randperm(len(e))
    for spectral in ("none", "authors", "ssg"):
        block = InteractionBlock(6, spectral=spectral).double()
        new, along = block(h, e, edges, distance)
        other, there = block(h, e[order], edges[:, order], distance[order])
        torch.testing.assert_close(other, new, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(there, along[order], rtol=1e-10, atol=1e-10)
        inputs = (h.clone().requires_grad_(), e.clone().requires_grad_())
        assert torch.autograd.gradcheck(lambda h, e, block=block: block(h, e, edges, distance), inputs)


def test_nodes_without_edges(device, dtype):
    for spectral in ("none", "authors", "ssg"):
        block = InteractionBlock(6, spectral=spectral).to(device, dtype)
        for nodes in (3, 0):
            h, e = (torch.zeros(n, 6, device=device, dtype=dtype) for n in (nodes, 0))
            new, along = block(h, e, torch.zeros(2, 0, dtype=torch.int64, device=device), e[:, 0])
            assert new.shape == (nodes, 6)
            assert along.shape == (0, 6)
            assert new.isfinite().all()


def test_weights_have_the_published_deviation():
    net = simulator_mlp(400, 300)
    assert net[0].weight.std().item() == pytest.approx(400**-0.5, rel=0.02)
    assert net[2].weight.std().item() == pytest.approx(300**-0.5, rel=0.02)
    assert net[4].bias.abs().max() == 0
    assert isinstance(net[-1], torch.nn.LayerNorm)
    assert isinstance(simulator_mlp(4, 3, 2)[-1], torch.nn.Linear)


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match=r'expected aggregation "sum" or "mean", got \'max\''):
        InteractionBlock(4, "max")
    with pytest.raises(ValueError, match=r'expected spectral "none", "authors" or "ssg", got \'cheb\''):
        InteractionBlock(4, spectral="cheb")
    h, e, edges, _ = graph()
    with pytest.raises(ValueError, match="weighted messages need the distance of each edge"):
        InteractionBlock(6).double()(h, e, edges)
