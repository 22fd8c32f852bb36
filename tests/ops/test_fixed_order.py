"""The reductions that serve CUDA under `torch.use_deterministic_algorithms`, forced on any device."""

import pytest
import torch

from geoops.ops import _derive, edge_attention, edge_sum, info, scatter, scatter_logsumexp, scatter_softmax, scatter_std
from geoops.ops._reduce import scatter_mul, scatter_sum
from geoops.ops._reduce_softmax import scatter_logsumexp as scatter_logsumexp_
from geoops.ops._reduce_softmax import scatter_softmax as scatter_softmax_
from geoops.ops._reduce_softmax import softmax_backward

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.fixture
def taken(monkeypatch):
    """Sends all ops that have a fixed order through it and lists which were."""
    seen = []
    monkeypatch.setattr(_derive, "_in_order", lambda x: True)
    for name, rule in _derive._FIXED_ORDER.items():
        monkeypatch.setitem(_derive._FIXED_ORDER, name, lambda *a, name=name, rule=rule: seen.append(name) or rule(*a))
    return seen


def functions(edges=70, n=9, inner=5, dtype=torch.float64, device="cpu"):
    """Returns, by name, a function of differentiable inputs and the inputs. Every target but the last has entries."""
    index = torch.cat([torch.arange(n - 1), torch.randint(n - 1, (edges - n + 1,))]).to(device)
    src, w = torch.randint(6, (edges,), device=device), torch.randn(edges, 2, dtype=dtype, device=device)
    x, rows = torch.randn(edges, inner, dtype=dtype, device=device), torch.randn(6, 2, 3, dtype=dtype, device=device)
    return {
        "scatter_sum": (lambda x: scatter(x, index, 0, n), (x,)),
        "scatter_mul": (lambda x: scatter(x, index, 0, n, "mul"), (x,)),
        "mean": (lambda x: scatter(x, index, 0, n, "mean"), (x,)),
        "std": (lambda x: scatter_std(x, index, 0, n), (x,)),
        "scatter_softmax": (lambda x: scatter_softmax(x, index, 0, n), (x,)),
        "scatter_logsumexp": (lambda x: scatter_logsumexp(x, index, 0, n - 1), (x,)),
        "softmax_backward": (lambda x, y: softmax_backward(x[None], y[None], index, n)[0], (x, x.flip(0))),
        "edge_sum": (lambda x, w: edge_sum(x, w, src, index, n), (rows, w)),
        "edge_attention": (lambda w, x: edge_attention(w, x, src, index, n), (w, rows)),
    }


NAMES = list(functions())


def close(dtype):
    close = {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    return {"rtol": close, "atol": close}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_values_as_the_kernels(name, dtype, device, request):
    function, inputs = functions(dtype=dtype, device=device)[name]
    if name == "std" and dtype == torch.bfloat16:
        pytest.skip("differences of means rounded to 8 bits")
    expected = function(*inputs)
    taken = request.getfixturevalue("taken")
    out = function(*inputs)
    assert taken
    assert out.dtype == expected.dtype
    torch.testing.assert_close(out, expected, **close(dtype))


@pytest.mark.parametrize("reduce", ["sum", "mul", "mean"])
def test_rows_are_added_in_the_order_of_entries(reduce, dtype, request):
    x, index = torch.randn(3000, 7, dtype=dtype), torch.randint(4, (3000,))
    expected = scatter(x, index, 0, 5, reduce)
    request.getfixturevalue("taken")
    assert torch.equal(scatter(x, index, 0, 5, reduce), expected)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "std"])  # it has none where it is 0
def test_derivatives(name, check_derivatives, taken):
    function, inputs = functions(edges=11, n=4, inner=2)[name]
    check_derivatives(function, *inputs)


@pytest.mark.parametrize("op", [scatter_sum, scatter_mul, scatter_softmax_, scatter_logsumexp_])
def test_batches_of_indices(op, taken):
    x, index = torch.randn(3, 1, 20, 2), torch.randint(4, (3, 20))
    out = torch.func.vmap(lambda x, i: op(x, i, 5, False))(x, index)
    assert taken
    torch.testing.assert_close(out, torch.stack([op(*pair, 5, False) for pair in zip(x, index, strict=True)]))


@pytest.mark.compile
@pytest.mark.parametrize("name", NAMES)
def test_compiles_in_one_piece(name, taken, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(_derive, "_in_order", lambda x: True)
    function, inputs = functions()[name]
    torch.testing.assert_close(torch.compile(function, fullgraph=True)(*inputs), function(*inputs))


@pytest.mark.skipif(info().cpu != "native", reason="plain torch raises where an unchecked index is out of bounds")
def test_entries_of_no_target(taken):
    index, x = torch.tensor([0, 4, 1, -1]), torch.rand(4, 2) + 1
    out = scatter(x, index, 0, 3, check_indices=False)
    assert torch.equal(out, torch.stack([x[0], x[2], torch.zeros(2)]))
    assert not scatter_softmax(x, index, 0, 3, check_indices=False)[[1, 3]].any()


def test_no_entries_and_wrong_ones(taken):
    index, x = torch.tensor([0, 4, 1, -1]), torch.rand(4, 2) + 1
    with pytest.raises(IndexError, match=r"scatter_sum: index\[1\] = 4 is outside"):
        scatter(x, index, 0, 3)
    assert torch.equal(scatter(x[:0], index[:0], 0, 3, "mul"), torch.ones(3, 2))
    assert scatter_logsumexp(x[:0], index[:0], 0, 3).eq(-torch.inf).all()
    inf = torch.tensor([1.0, torch.inf])
    assert scatter_softmax(inf, index[:2] * 0).isnan().all()
    assert scatter_logsumexp(inf, index[:2] * 0).tolist() == [torch.inf]


def test_taken_on_cuda_only_where_torch_asks_for_it(device):
    x = torch.ones(2, device=device)
    assert not _derive._in_order(x)
    torch.use_deterministic_algorithms(True)
    try:
        assert _derive._in_order(x) == x.is_cuda
    finally:
        torch.use_deterministic_algorithms(False)
