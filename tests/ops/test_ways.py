"""The native kernels go different ways by width, number of targets and range of values; all give what plain torch gives."""

import pytest
import torch

from geoops import ops
from geoops.ops import _reduce, _reduce_segments, _reduce_softmax

raw = torch.ops.geoops
WIDTHS = [1, 3, 8, 31, 32, 40, 70]


def values(outer, edges, inner, dtype, special):
    x = torch.randint(-3, 4, (outer, edges, inner)).float()
    x = x * {"far": 19, "offset": 19, "wide": 1000}.get(special, 1)  # 57 is within the limit of the shared shift
    if special == "offset":
        x = x / 3 + 500
    if special in ("nan", "all"):
        x[torch.rand_like(x) < 0.05] = torch.nan
    if special in ("inf", "all"):
        x[torch.rand_like(x) < 0.05] = torch.inf
        x[torch.rand_like(x) < 0.05] = -torch.inf
    x[x == 0] *= torch.randint(0, 2, x[x == 0].shape) * 2.0 - 1  # zeros of both signs
    return x.to(dtype)


def same(actual, expected):
    tolerance = {torch.bfloat16: 2e-2, torch.float32: 2e-5, torch.float64: 1e-12}[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("special", ["small", "far", "offset", "wide", "nan", "inf", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("outer", "edges", "n"), [(1, 900, 40), (1, 50, 400), (9, 60, 7), (2, 2500, 3)])
def test_scatter(outer, edges, n, dtype, special):
    for inner in WIDTHS:
        x, index = values(outer, edges, inner, dtype, special), torch.randint(n, (edges,))
        for largest in (True, False):
            best, arg = raw.scatter_extremum(x, index, n, largest, True)
            expected, position = _reduce._scatter_extremum_torch(x, index, n, largest, True)
            assert torch.equal(arg, position)
            same(best, expected)
        for name, module in (
            ("scatter_sum", _reduce),
            ("scatter_softmax", _reduce_softmax),
            ("scatter_logsumexp", _reduce_softmax),
        ):
            same(getattr(raw, name)(x, index, n, True), getattr(module, f"_{name}_torch")(x, index, n, True))
        y, g = values(outer, edges, inner, dtype, "small"), values(outer, edges, inner, dtype, "small")
        same(raw.softmax_backward(y, g, index, n), _reduce_softmax._softmax_backward_torch(y, g, index, n))


@pytest.mark.parametrize("special", ["small", "nan", "inf", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("edges", "n"), [(900, 90), (300, 2), (20, 60)])
def test_segment(edges, n, dtype, special):
    for inner in WIDTHS:
        x = values(2, edges, inner, dtype, special)
        ptr = torch.cat([torch.zeros(1), torch.randint(edges + 1, (n - 1,)).sort().values, torch.tensor([edges])]).long()[None]
        for largest in (True, False):
            best, arg = raw.segment_extremum(x, ptr, largest)
            expected, position = _reduce_segments._segment_extremum_torch(x, ptr, largest)
            assert torch.equal(arg, position)
            same(best, expected)
        same(raw.segment_sum(x, ptr), _reduce_segments._segment_sum_torch(x, ptr))
        g = torch.randn(2, n, inner).to(dtype)
        assert torch.equal(raw.gather_csr(g, ptr, edges), _reduce_segments._gather_csr_torch(g, ptr, edges))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize("inner", [1, 5, 40])
def test_ends_of_integers(dtype, inner):
    info = torch.iinfo(dtype)
    x = torch.tensor([info.min, info.max, 0, 1])[torch.randint(4, (1, 500, inner))].to(dtype)
    index, ptr = torch.arange(500) // 30, torch.tensor([[*range(0, 500, 30), 500]])
    for largest in (True, False):
        expected = _reduce._scatter_extremum_torch(x, index, 17, largest, True)
        for found in (raw.scatter_extremum(x, index, 17, largest, True), raw.segment_extremum(x, ptr, largest)):
            assert torch.equal(found[0], expected[0])
            assert torch.equal(found[1], expected[1])


@pytest.mark.skipif(ops.info().cpu != "native", reason="plain torch raises")
@pytest.mark.parametrize("inner", [1, 8, 40])
def test_entries_out_of_bounds_are_left_out(inner):
    x, index = torch.randn(1, 500, inner), torch.randint(-3, 43, (500,))
    kept = ((index >= 0) & (index < 40)).nonzero().flatten()
    inside, at = x[:, kept], index[kept]
    same(raw.scatter_sum(x, index, 40, False), raw.scatter_sum(inside, at, 40, True))
    best, arg = raw.scatter_extremum(x, index, 40, True, False)
    expected, position = raw.scatter_extremum(inside, at, 40, True, True)
    same(best, expected)
    assert torch.equal(arg, torch.cat([kept, torch.tensor([500])])[position])
    soft = raw.scatter_softmax(x, index, 40, False)
    same(soft[:, kept], raw.scatter_softmax(inside, at, 40, True))
    left_out = ((index < 0) | (index >= 40)).nonzero().flatten()
    assert (soft[:, left_out] == 0).all()
    back = raw.softmax_backward(soft, x, index, 40)
    same(back[:, kept], raw.softmax_backward(soft[:, kept], inside, at, 40))
    same(raw.scatter_logsumexp(x, index, 40, False), raw.scatter_logsumexp(inside, at, 40, True))
    for name in ("scatter_sum", "scatter_softmax", "scatter_logsumexp"):
        with pytest.raises(IndexError, match=r"index\[\d+\] = "):
            getattr(raw, name)(x, index, 40, True)
    with pytest.raises(IndexError, match=r"index\[\d+\] = "):
        raw.scatter_extremum(x, index, 40, True, True)


@pytest.mark.parametrize("inner", [1, 8, 40])
def test_threads_do_not_change_a_bit(inner):
    x, index = torch.randn(1, 20000, inner), torch.randint(300, (20000,))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            soft = raw.scatter_softmax(x, index, 300, True)
            found.append(
                (
                    raw.scatter_sum(x, index, 300, True),
                    soft,
                    raw.softmax_backward(soft, x, index, 300),
                    raw.scatter_logsumexp(x, index, 300, True),
                    *raw.scatter_extremum(x, index, 300, True, True),
                )
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
