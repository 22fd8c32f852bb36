import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.ops import info, scatter, scatter_std

REDUCES = ["sum", "mean", "min", "max", "mul"]
INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]
REDUCED = {torch.bfloat16: 2**-8, torch.float16: 2**-11}


def reference(src, index, dim, size, reduce):
    """A loop over all entries, in float64 or int64."""
    wide = torch.float64 if src.is_floating_point() else torch.int64
    shape = list(src.shape)
    shape[dim] = size
    index = index.expand(src.shape) if index.ndim == src.ndim else index
    out = torch.full(shape, 1 if reduce == "mul" else 0, dtype=wide)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in shape)).reshape(-1, len(shape)).tolist():
        line = tuple(slice(None) if d == dim else i for d, i in enumerate(place))
        mask = (index if index.ndim == 1 else index[line]) == place[dim]
        some = src[line][mask].to(wide)
        if reduce == "sum":
            out[tuple(place)] = some.sum()
        elif reduce == "mul":
            out[tuple(place)] = some.prod()
        elif len(some):
            mean = some.sum() / len(some) if src.is_floating_point() else some.sum() // len(some)
            out[tuple(place)] = {"mean": mean, "min": some.min(), "max": some.max()}[reduce]
    return out


def draw(shape, dim, size, dtype=torch.float64, index_dtype=torch.int64):
    src = torch.randn(shape).to(dtype) if dtype.is_floating_point else torch.randint(0, 5, shape).to(dtype)
    return src, torch.randint(size, (shape[dim],), dtype=index_dtype)


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize(
    ("shape", "dim"), [((30,), 0), ((30, 1), 0), ((20, 3), 0), ((2, 20, 5), 1), ((3, 25), 1), ((2, 3, 9, 21), 2)]
)
def test_equals_a_loop(device, dtype, tolerance, reduce, shape, dim):
    src, index = draw(shape, dim, 6, dtype, torch.int32 if dim else torch.int64)
    out = scatter(src.to(device), index.to(device), dim, 7, reduce)
    torch.testing.assert_close(out.cpu().double(), reference(src, index, dim, 7, reduce), **tolerance)


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("kind", INTEGERS)
def test_integers(device, reduce, kind):
    src, index = draw((12, 3), 0, 6, kind)
    out = scatter(src.to(device), index.to(device), 0, 7, reduce)
    assert out.dtype == kind
    assert torch.equal(out.cpu(), reference(src, index, 0, 7, reduce).to(kind))


@pytest.mark.parametrize("half", list(REDUCED))
def test_sixteen_bits_accumulate_in_thirty_two(device, half):
    index = torch.zeros(4096, dtype=torch.int64, device=device)
    assert scatter(torch.ones(4096, dtype=half, device=device), index).tolist() == [4096.0]
    src, index = draw((40, 5), 0, 6, half)
    for reduce in REDUCES:
        out = scatter(src.to(device), index.to(device), 0, 6, reduce)
        assert out.dtype == half
        torch.testing.assert_close(out.cpu().double(), reference(src, index, 0, 6, reduce), rtol=REDUCED[half], atol=1e-5)


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("index_shape", [(2, 9, 1), (2, 9, 4), (1, 9, 4), (1, 9, 1), (2, 9)])
def test_an_index_that_varies(device, reduce, index_shape):
    src = torch.randn(2, 9, 4, device=device)
    index = torch.randint(5, index_shape, device=device)
    whole = index.reshape(*index_shape, *(1 for _ in range(3 - index.ndim))).expand(2, 9, 4)
    out = scatter(src, index, 1, 5, reduce)
    torch.testing.assert_close(out.cpu().double(), reference(src.cpu(), whole.cpu(), 1, 5, reduce), rtol=1e-5, atol=1e-6)
    if reduce in ("min", "max"):
        value, arg = scatter(src, index, 1, 5, reduce, return_arg=True)
        found = arg < 9
        torch.testing.assert_close(src.gather(1, arg.clamp(max=8))[found], value[found])
        target = torch.arange(5, device=device)[None, :, None].expand(arg.shape)
        assert torch.equal(whole.gather(1, arg.clamp(max=8))[found], target[found])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 3000), st.integers(1, 40), st.integers(0, 70), st.sampled_from(REDUCES))
def test_against_torch(outer, entries, size, inner, reduce):
    src = torch.randn(outer, entries, inner)
    index = torch.randint(size, (entries,))
    kind = {"min": "amin", "max": "amax", "mul": "prod"}.get(reduce, reduce)
    start = torch.full((outer, size, inner), 1.0 if reduce == "mul" else 0.0)
    where = index[None, :, None].expand(src.shape)
    expected = start.scatter_reduce(1, where, src, kind, include_self=reduce in ("sum", "mul"))
    torch.testing.assert_close(scatter(src, index, 1, size, reduce), expected, rtol=1e-4, atol=1e-4)


