"""`geoops.compat.torch_scatter` against plain torch; signatures, `out`, gradients and errors."""

import inspect

import pytest
import torch
from torch.autograd import gradcheck

from geoops.compat import torch_scatter as ts

SCATTER = "src index dim=-1 out=None dim_size=None"
CSR = "src indptr out=None"
COO = "src index out=None dim_size=None"
SIGNATURES = {
    "scatter": f"{SCATTER} reduce='sum'",
    **{f"scatter_{name}": SCATTER for name in ("sum", "add", "mul", "mean", "min", "max")},
    "segment_csr": f"{CSR} reduce='sum'",
    **{f"segment_{name}_csr": CSR for name in ("sum", "add", "mean", "min", "max")},
    "gather_csr": CSR,
    "segment_coo": f"{COO} reduce='sum'",
    **{f"segment_{name}_coo": COO for name in ("sum", "add", "mean", "min", "max")},
    "gather_coo": "src index out=None",
    "scatter_std": f"{SCATTER} unbiased=True",
    "scatter_logsumexp": f"{SCATTER} eps=1e-12",
    "scatter_softmax": "src index dim=-1 dim_size=None",
    "scatter_log_softmax": "src index dim=-1 eps=1e-12 dim_size=None",
}


def parameters(function):
    return " ".join(
        p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in inspect.signature(function).parameters.values()
    )


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_those_of_torch_scatter(name):
    assert parameters(getattr(ts, name)) == SIGNATURES[name]


def test_every_public_name_is_there():
    functions = {name for name, _ in inspect.getmembers(ts, inspect.isfunction)}
    assert functions == set(SIGNATURES)
    assert ts.__version__ == "2.1.2"
    for name in ("scatter_std", "scatter_logsumexp", "scatter_softmax", "scatter_log_softmax"):
        assert getattr(ts.composite, name) is getattr(ts, name)


def reference(src, index, dim, n, reduce):
    """Reduces with `Tensor.scatter_reduce` along an index of the shape of src."""
    shape = list(src.shape)
    shape[dim] = n
    kind = {"sum": "sum", "add": "sum", "mean": "mean", "mul": "prod", "min": "amin", "max": "amax"}[reduce]
    start = src.new_ones(shape) if reduce == "mul" else src.new_zeros(shape)
    return start.scatter_reduce(dim, index, src, kind, include_self=False)


REDUCE = ["sum", "add", "mean", "mul", "min", "max"]
# shape of src, shape of index, dim
LAYOUTS = [
    ((7,), (7,), 0),
    ((7, 3), (7,), 0),
    ((2, 7, 3), (7,), 1),
    ((2, 7), (2, 7), -1),
    ((3, 7, 2), (3, 7), 1),
    ((4, 5), (4, 1), 1),
]


@pytest.mark.parametrize("reduce", REDUCE)
@pytest.mark.parametrize(("shape", "index_shape", "dim"), LAYOUTS)
def test_scatter_is_scatter_reduce(reduce, shape, index_shape, dim, dtype, device, tolerance):
    src = torch.randn(shape, dtype=dtype, device=device)
    index = torch.randint(4, index_shape, device=device)
    spread = ts.utils.broadcast(index, src, dim)
    expected = reference(src, spread, dim, 5, reduce)
    torch.testing.assert_close(ts.scatter(src, index, dim, dim_size=5, reduce=reduce), expected, **tolerance)
    named = getattr(ts, f"scatter_{reduce}")(src, index, dim, None, 5)
    if reduce in ("min", "max"):
        named, arg = named
        entries = src.shape[dim]
        assert ((arg == entries) == (reference(torch.ones_like(src), spread, dim, 5, "sum") == 0)).all()
        padded = torch.cat([src, torch.zeros_like(src.narrow(dim, 0, 1))], dim)
        assert torch.equal(padded.gather(dim, arg), named)
    torch.testing.assert_close(named, expected, **tolerance)


@pytest.mark.parametrize("reduce", ["sum", "add", "mean", "min", "max"])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_segments_are_scatter_on_a_sorted_index(reduce, lead, dtype, device, tolerance):
    src = torch.randn(*lead, 7, 3, dtype=dtype, device=device)
    ptr = torch.tensor([0, 3, 3, 5, 7], device=device).expand(*lead, 5)
    index = torch.tensor([0, 0, 0, 2, 2, 3, 3], device=device).expand(*lead, 7)
    expected = reference(src, ts.utils.broadcast(index, src, len(lead)), len(lead), 4, reduce)
    torch.testing.assert_close(ts.segment_csr(src, ptr, reduce=reduce), expected, **tolerance)
    torch.testing.assert_close(ts.segment_coo(src, index, reduce=reduce), expected, **tolerance)
    csr, coo = getattr(ts, f"segment_{reduce}_csr")(src, ptr), getattr(ts, f"segment_{reduce}_coo")(src, index)
    if reduce in ("min", "max"):
        assert torch.equal(csr[1], coo[1])
        assert (csr[1].select(len(lead), 1) == 7).all()
        csr, coo = csr[0], coo[0]
    torch.testing.assert_close(csr, expected, **tolerance)
    torch.testing.assert_close(coo, expected, **tolerance)
    values = torch.randn(*lead, 4, 3, dtype=dtype, device=device)
    repeated = values.index_select(len(lead), index.reshape(-1, 7)[0])
    assert torch.equal(ts.gather_csr(values, ptr), repeated)
    assert torch.equal(ts.gather_coo(values, index), repeated)


