"""Values and gradients of `geoops.compat.torch_scatter` are those of torch_scatter."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geoops.compat import torch_scatter as ours

theirs = pytest.importorskip("torch_scatter")

FLOATS = [torch.float32, torch.float64]
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-9}}
thorough = settings(max_examples=150, deadline=None, derandomize=True)
seeds = st.integers(0, 2**16)
sides = st.lists(st.integers(1, 3), max_size=2)


@st.composite
def cases(draw, dtypes, *, ascending=False):
    """Draws src, an index of a shape that broadcasts, its dimension and the number of targets."""
    generator = torch.Generator().manual_seed(draw(seeds))
    lead, trail, entries, n = draw(sides), draw(sides), draw(st.integers(0, 9)), draw(st.integers(1, 5))
    shape, dim = [*lead, entries, *trail], len(lead)
    dtype = draw(st.sampled_from(dtypes))
    layout = draw(st.sampled_from(["leading", "ones"] if ascending else ["vector", "leading", "ones", "full"]))
    of = {"vector": [entries], "leading": [*lead, entries], "ones": [1 for _ in lead] + [entries], "full": shape}[layout]
    index = torch.randint(n, of, generator=generator)
    src = torch.randn(shape, generator=generator, dtype=torch.float64) * 10
    src = src.to(dtype) if dtype.is_floating_point else src.abs().to(dtype)
    if ascending:
        index = index.sort().values
    return src, index, dim if ascending or draw(st.booleans()) else dim - len(shape), n


def same(name, src, *rest, gradients=True, **options):
    """Calls both functions and compares what they return, what they leave in out, and gradients."""
    assert_close = torch.testing.assert_close
    tolerance = TOLERANCE.get(src.dtype, {"rtol": 0, "atol": 0})
    results, grads, outs = [], [], []
    for package in (ours, theirs):
        x = src.clone()
        gradients = gradients and x.is_floating_point() and x.numel() > 0  # their derivatives of nothing divide by 0
        x.requires_grad_(gradients)
        given_out = {k: v.clone() if k == "out" else v for k, v in options.items()}
        result = getattr(package, name)(x, *rest, **given_out)
        result = result if isinstance(result, tuple) else (result,)
        results.append(result)
        outs.append(given_out.get("out"))
        if gradients:
            weight = torch.linspace(-1, 2, result[0].numel(), dtype=x.dtype).view(result[0].shape)
            grads.append(torch.autograd.grad((result[0] * weight).sum(), x)[0])
    for a, b in zip(*results, strict=True):
        assert_close(a, b, **tolerance)
    if "out" in options:
        assert_close(*(out.detach() for out in outs), **tolerance)
    if grads:
        assert_close(*grads, **tolerance)


REDUCE = ["sum", "add", "mean", "mul", "min", "max"]


@pytest.mark.parametrize("reduce", REDUCE)
@thorough
@given(case=cases([*FLOATS, torch.int32, torch.int64]), sized=st.booleans())
def test_scatter(reduce, case, sized):
    src, index, dim, n = case
    assume(src.numel() or reduce != "mul")  # theirs is 0 then
    size = {"dim_size": n} if sized else {}
    same(f"scatter_{reduce}", src, index, dim, **size)
    same("scatter", src, index, dim, reduce=reduce, **size)


@pytest.mark.parametrize("reduce", REDUCE)
@thorough
@given(case=cases([*FLOATS, torch.int64]), seed=seeds)
def test_scatter_into_out(reduce, case, seed):
    src, index, dim, n = case
    shape = list(src.shape)
    shape[dim] = n
    out = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 10).abs().to(src.dtype)
    same(f"scatter_{reduce}", src, index, dim, out=out, gradients=reduce != "mul")


@pytest.mark.parametrize("reduce", [r for r in REDUCE if r != "mul"])
@thorough
@given(case=cases([*FLOATS, torch.int64], ascending=True), sized=st.booleans())
def test_segment_coo(reduce, case, sized):
    src, index, dim, n = case
    size = {"dim_size": n} if sized else {}
    same(f"segment_{reduce}_coo", src, index, gradients=False, **size)
    index = index.expand(*src.shape[:dim], -1)  # without that they refuse derivatives
    same(f"segment_{reduce}_coo", src, index, **size)
    same("segment_coo", src, index, reduce=reduce, **size)


@pytest.mark.parametrize("reduce", ["sum", "mean", "min", "max"])
@thorough
@given(case=cases(FLOATS, ascending=True), seed=seeds)
def test_segment_coo_into_out(reduce, case, seed):
    src, index, dim, n = case
    assume(src.numel())
    index = index.expand(*src.shape[:dim], -1).clone()
    index[..., 0] = 0  # else they begin with the wrong entry of out
    shape = list(src.shape)
    shape[dim] = n
    out = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(src.dtype)
    same("segment_coo", src, index, out=out, reduce=reduce, gradients=reduce in ("sum", "mean"))  # their positions are off


@pytest.mark.parametrize("reduce", [r for r in REDUCE if r != "mul"])
@thorough
@given(case=cases([*FLOATS, torch.int64], ascending=True), into=st.booleans())
def test_segment_csr(reduce, case, into):
    src, index, dim, n = case
    assume(src.numel() or not into)
    ptr = torch.searchsorted(index.contiguous(), torch.arange(n + 1).expand(*index.shape[:-1], -1).contiguous())
    shape = list(src.shape)
    shape[dim] = n
    options = {"out": torch.full(shape, 7).to(src.dtype)} if into else {}
    same(f"segment_{reduce}_csr", src, ptr, **options)
    same("segment_csr", src, ptr, reduce=reduce, **options)


@thorough
@given(case=cases([*FLOATS, torch.int64], ascending=True), seed=seeds)
def test_gathers(case, seed):
    src, index, dim, n = case
    assume(src.numel())
    shape = list(src.shape)
    shape[dim] = n
    values = (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 10).to(src.dtype)
    ptr = torch.searchsorted(index.contiguous(), torch.arange(n + 1).expand(*index.shape[:-1], -1).contiguous())
    same("gather_csr", values, ptr)
    same("gather_csr", values, ptr, out=torch.zeros_like(src))
    whole = index.expand(*src.shape[:dim], -1)
    same("gather_coo", values, whole)
    same("gather_coo", values, whole, out=torch.zeros_like(src))


@thorough
@given(case=cases(FLOATS))
def test_softmax_and_its_relatives(case):
    src, index, dim, n = case
    assume(src.numel())
    same("scatter_softmax", src, index, dim, dim_size=n)
    same("scatter_log_softmax", src, index, dim, dim_size=n)
    same("scatter_logsumexp", src, index, dim, gradients=False)


@thorough
@given(case=cases(FLOATS), unbiased=st.booleans())
def test_std(case, unbiased):
    src, index, dim, n = case
    a = ours.scatter_std(src, index, dim, dim_size=n, unbiased=unbiased)
    b = theirs.scatter_std(src, index, dim, dim_size=n, unbiased=unbiased)
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)  # they add 1e-6 to the number of entries