class TestExtrema:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int8, torch.int64])
    @pytest.mark.parametrize("inner", [1, 3, 8, 37, 64])
    def test_the_first_of_equals(self, device, dtype, inner):
        src = torch.randint(0, 3, (200, inner)).to(dtype).to(device)
        index = torch.randint(5, (200,), device=device)
        value, arg = scatter(src, index, 0, 6, "max", return_arg=True)
        for i in range(5):
            mine = (index == i).nonzero().flatten()
            for c in range(inner):
                assert arg[i, c] == mine[src[mine, c] == value[i, c]][0]
        assert (arg[5] == 200).all()
        assert not value[5].any()

    @pytest.mark.parametrize("inner", [1, 20])
    def test_nan_wins_and_infinity_counts(self, device, inner):
        src = torch.tensor([1.0, float("nan"), 3.0, float("nan"), -torch.inf, torch.inf], device=device)
        src = src[:, None].repeat(1, inner)
        index = torch.tensor([0, 0, 0, 0, 1, 2], device=device)
        value, arg = scatter(src, index, 0, 3, "max", return_arg=True)
        assert value[0].isnan().all()
        assert arg[:, 0].tolist() == [1, 4, 5]
        value, arg = scatter(src, index, 0, 3, "min", return_arg=True)
        assert arg[:, -1].tolist() == [1, 4, 5]

    def test_smallest_integer_counts(self, device):
        src = torch.tensor([-128, 5], dtype=torch.int8, device=device)
        value, arg = scatter(src, torch.tensor([0, 1], device=device), reduce="max", return_arg=True)
        assert value.tolist() == [-128, 5]
        assert arg.tolist() == [0, 1]


@pytest.mark.parametrize("reduce", REDUCES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 0), (2, 0, 3), (0, 5, 2)])
def test_empty(device, reduce, shape):
    dim = min(1, len(shape) - 1) if len(shape) == 3 else 0
    src = torch.zeros(shape, device=device)
    out = scatter(src, torch.zeros(shape[dim], dtype=torch.int64, device=device), dim, 4, reduce)
    expected = list(shape)
    expected[dim] = 4
    assert list(out.shape) == expected
    if shape[dim] == 0:
        assert (out == (1 if reduce == "mul" else 0)).all()


def test_size_is_found_from_the_index(device):
    index = torch.tensor([0, 4, 1], device=device)
    assert scatter(torch.ones(3, device=device), index).tolist() == [1, 1, 0, 0, 1]
    assert scatter(torch.ones(0, device=device), index[:0]).shape == (0,)


@pytest.mark.parametrize("reduce", REDUCES)
def test_bits_do_not_depend_on_the_threads(reduce):
    src, index = draw((30_000, 9), 0, 333, torch.float32)
    for x in (src, src[:, 0].contiguous(), src.view(3, 10_000, 9)):
        dim = x.ndim - 2 if x.ndim > 1 else 0
        alone = scatter(x, index[: x.shape[dim]], dim, 333, reduce)
        try:
            for threads in (2, 3, 8):
                torch.set_num_threads(threads)
                assert torch.equal(scatter(x, index[: x.shape[dim]], dim, 333, reduce), alone)
        finally:
            torch.set_num_threads(1)


def test_strides_and_negative_dim(device):
    src = torch.randn(6, 5, 4, device=device)
    index = torch.randint(3, (5,), device=device)
    torch.testing.assert_close(scatter(src.transpose(0, 2), index, -2, 3), scatter(src, index, 1, 3).transpose(0, 2))


@pytest.mark.parametrize("reduce", REDUCES)
def test_derivatives(check_derivatives, reduce):
    index = torch.tensor([0, 3, 0, 1, 3, 3, 0])
    check_derivatives(lambda x: scatter(x, index, 0, 5, reduce), torch.randn(7, 2))
    check_derivatives(lambda x: scatter(x, index[None], 1, 4, reduce), torch.randn(2, 7))


def test_derivatives_of_products_at_zeros(check_derivatives):
    x = torch.tensor([2.0, 0.0, 3.0, 0.0, 0.0, 5.0], dtype=torch.float64)
    index = torch.tensor([0, 0, 0, 1, 1, 1])
    check_derivatives(lambda x: scatter(x, index, 0, 2, "mul"), x)


def test_third_derivative_of_a_product():
    x = torch.tensor([2.0, 3.0, 5.0], dtype=torch.float64, requires_grad=True)
    y = scatter(x, torch.zeros(3, dtype=torch.int64), reduce="mul").sum()
    for i, expected in ((0, 15.0), (1, 5.0), (2, 1.0)):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        y = g[i]
        assert y.item() == expected


def test_derivative_of_std_is_finite_where_it_is_zero(device):
    x = torch.tensor([2.0, 2.0, 1.0, 4.0], device=device, requires_grad=True)
    out = scatter_std(x, torch.tensor([0, 0, 1, 1], device=device))
    torch.testing.assert_close(out[1].item(), 4.5**0.5)
    (g,) = torch.autograd.grad(out.sum(), x)
    assert g[:2].tolist() == [0, 0]
    assert g[2] < 0 < g[3]


