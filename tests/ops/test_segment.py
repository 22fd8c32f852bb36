import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.ops import gather_coo, gather_csr, scatter, segment_coo, segment_csr

REDUCES = ["sum", "mean", "min", "max", "mul"]
PTR = [0, 0, 3, 3, 20, 60]


def owners(ptr, entries):
    return torch.bucketize(torch.arange(entries), ptr.cpu(), right=True) - 1


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("inner", [(), (1,), (3,), (8,), (21,), (64,), (5, 17)])
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
def test_csr_equals_scatter(device, dtype, tolerance, reduce, inner, index_dtype):
    x = torch.randn(60, *inner, dtype=dtype, device=device)
    ptr = torch.tensor(PTR, device=device, dtype=index_dtype)
    index = owners(ptr, 60).to(device)
    torch.testing.assert_close(segment_csr(x, ptr, reduce), scatter(x, index, 0, 5, reduce), **tolerance)
    if reduce in ("min", "max"):
        ours, theirs = segment_csr(x, ptr, reduce, return_arg=True), scatter(x, index, 0, 5, reduce, return_arg=True)
        assert torch.equal(ours[1], theirs[1])
    ours = segment_coo(x, index.to(index_dtype), 6, reduce)
    torch.testing.assert_close(ours, scatter(x, index, 0, 6, reduce), **tolerance)


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bfloat16, torch.float16])
def test_other_dtypes(device, reduce, kind):
    x = torch.randint(0, 4, (60, 9), device=device).to(kind)
    ptr = torch.tensor(PTR, device=device)
    out = segment_csr(x, ptr, reduce)
    assert out.dtype == kind
    expected = scatter(x, owners(ptr, 60).to(device), 0, 5, reduce)
    torch.testing.assert_close(out, expected, equal_nan=True)


@pytest.mark.parametrize("reduce", REDUCES)
def test_pointers_of_their_own_and_entries_of_none(device, reduce):
    x = torch.randn(2, 3, 10, 4, device=device)
    ptr = torch.tensor([[2, 5, 9], [0, 0, 10]], device=device)[:, None].expand(2, 3, 3)
    out = segment_csr(x, ptr, reduce)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(out[i, j], segment_csr(x[i, j], ptr[i, j], reduce))
    first = {"sum": x[0, 0, 2:5].sum(0), "mean": x[0, 0, 2:5].mean(0), "mul": x[0, 0, 2:5].prod(0)}
    first |= {"min": x[0, 0, 2:5].amin(0), "max": x[0, 0, 2:5].amax(0)}
    torch.testing.assert_close(out[0, 0, 0], first[reduce])
    index = torch.tensor([[0, 0, 1, 3], [2, 2, 2, 2]], device=device)
    coo = segment_coo(x[:, 0, :4], index, 5, reduce)
    torch.testing.assert_close(coo, torch.stack([scatter(x[i, 0, :4], index[i], 0, 5, reduce) for i in range(2)]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=40), st.integers(0, 70), st.integers(1, 3))
