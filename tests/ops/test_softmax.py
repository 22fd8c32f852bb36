import pytest
import torch

from geoops.ops import scatter_log_softmax, scatter_logsumexp, scatter_softmax


def by_target(x, index, dim, function):
    """Applies a function of torch to the entries of each target."""
    out = torch.empty_like(x)
    for i in index.unique():
        mine = (index == i).nonzero().flatten()
        out.index_copy_(dim, mine, function(x.index_select(dim, mine), dim))
    return out


@pytest.mark.parametrize(("shape", "dim"), [((50,), 0), ((50, 1), 0), ((50, 8), 0), ((3, 50, 17), 1), ((4, 50), 1)])
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
def test_equals_torch_on_each_target(device, dtype, tolerance, shape, dim, index_dtype):
    x = 5 * torch.randn(shape, dtype=dtype, device=device)
    index = torch.randint(6, (50,), dtype=index_dtype, device=device)
    torch.testing.assert_close(scatter_softmax(x, index, dim), by_target(x, index, dim, torch.softmax), **tolerance)
    torch.testing.assert_close(scatter_log_softmax(x, index, dim), by_target(x, index, dim, torch.log_softmax), **tolerance)
    out = scatter_logsumexp(x, index, dim, 7)
    for i in range(6):
        expected = x.index_select(dim, (index == i).nonzero().flatten()).logsumexp(dim)
        torch.testing.assert_close(out.select(dim, i), expected, **tolerance)
    assert (out.select(dim, 6) == -torch.inf).all()


def test_an_index_that_varies(device):
    x, index = torch.randn(3, 9, 4, device=device), torch.randint(3, (3, 9, 4), device=device)
    out = scatter_softmax(x, index, 1)
    for o in range(3):
        for c in range(4):
            torch.testing.assert_close(out[o, :, c], scatter_softmax(x[o, :, c], index[o, :, c]))


def test_nothing_overflows(device, dtype):
    x = torch.tensor([1e4, 1e4, -1e4, -torch.inf, torch.inf, 0.0], dtype=dtype, device=device)
    index = torch.tensor([0, 0, 0, 0, 1, 2], device=device)
    out = scatter_softmax(x, index)
    assert out[:4].tolist() == [0.5, 0.5, 0, 0]
    assert out[4].isnan()
    assert out[5] == 1
    total = scatter_logsumexp(x, index)
    torch.testing.assert_close(total, torch.stack([x[:4].logsumexp(0), x[4], x[5]]))
    assert (
        scatter_softmax(torch.full((2,), -torch.inf, device=device), torch.zeros(2, dtype=torch.long, device=device)).isnan().all()
    )


def test_sums_are_one(device):
    for half in (torch.float32, torch.bfloat16, torch.float16):
        x, index = torch.randn(4000, 3, device=device).to(half), torch.randint(50, (4000,), device=device)
        out = scatter_softmax(x, index, 0)
        assert out.dtype == half
        total = torch.zeros(50, 3, device=device).index_add(0, index, out.float())
        torch.testing.assert_close(total, torch.ones_like(total), rtol=8 * torch.finfo(half).eps, atol=0)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 0)])
def test_empty(device, shape):
    x, index = torch.zeros(shape, device=device), torch.zeros(shape[0], dtype=torch.int64, device=device)
    assert scatter_softmax(x, index, 0).shape == shape
    assert scatter_log_softmax(x, index, 0).shape == shape
    assert scatter_logsumexp(x, index, 0, 4).shape == (4, *shape[1:])


def test_bits_do_not_depend_on_the_threads():
    x, index = torch.randn(30_000, 9), torch.randint(333, (30_000,))
    alone = scatter_softmax(x, index, 0)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert torch.equal(scatter_softmax(x, index, 0), alone)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("function", [scatter_softmax, scatter_log_softmax, scatter_logsumexp])
def test_derivatives(check_derivatives, function):
    index = torch.tensor([0, 3, 0, 1, 3, 3, 0])
    if function is scatter_logsumexp:  # a target without entries has no finite value
        index = torch.tensor([0, 2, 0, 1, 2, 2, 0])
    size = int(index.max()) + 1
    check_derivatives(lambda x: function(x, index, 0, size), torch.randn(7, 2))


@pytest.mark.parametrize(
    ("op", "tensors", "rest"),
    [("scatter_softmax", 1, (5, True)), ("softmax_backward", 2, (5,)), ("scatter_logsumexp", 1, (5, True))],
)
def test_opcheck(device, dtype, op, tensors, rest):
    index = torch.tensor([0, 1, 2, 3, 4, 0, 2], device=device)
    x = [torch.randn(2, 7, 3, dtype=dtype, device=device, requires_grad=True) for _ in range(tensors)]
    torch.library.opcheck(getattr(torch.ops.geoops, op).default, (*x, index, *rest))


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(x, index):
        return (scatter_softmax(x.sin(), index, 0, 5) * scatter_log_softmax(x, index, 0, 5)).sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for entries in (12, 7):
        x = torch.randn(entries, 3, device=device, requires_grad=True)
        index = torch.randint(5, (entries,), device=device)
        torch.testing.assert_close(compiled(x, index), energy(x, index))
        (a,), (b,) = torch.autograd.grad(compiled(x, index), x), torch.autograd.grad(energy(x, index), x)
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("function", [scatter_softmax, scatter_log_softmax, scatter_logsumexp])
def test_bad_input(function):
    with pytest.raises(TypeError, match=r"src of dtype float32, .* got torch.int64"):
        function(torch.ones(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(IndexError, match=r"index\[1\] = 7 is outside \[0, 3\)"):
        function(torch.ones(3), torch.tensor([0, 7, 0]), 0, 3)
