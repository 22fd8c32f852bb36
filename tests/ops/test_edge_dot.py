import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import edge_dot


def draw(edges=40, sources=5, targets=7, channels=3, dtype=torch.float64, device="cpu", index=torch.int64):
    x = torch.randn(sources, channels, dtype=dtype, device=device)
    y = torch.randn(targets, channels, dtype=dtype, device=device)
    src = torch.randint(sources, (edges,), dtype=index, device=device)
    dst = torch.randint(targets, (edges,), dtype=index, device=device)
    return x, y, src, dst


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
@pytest.mark.parametrize("channels", [1, 3, 8, 33, 100])
def test_equals_a_loop_over_the_edges(device, dtype, tolerance, index, channels):
    x, y, src, dst = draw(channels=channels, dtype=dtype, device=device, index=index)
    expected = torch.stack([x[s] @ y[d] for s, d in zip(src, dst, strict=True)])
    torch.testing.assert_close(edge_dot(x, y, src, dst), expected, **tolerance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.integers(1, 9), st.integers(1, 9), st.integers(0, 40))
def test_samples_a_matrix_product(edges, sources, targets, channels):
    x, y, src, dst = draw(edges, sources, targets, channels)
    torch.testing.assert_close(edge_dot(x, y, src, dst), (x @ y.T)[src.long(), dst.long()])


def test_empty(device):
    assert edge_dot(*draw(edges=0, device=device)).shape == (0,)
    assert not edge_dot(*draw(channels=0, device=device)).any()


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_sixteen_bits_accumulate_in_thirty_two(device, half):
    x = torch.ones(1, 4096, dtype=half, device=device)
    index = torch.zeros(1, dtype=torch.int32, device=device)
    out = edge_dot(x, x, index, index)
    assert out.dtype == half
    assert out.tolist() == [4096.0]


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_derivatives_of_first_and_second_order(device, index):
    x, y, src, dst = draw(edges=9, device=device, index=index)
    x.requires_grad_()
    y.requires_grad_()
    assert gradcheck(edge_dot, (x, y, src, dst))
    assert gradgradcheck(edge_dot, (x, y, src, dst))


def test_every_kind_of_derivative(check_derivatives):
    x, y, src, dst = draw()
    check_derivatives(lambda x, y: edge_dot(x, y, src[:9], dst[:9]), x, y)


def test_opcheck(device, dtype):
    x, y, src, dst = draw(dtype=dtype, device=device)
    arguments = (x[:, None].requires_grad_(), y[:, None].requires_grad_(), src, dst, True)
    torch.library.opcheck(torch.ops.geoops.edge_dot.default, arguments)


@pytest.mark.compile
def test_compiles_into_one_graph(device):
    def energy(x, y, src, dst):
        return edge_dot(x.sin(), y, src, dst).square().sum()

    x, y, src, dst = draw(device=device)
    inputs = [x.requires_grad_(), y.requires_grad_()]
    actual, expected = (
        torch.compile(energy, fullgraph=True, backend="aot_eager")(x, y, src, dst),
        energy(x, y, src, dst),
    )
    torch.testing.assert_close(actual, expected)
    for a, b in zip(torch.autograd.grad(actual, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("unchecked")
class TestBadInput:
    @pytest.mark.parametrize(("name", "bad", "bound"), [("src", 5, 5), ("src", -1, 5), ("dst", 7, 7)])
    def test_an_index_out_of_bounds(self, name, bad, bound):
        x, y, src, dst = draw()
        {"src": src, "dst": dst}[name][4] = bad
        with pytest.raises(IndexError, match=rf"edge_dot: {name}\[4\] = {bad} is outside \[0, {bound}\)"):
            edge_dot(x, y, src, dst)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"y": torch.ones(7)}, ValueError, r"y of shape \(nodes, channels\) or .*, got \(7,\)"),
            ({"y": torch.ones(7, 2, dtype=torch.float64)}, ValueError, r"x has 3 channels and y has 2"),
            ({"y": torch.ones(7, 3)}, TypeError, r"x is torch.float64 and y is torch.float32"),
            ({"dst": torch.zeros(39, dtype=torch.int64)}, ValueError, r"src has 40 edges and dst has 39"),
        ],
    )
    def test_what_does_not_fit(self, change, error, message):
        x, y, src, dst = draw()
        arguments = {"x": x, "y": y, "src": src, "dst": dst} | change
        with pytest.raises(error, match=message):
            edge_dot(**arguments)
        with pytest.raises((ValueError, TypeError), match="edge_dot"):  # the raw op is safe too
            torch.ops.geoops.edge_dot(*arguments.values(), True)