def test_sums_of_any_segments(lengths, inner, outer):
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    x = torch.randn(outer, int(ptr[-1]), inner, dtype=torch.float64)
    out = segment_csr(x, ptr[None])
    total = torch.cat([x.new_zeros(outer, 1, inner), x.cumsum(1)], 1)
    torch.testing.assert_close(out, total[:, ptr[1:]] - total[:, ptr[:-1]], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close((gather_csr(out, ptr[None]) * x).sum(), (out * out).sum())


def test_gather_is_the_adjoint(device):
    ptr = torch.tensor([[2, 5, 9]], device=device)
    x, g = torch.randn(3, 10, 4, device=device), torch.randn(3, 2, 4, device=device)
    torch.testing.assert_close((segment_csr(x, ptr) * g).sum(), (gather_csr(g, ptr, 10) * x).sum())
    assert not gather_csr(g, ptr, 10)[:, [0, 1, 9]].any()
    index = torch.tensor([0, 0, 1, 0], device=device)
    assert torch.equal(gather_coo(g, index[None]), g[:, index])
    own = torch.stack([index, index.flip(0), index])
    assert torch.equal(gather_coo(g, own)[1], g[1, own[1]])


@pytest.mark.parametrize("reduce", REDUCES)
def test_empty(device, reduce):
    one = 1 if reduce == "mul" else 0
    assert segment_csr(torch.ones(0, 3, device=device), torch.tensor([0], device=device), reduce).shape == (0, 3)
    assert (segment_csr(torch.ones(0, 3, device=device), torch.tensor([0, 0], device=device), reduce) == one).all()
    assert (segment_coo(torch.ones(0, 3, device=device), torch.zeros(0, dtype=torch.long, device=device), 2, reduce) == one).all()
    assert segment_csr(torch.ones(4, 0, device=device), torch.tensor([0, 4], device=device), reduce).shape == (1, 0)
    assert gather_csr(torch.ones(0, 3, device=device), torch.tensor([0], device=device)).shape == (0, 3)


@pytest.mark.parametrize("reduce", REDUCES)
def test_bits_do_not_depend_on_the_threads(reduce):
    x = torch.randn(30_000, 9)
    ptr = torch.cat([torch.tensor([0]), torch.randint(30_000, (500,)).sort().values, torch.tensor([30_000])])
    alone = segment_csr(x, ptr, reduce)
    line = segment_csr(x[:, 0].contiguous(), ptr, reduce)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert torch.equal(segment_csr(x, ptr, reduce), alone)
            assert torch.equal(segment_csr(x[:, 0].contiguous(), ptr, reduce), line)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("reduce", REDUCES)
def test_derivatives(check_derivatives, reduce):
    ptr = torch.tensor([1, 1, 4, 6])
    check_derivatives(lambda x: segment_csr(x, ptr, reduce), torch.randn(7, 2))
    check_derivatives(lambda x: segment_csr(x, torch.stack([ptr, ptr - 1]), reduce), torch.randn(2, 7))
    index = torch.tensor([0, 0, 0, 2, 2, 3, 3])
    check_derivatives(lambda x: segment_coo(x, index, 4, reduce), torch.randn(7, 2))


def test_derivatives_of_gathers(check_derivatives):
    check_derivatives(lambda x: gather_csr(x, torch.tensor([1, 1, 4, 6]), 7), torch.randn(3, 2))
    check_derivatives(lambda x: gather_coo(x, torch.tensor([2, 0, 0, 1])), torch.randn(3, 2))
    check_derivatives(lambda x: gather_coo(x, torch.tensor([[2, 0], [0, 1]])), torch.randn(2, 3))


@pytest.mark.parametrize(
    ("op", "rest"), [("segment_sum", ()), ("segment_mul", ()), ("segment_extremum", (False,)), ("gather_csr", (7,))]
)
def test_opcheck(device, dtype, op, rest):
    x = torch.randn(2, 3 if op == "gather_csr" else 7, 3, dtype=dtype, device=device, requires_grad=True)
    ptr = torch.tensor([[0, 2, 2, 7]], device=device)
    torch.library.opcheck(getattr(torch.ops.geoops, op).default, (x, ptr, *rest))


def test_opcheck_of_pointers(device):
    index = torch.tensor([[0, 2, 2, 3]], device=device)
    assert torch.ops.geoops.index_to_ptr(index, 5, True).tolist() == [[0, 1, 1, 3, 4, 4]]
    assert torch.ops.geoops.index_to_ptr(torch.tensor([[-1, 0, 2, 5]]), 3, False).tolist() == [[1, 2, 2, 3]]  # of none
    torch.library.opcheck(torch.ops.geoops.index_to_ptr.default, (index, 5, True))


@pytest.mark.compile
@pytest.mark.parametrize("reduce", REDUCES)
def test_compiles_into_one_graph(device, reduce):
    def energy(x, ptr):
        return segment_csr(x.sin(), ptr, reduce).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for entries in (12, 9):
        x = torch.randn(entries, 3, device=device, requires_grad=True)
        ptr = torch.tensor([0, 4, 4, entries], device=device)
        torch.testing.assert_close(compiled(x, ptr), energy(x, ptr))
        (a,), (b,) = torch.autograd.grad(compiled(x, ptr), x), torch.autograd.grad(energy(x, ptr), x)
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize(
        ("ptr", "error", "message"),
        [
            ([0, 5, 3], ValueError, r"ptr in ascending order, but ptr\[2\] = 3 follows 5"),
            ([0, 5, 8], IndexError, r"ptr.*2\] = 8 is outside \[0, 8\)"),
            ([-1, 5, 7], IndexError, r"ptr.*0\] = -1 is outside"),
            ([], ValueError, r"one pointer more than there are segments"),
            ([0.0, 7.0], TypeError, r"indptr of dtype int32, int64, got torch.float32"),
            ([[[0, 7]]], ValueError, r"1 to 2 dimensions"),
        ],
    )
    def test_pointers(self, ptr, error, message):
        ptr = torch.tensor(ptr) if ptr else torch.zeros(0, dtype=torch.int64)
        with pytest.raises(error, match=message):
            segment_csr(torch.ones(7, 2), ptr)

    @pytest.mark.parametrize(
        ("index", "error", "message"),
        [
            ([0, 2, 1], ValueError, r"ascending order, but index\[2\] = 1 follows 2; sort it, or use scatter"),
            ([0, 1, 5], IndexError, r"2\] = 5 is outside \[0, 5\)"),
            ([-1, 1, 2], IndexError, r"0\] = -1 is outside \[0, 5\)"),
            ([0, 1], ValueError, r"3 indices along dim 0 of src, got 2"),
        ],
    )
    def test_indices(self, index, error, message):
        with pytest.raises(error, match=message):
            segment_coo(torch.ones(3, 2), torch.tensor(index), 5)

    def test_gathers(self):
        with pytest.raises(ValueError, match=r"4 pointers for 3 segments, got 2"):
            gather_csr(torch.ones(3), torch.tensor([0, 5]))
        with pytest.raises(IndexError, match=r"index\[1\] = 3 is outside \[0, 3\)"):
            gather_coo(torch.ones(3), torch.tensor([0, 3]))