def test_composites_are_those_of_torch(dtype, tolerance):
    src, index = torch.randn(6, dtype=dtype), torch.tensor([0, 2, 0, 2, 2, 0])
    parts = [src[index == 0], src[index == 2]]
    zero = src.new_zeros(())

    def close(actual, *expected):
        torch.testing.assert_close(actual, torch.stack(expected), **tolerance)

    close(ts.scatter_std(src, index), parts[0].std(), zero, parts[1].std())
    close(ts.scatter_std(src, index, unbiased=False), *(p.std(unbiased=False) for p in (parts[0], zero[None], parts[1])))
    close(ts.scatter_logsumexp(src, index), parts[0].logsumexp(0), zero, parts[1].logsumexp(0))
    torch.testing.assert_close(ts.scatter_softmax(src, index)[index == 2], parts[1].softmax(0), **tolerance)
    torch.testing.assert_close(ts.scatter_log_softmax(src, index)[index == 0], parts[0].log_softmax(0), **tolerance)


INDEX = torch.tensor([0, 0, 2, 2])
OUT = {  # accumulated into [10, 20, 30, 40]
    "sum": [14.0, 20.0, 33.0, 40.0],
    "add": [14.0, 20.0, 33.0, 40.0],
    "mul": [30.0, 20.0, -1200.0, 40.0],
    "mean": [7.0, 20.0, 16.5, 40.0],
    "min": [1.0, 20.0, -5.0, 40.0],
    "max": [10.0, 20.0, 30.0, 40.0],
}


@pytest.mark.parametrize("kind", ["scatter", "coo"])
@pytest.mark.parametrize("reduce", OUT)
def test_out_is_accumulated_into(kind, reduce, dtype):
    src = torch.tensor([1.0, 3.0, 8.0, -5.0], dtype=dtype)
    out = torch.tensor([10.0, 20.0, 30.0, 40.0], dtype=dtype)
    if kind == "coo" and reduce == "mul":
        pytest.skip("torch_scatter has no products of segments")
    function = getattr(ts, f"scatter_{reduce}" if kind == "scatter" else f"segment_{reduce}_coo")
    result = function(src, INDEX, out=out)
    if reduce in ("min", "max"):
        result, arg = result
        assert arg.tolist() == ([0, 4, 3, 4] if reduce == "min" else [4, 4, 4, 4])
    assert result is out
    assert out.tolist() == OUT[reduce]
    short = ts.scatter if kind == "scatter" else ts.segment_coo
    assert short(src, INDEX, out=torch.tensor([10.0, 20, 30, 40], dtype=dtype), reduce=reduce).tolist() == OUT[reduce]


def test_an_entry_replaces_out_only_if_it_is_better():
    out = torch.tensor([3.0, 2.0])
    result, arg = ts.scatter_max(torch.tensor([3.0, 5.0, 5.0]), torch.tensor([0, 1, 1]), out=out)
    assert result.tolist() == [3.0, 5.0]
    assert arg.tolist() == [3, 1]


def test_segment_csr_and_gathers_overwrite_out():
    ptr, src = torch.tensor([0, 2, 2, 4]), torch.tensor([1.0, 3.0, 8.0, -5.0])
    for reduce, expected in (("sum", [4.0, 0.0, 3.0]), ("mean", [2.0, 0.0, 1.5]), ("min", [1.0, 0.0, -5.0])):
        out = torch.full((3,), 9.0)
        assert ts.segment_csr(src, ptr, out, reduce) is out
        assert out.tolist() == expected
    out = torch.full((3,), 9.0)
    value, arg = ts.segment_max_csr(src, ptr, out)
    assert value is out
    assert (out.tolist(), arg.tolist()) == ([3.0, 0.0, 8.0], [1, 4, 2])
    entries = torch.full((4,), 9.0)
    assert ts.gather_csr(out, ptr, entries) is entries
    assert entries.tolist() == [3.0, 3.0, 8.0, 8.0]
    assert ts.gather_coo(out, torch.tensor([2, 0]), entries[:2]).tolist() == entries[:2].tolist() == [8.0, 3.0]