@pytest.mark.parametrize("unbiased", [True, False])
def test_std(device, dtype, tolerance, unbiased):
    x = torch.randn(3, 40, dtype=dtype, device=device) + 100
    index = torch.arange(40, device=device) % 4
    out = scatter_std(x, index, 1, unbiased=unbiased)
    expected = torch.stack([x[:, index == i].std(1, unbiased=unbiased) for i in range(4)], 1)
    torch.testing.assert_close(out, expected, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=0)
    assert not scatter_std(x, index, 1, 5)[:, 4].any()


def test_vmap_over_indices():
    x, index = torch.randn(3, 8, 2, dtype=torch.float64), torch.randint(4, (3, 8))
    for reduce in REDUCES:
        out = torch.func.vmap(lambda x, i: scatter(x, i, 0, 4, reduce))(x, index)  # noqa: B023
        torch.testing.assert_close(out, torch.stack([scatter(a, b, 0, 4, reduce) for a, b in zip(x, index, strict=True)]))


@pytest.mark.parametrize(
    ("op", "rest"),
    [("gather", (True,)), ("scatter_sum", (5, True)), ("scatter_mul", (5, True)), ("scatter_extremum", (5, True, True))],
)
def test_opcheck(device, dtype, op, rest):
    index = torch.randint(5, (7,), device=device)
    x = torch.randn(2, 5 if op == "gather" else 7, 3, dtype=dtype, device=device, requires_grad=True)
    torch.library.opcheck(getattr(torch.ops.geoops, op).default, (x, index, *rest))


def test_opcheck_of_positions(device):
    arg = torch.tensor([[[0], [6], [7]]], device=device)
    x = torch.randn(1, 7, 1, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.take.default, (x, arg))
    g = torch.randn(1, 3, 1, device=device, requires_grad=True)
    torch.library.opcheck(torch.ops.geoops.put.default, (g, arg, 7))


@pytest.mark.compile
@pytest.mark.parametrize("reduce", REDUCES)
def test_compiles_into_one_graph(device, reduce):
    def energy(x, index):
        return scatter(x.sin(), index, 0, 5, reduce).square().sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for entries in (12, 7):
        x = torch.randn(entries, 3, device=device, requires_grad=True)
        index = torch.randint(5, (entries,), device=device)
        torch.testing.assert_close(compiled(x, index), energy(x, index))
        (a,), (b,) = torch.autograd.grad(compiled(x, index), x), torch.autograd.grad(energy(x, index), x)
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize("reduce", REDUCES)
    @pytest.mark.parametrize("bad", [-1, 5])
    def test_an_index_out_of_bounds(self, reduce, bad):
        index = torch.tensor([0, 1, bad, 4, bad])
        with pytest.raises(IndexError, match=rf"index\[2\] = {bad} is outside \[0, 5\)"):
            scatter(torch.ones(5, 2), index, 0, 5, reduce)
        with pytest.raises(IndexError, match=rf"index\[2, 0\] = {bad} is outside \[0, 5\)"):
            scatter(torch.ones(5, 2), torch.stack([index, index], 1), 0, 5, reduce)

    @pytest.mark.parametrize("reduce", ["sum", "max"])
    def test_without_the_check_nothing_is_written_outside(self, reduce):
        index = torch.tensor([0, -1, 2**40, 1])
        if info().cpu == "native":  # plain torch raises by itself
            assert scatter(torch.ones(4), index, 0, 3, reduce, check_indices=False).tolist() == [1, 1, 0]

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"index": torch.zeros(4)}, TypeError, r"index of dtype int32, int64, got torch.float32; use index.long\(\)"),
            ({"index": torch.zeros(5, dtype=torch.int64)}, ValueError, r"4 entries along dim 0, got \(5, 1\)"),
            ({"index": torch.zeros(4, 3, dtype=torch.int64)}, ValueError, r"broadcasts to src of shape \(4, 2\)"),
            ({"index": torch.zeros(4, 2, 1, dtype=torch.int64)}, ValueError, r"at most the 2 dimensions of src"),
            ({"src": torch.ones(4, 2, dtype=torch.complex64)}, TypeError, r"floating or integer dtype, got torch.complex64"),
            ({"dim": 2}, ValueError, r"dim in \[-2, 2\)"),
            ({"dim_size": -1}, ValueError, r"dim_size >= 0, got -1"),
            ({"reduce": "median"}, ValueError, r'"sum", "mean", "min", "max" or "mul", got \'median\''),
            ({"return_arg": True}, ValueError, r'return_arg needs reduce "min" or "max", got \'sum\''),
            ({"index": torch.zeros(4, dtype=torch.int64, device="meta")}, ValueError, r"one device, got src on cpu, index on meta"),
        ],
    )
    def test_what_does_not_fit(self, change, error, message):
        arguments = {"src": torch.ones(4, 2), "index": torch.zeros(4, dtype=torch.int64), "dim": 0, "dim_size": 3}
        with pytest.raises(error, match=message):
            scatter(**(arguments | change))

    def test_negative_index_without_a_size(self):
        with pytest.raises(IndexError, match=r"index\[0\] = -3"):
            scatter(torch.ones(2), torch.tensor([-3, -2]))
