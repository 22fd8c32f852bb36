import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import edge_dot, edge_sum

REDUCED = {torch.bfloat16: 2**-8, torch.float16: 2**-11}  # half a unit in the last place, relative


def draw(edges=40, sources=5, targets=7, channels=3, dtype=torch.float64, device="cpu", index=torch.int64):
    x = torch.randn(sources, channels, dtype=dtype, device=device)
    w = torch.randn(edges, dtype=dtype, device=device)
    src = torch.randint(sources, (edges,), dtype=index, device=device)
    dst = torch.randint(targets, (edges,), dtype=index, device=device)
    return x, w, src, dst


def reference(x, w, src, dst, n):
    out = x.new_zeros(n, x.shape[1])
    for e in range(len(src)):
        out[dst[e]] += w[e] * x[src[e]]
    return out


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("channels", [1, 3, 8, 17])
def test_equals_a_loop_over_the_edges(device, dtype, tolerance, index, channels):
    arguments = draw(channels=channels, dtype=dtype, device=device, index=index)
    torch.testing.assert_close(edge_sum(*arguments, 7), reference(*arguments, 7), **tolerance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
def test_equals_a_dense_matrix_product(edges, sources, targets, channels):
    x, w, src, dst = draw(edges, sources, targets, channels)
    matrix = torch.zeros(targets, sources, dtype=x.dtype).index_put_((dst.long(), src.long()), w, accumulate=True)
    torch.testing.assert_close(edge_sum(x, w, src, dst, targets), matrix @ x)


@pytest.mark.parametrize(("edges", "sources", "n", "channels"), [(0, 5, 7, 3), (0, 0, 0, 0), (40, 5, 7, 0), (0, 5, 0, 3)])
def test_empty(device, edges, sources, n, channels):
    out = edge_sum(*draw(edges, max(sources, 1), max(n, 1), channels, device=device), n)
    assert out.shape == (n, channels)
    assert not out.any()


@pytest.mark.parametrize("half", list(REDUCED))
def test_sixteen_bits_accumulate_in_thirty_two(device, half):
    x = torch.ones(1, 2, dtype=half, device=device)
    index = torch.zeros(4096, dtype=torch.int64, device=device)  # a running bfloat16 sum would stop at 256
    out = edge_sum(x, x.new_ones(4096), index, index, 1)
    assert out.dtype == half
    assert out.tolist() == [[4096.0, 4096.0]]
    x, w, src, dst = draw(dtype=half, device=device)
    expected = reference(x.double(), w.double(), src, dst, 7)
    torch.testing.assert_close(edge_sum(x, w, src, dst, 7).double(), expected, rtol=REDUCED[half], atol=1e-5)


def test_strided_inputs(device):
    x, w, src, dst = draw(device=device)
    expected = edge_sum(x, w, src, dst, 7)
    pairs = torch.stack([src, dst], dim=1)
    strided = edge_sum(x.T.contiguous().T, w.repeat_interleave(2)[::2], pairs[:, 0], pairs[:, 1], 7)
    torch.testing.assert_close(strided, expected)


def test_bits_do_not_depend_on_the_threads():
    arguments = draw(edges=60_000, sources=500, targets=333, channels=8, dtype=torch.float32)
    alone = edge_sum(*arguments, 333)
    try:
        for threads in (2, 3, 8):
            torch.set_num_threads(threads)
            assert torch.equal(edge_sum(*arguments, 333), alone)
    finally:
        torch.set_num_threads(1)


def test_dot_is_the_adjoint_of_sum(device, dtype, tolerance):
    x, w, src, dst = draw(dtype=dtype, device=device)
    y = torch.randn(7, 3, dtype=dtype, device=device)
    torch.testing.assert_close((edge_sum(x, w, src, dst, 7) * y).sum(), (w * edge_dot(x, y, src, dst)).sum(), **tolerance)


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_derivatives_of_first_and_second_order(device, index):
    x, w, src, dst = draw(edges=9, device=device, index=index)
    x.requires_grad_()
    w.requires_grad_()
    assert gradcheck(edge_sum, (x, w, src, dst, 7))
    assert gradgradcheck(edge_sum, (x, w, src, dst, 7))


def test_every_kind_of_derivative(check_derivatives):
    x, w, src, dst = draw(edges=9)
    check_derivatives(lambda x, w: edge_sum(x, w, src, dst, 7), x, w)
    check_derivatives(lambda w, x: edge_sum(x, w, src, dst, 7), w, x)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_are_sums_of_their_own(device, dtype, tolerance, heads):
    _, _, src, dst = draw(device=device)
    x = torch.randn(5, heads, 3, dtype=dtype, device=device)
    w = torch.randn(40, heads, dtype=dtype, device=device)
    expected = torch.stack([edge_sum(x[:, h].contiguous(), w[:, h].contiguous(), src, dst, 7) for h in range(heads)], 1)
    torch.testing.assert_close(edge_sum(x, w, src, dst, 7), expected, **tolerance)


def test_third_derivative_against_a_polynomial(device):
    x = torch.tensor([[2.0]], dtype=torch.float64, device=device, requires_grad=True)
    index = torch.zeros(1, dtype=torch.int64, device=device)
    y = edge_sum(x, x[:, 0] ** 2, index, index, 1).sum()  # x^3
    for expected in (12.0, 12.0, 6.0):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        assert y.item() == pytest.approx(expected)
        y = y.sum()


def test_opcheck(device, dtype):
    x, w, src, dst = draw(dtype=dtype, device=device)
    arguments = (x[:, None].requires_grad_(), w[:, None].requires_grad_(), src, dst, 7, True)
    torch.library.opcheck(torch.ops.geoops.edge_sum.default, arguments)


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(x, w, src, dst):
        return edge_sum(x.sin(), w, src, dst, 7).square().sum()

    x, w, src, dst = draw(device=device)
    compiled = torch.compile(energy, fullgraph=True, dynamic=True)
    for edges in (40, 11):
        inputs = [x.clone().requires_grad_(), w[:edges].clone().requires_grad_()]
        rest = (src[:edges], dst[:edges])
        actual, expected = compiled(*inputs, *rest), energy(*inputs, *rest)
        torch.testing.assert_close(actual, expected)
        for a, b in zip(torch.autograd.grad(actual, inputs), torch.autograd.grad(expected, inputs), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize(("name", "position", "bad"), [("src", 3, 5), ("src", 0, -1), ("dst", 39, 7), ("dst", 2, -9)])
    @pytest.mark.parametrize("index", [torch.int32, torch.int64])
    def test_an_index_out_of_bounds(self, name, position, bad, index):
        x, w, src, dst = draw(index=index)
        {"src": src, "dst": dst}[name][position] = bad
        bound = {"src": 5, "dst": 7}[name]
        with pytest.raises(IndexError, match=rf"edge_sum: {name}\[{position}\] = {bad} is outside \[0, {bound}\)"):
            edge_sum(x, w, src, dst, 7)

    def test_the_first_of_many_is_named(self):
        x, w, src, dst = draw(edges=100_000)
        dst[70_001:] = 99
        try:
            torch.set_num_threads(4)
            with pytest.raises(IndexError, match=r"dst\[70001\] = 99"):
                edge_sum(x, w, src, dst, 7)
        finally:
            torch.set_num_threads(1)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"x": torch.ones(5)}, ValueError, r"x of shape \(nodes, channels\) or .*, got \(5,\)"),
            ({"x": torch.ones(5, 3, dtype=torch.int64)}, TypeError, r"x of dtype float32, .* got torch.int64"),
            ({"w": torch.ones(2)}, TypeError, r"x is torch.float64 and w is torch.float32"),
            (
                {"w": torch.ones(39, dtype=torch.float64)},
                ValueError,
                r"one weight for each of 40 edges, got shape \(39,\)",
            ),
            ({"src": torch.zeros(40)}, TypeError, r"src of dtype int32, int64, got torch.float32"),
            ({"src": torch.zeros(40, dtype=torch.int32)}, TypeError, r"src is torch.int32 and dst is torch.int64"),
            ({"src": torch.zeros(8, 5, dtype=torch.int64)}, ValueError, r"src of shape \(edges,\), got \(8, 5\)"),
            ({"dst": torch.zeros(39, dtype=torch.int64)}, ValueError, r"src has 40 edges and dst has 39"),
            (
                {"w": torch.ones(40, dtype=torch.float64, device="meta")},
                ValueError,
                r"one device, got x on cpu, w on meta",
            ),
            ({"n": -1}, ValueError, r"n >= 0, got -1"),
        ],
    )
    def test_what_does_not_fit(self, change, error, message):
        x, w, src, dst = draw()
        with pytest.raises(error, match=message):
            edge_sum(**({"x": x, "w": w, "src": src, "dst": dst, "n": 7} | change))

    @pytest.mark.parametrize(
        "change",
        [
            {0: torch.ones(5)},
            {0: torch.ones(5, 3, dtype=torch.int64)},
            {1: torch.ones(40, 1)},
            {1: torch.ones(39, 1, dtype=torch.float64)},
            {2: torch.zeros(40, dtype=torch.int32)},
            {2: torch.zeros(40, dtype=torch.int16), 3: torch.zeros(40, dtype=torch.int16)},
            {3: torch.zeros(39, dtype=torch.int64)},
            {4: -1},
        ],
    )
    def test_the_raw_op_is_safe_too(self, change):
        x, w, src, dst = draw()
        arguments = {0: x[:, None], 1: w[:, None], 2: src, 3: dst, 4: 7, 5: True} | change
        with pytest.raises((ValueError, TypeError), match="edge_sum"):
            torch.ops.geoops.edge_sum(*arguments.values())
