import pytest
import torch

from geoops.ops import edge_attention, edge_sum, scatter_softmax


def draw(edges=40, sources=5, targets=7, channels=(3,), dtype=torch.float64, device="cpu", index=torch.int64):
    logits = torch.randn(edges, *channels[:-1], dtype=dtype, device=device)
    v = torch.randn(sources, *channels, dtype=dtype, device=device)
    src = torch.randint(sources, (edges,), dtype=index, device=device)
    dst = torch.randint(targets, (edges,), dtype=index, device=device)
    return logits, v, src, dst


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("channels", [(1,), (3,), (17,), (2, 8), (3, 5), (1, 20)])
def test_equals_softmax_and_sum(device, dtype, tolerance, index, channels):
    logits, v, src, dst = draw(channels=channels, dtype=dtype, device=device, index=index)
    expected = edge_sum(v, scatter_softmax(logits, dst, 0, 7), src, dst, 7)
    torch.testing.assert_close(edge_attention(logits, v, src, dst, 7), expected, **tolerance)


def test_equal_logits_give_the_mean(device):
    _, v, src, dst = draw(device=device)
    mean = edge_sum(v, 1 / torch.bincount(dst, minlength=7)[dst].double(), src, dst, 7)
    torch.testing.assert_close(edge_attention(torch.full((40,), 800.0, dtype=torch.float64, device=device), v, src, dst, 7), mean)


def test_masked_edges_do_not_count(device):
    logits, v, src, dst = draw(device=device)
    logits[5:9] = -torch.inf
    kept = torch.ones(40, dtype=torch.bool, device=device)
    kept[5:9] = False
    torch.testing.assert_close(edge_attention(logits, v, src, dst, 7), edge_attention(logits[kept], v, src[kept], dst[kept], 7))


def test_sixteen_bits(device):
    for half, eps in ((torch.bfloat16, 2**-8), (torch.float16, 2**-11)):
        logits, v, src, dst = draw(dtype=half, device=device)
        expected = edge_attention(logits.double(), v.double(), src, dst, 7)
        torch.testing.assert_close(edge_attention(logits, v, src, dst, 7).double(), expected, rtol=eps, atol=4 * eps)


@pytest.mark.parametrize(("edges", "n"), [(0, 7), (0, 0), (40, 7)])
def test_empty(device, edges, n):
    logits, v, src, dst = draw(edges, device=device)
    out = edge_attention(logits, v, src, dst, n)
    assert out.shape == (n, 3)
    assert edges > 0 or not out.any()


def test_bits_do_not_depend_on_the_threads():
    arguments = draw(edges=60_000, sources=500, targets=333, channels=(2, 8), dtype=torch.float32)
    alone = edge_attention(*arguments, 333)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert torch.equal(edge_attention(*arguments, 333), alone)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("channels", [(2,), (2, 3)])
def test_derivatives(check_derivatives, channels):
    logits, v, src, dst = draw(9, 4, 5, channels)
    check_derivatives(lambda a, v: edge_attention(a, v, src, dst, 5), logits, v)
    check_derivatives(lambda v, a: edge_attention(a, v, src, dst, 5), v, logits)


def test_opcheck(device, dtype):
    logits, v, src, dst = draw(channels=(2, 3), dtype=dtype, device=device)
    arguments = (logits.requires_grad_(), v.requires_grad_(), src, dst, 7, True)
    torch.library.opcheck(torch.ops.geoops.edge_attention.default, arguments)


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(logits, v, src, dst):
        return edge_attention(logits.sin(), v, src, dst, 7).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    logits, v, src, dst = draw(device=device)
    for edges in (40, 11):
        inputs = [logits[:edges].clone().requires_grad_(), v.clone().requires_grad_()]
        rest = (src[:edges], dst[:edges])
        torch.testing.assert_close(compiled(*inputs, *rest), energy(*inputs, *rest))
        actual, expected = (torch.autograd.grad(f(*inputs, *rest), inputs) for f in (compiled, energy))
        torch.testing.assert_close(actual, expected)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": torch.ones(39, dtype=torch.float64)}, ValueError, r"one logit for each of 40 edges, got shape \(39,\)"),
        ({"logits": torch.ones(40, 2, dtype=torch.float64)}, ValueError, r"weights \(edges,\) for rows \(nodes, channels\)"),
        ({"logits": torch.ones(40)}, TypeError, r"v is torch.float64 and logits is torch.float32"),
        ({"v": torch.ones(5)}, ValueError, r"v of shape \(nodes, channels\)"),
        ({"src": torch.full((40,), 5)}, IndexError, r"src\[0\] = 5 is outside \[0, 5\)"),
        ({"dst": torch.full((40,), -1)}, IndexError, r"dst\[0\] = -1 is outside \[0, 7\)"),
        ({"n": -1}, ValueError, r"n >= 0, got -1"),
    ],
)
def test_what_does_not_fit(change, error, message):
    logits, v, src, dst = draw()
    with pytest.raises(error, match=message):
        edge_attention(**({"logits": logits, "v": v, "src": src, "dst": dst, "n": 7} | change))