def test_out_of_composites():
    src, index = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0, 0, 1])
    out = torch.tensor([7.0, 4.0, 9.0])
    result = ts.scatter_std(src, index, out=out)
    torch.testing.assert_close(result, torch.tensor([3.0, 2.0, 3.0]))
    torch.testing.assert_close(out, torch.tensor([9.0, 4.0, 9.0]))  # sums of squares
    out = torch.tensor([7.0, 4.0, 9.0])
    result = ts.scatter_logsumexp(src, index, out=out)
    assert result is out
    torch.testing.assert_close(out[0], torch.tensor([7.0, 1.0, 3.0]).logsumexp(0))
    assert out[2] == 9.0


def test_integers_and_means_of_them(device):
    src = torch.tensor([-3, 4, 5, 6], device=device)
    index = torch.tensor([0, 0, 1, 1], device=device)
    assert ts.scatter_mean(src, index).tolist() == [0, 5]
    assert ts.scatter_mean(src, index, out=torch.tensor([-2, 1], device=device)).tolist() == [-1, 6]
    assert ts.scatter_max(src.int(), index.int())[1].tolist() == [1, 3]


DIFFERENTIABLE = {
    **{reduce: lambda x, reduce=reduce, **k: ts.scatter(x, INDEX, 0, reduce=reduce, **k) for reduce in REDUCE},
    **{f"coo {r}": lambda x, r=r, **k: ts.segment_coo(x, INDEX, reduce=r, **k) for r in REDUCE if r != "mul"},
    "std": lambda x, **k: ts.scatter_std(x, INDEX, 0, **k),
    "logsumexp": lambda x, **k: ts.scatter_logsumexp(x, INDEX, 0, **k),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name):
    function = DIFFERENTIABLE[name]
    src = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    out = torch.randn(3, 2, dtype=torch.float64).abs().add(0.1).requires_grad_()
    assert gradcheck(function, src)
    assert gradcheck(lambda x, y: function(x, out=y.clone()), (src, out))


def test_gradients_of_softmax_and_segments():
    src = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    ptr = torch.tensor([0, 1, 1, 4])
    for function in (ts.scatter_softmax, ts.scatter_log_softmax):
        assert gradcheck(lambda x, function=function: function(x, INDEX, 0), src)
    for reduce in ("sum", "mean", "min", "max"):
        assert gradcheck(lambda x, reduce=reduce: ts.segment_csr(x, ptr, reduce=reduce), src)
    assert gradcheck(lambda x: ts.gather_csr(x, torch.tensor([0, 1, 1, 4, 5])), src)
    assert gradcheck(lambda x: ts.gather_coo(x, INDEX), src)


@pytest.mark.parametrize("reduce", REDUCE)
def test_empty_input(reduce, dtype):
    src, index = torch.empty(0, 3, dtype=dtype), torch.empty(0, dtype=torch.int64)
    fill = 1 if reduce == "mul" else 0
    assert ts.scatter(src, index, 0, reduce=reduce).shape == (0, 3)
    assert torch.equal(ts.scatter(src, index, 0, dim_size=2, reduce=reduce), torch.full((2, 3), fill, dtype=dtype))
    out = torch.ones(2, 3, dtype=dtype)
    assert torch.equal(ts.scatter(src, index, 0, out, reduce=reduce), torch.ones(2, 3, dtype=dtype))
    if reduce != "mul":
        assert ts.segment_coo(src, index, reduce=reduce).shape == (0, 3)
        assert not ts.segment_csr(src, torch.tensor([0, 0, 0]), reduce=reduce).any()
    assert ts.scatter_max(src, index, 0, dim_size=2)[1].tolist() == [[0] * 3] * 2


def test_bad_input(unchecked):
    src, index = torch.ones(3), torch.tensor([0, 1, 2])
    with pytest.raises(IndexError, match="index"):
        ts.scatter_sum(src, index, dim_size=2)
    with pytest.raises(IndexError, match="index"):
        ts.scatter_max(src, index - 1)
    with pytest.raises(IndexError, match="index"):
        ts.segment_coo(src, index, out=torch.zeros(2))
    with pytest.raises(TypeError, match="index"):
        ts.scatter(src, index.float())
    with pytest.raises(TypeError, match="src"):
        ts.scatter_softmax(src.long(), index)
    with pytest.raises(TypeError, match="out"):
        ts.scatter_sum(src, index, out=torch.zeros(3, dtype=torch.float64))
    with pytest.raises(TypeError, match="out"):
        ts.segment_csr(src, torch.tensor([0, 3]), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="out"):
        ts.scatter_mean(src, index, out=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="out"):
        ts.gather_csr(src[:1], torch.tensor([0, 3]), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="dim"):
        ts.scatter_sum(src, index, 1, src)
    with pytest.raises(ValueError, match="ascend"):
        ts.segment_coo(src, index.flip(0))
    for function in (ts.scatter, ts.segment_coo, ts.segment_csr):
        with pytest.raises(ValueError, match="reduce"):
            function(src, torch.tensor([0, 1, 3]), reduce="median")
