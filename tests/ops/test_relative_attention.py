import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from geoops.ops import pair_features, relative_attention

DIFFERENTIABLE = ("q", "k", "v", "offset", "bias")
NAMES = ("q", "k", "v", "x", "y", "normal", "offset", "bias")


def draw(shapes=2, queries=5, heads=2, channels=4, tokens=7, dim=2, dtype=torch.float64, device="cpu"):
    sizes = {
        "q": (shapes, queries, heads, channels),
        "k": (shapes, heads, tokens, channels),
        "v": (shapes, heads, tokens, channels),
        "x": (shapes, queries, dim),
        "y": (shapes, tokens, dim),
        "normal": (shapes, tokens, dim),
        "offset": (shapes, tokens),
        "bias": (heads, 5),
    }
    drawn = {name: torch.randn(size, dtype=dtype, device=device) for name, size in sizes.items()}
    drawn["normal"] = torch.nn.functional.normalize(drawn["normal"], dim=-1)
    return drawn


def reference(q, k, v, x, y, normal, offset, bias):
    """One pair at a time."""
    out = torch.zeros_like(q)
    for b in range(q.shape[0]):
        for i in range(q.shape[1]):
            d = x[b, i] - y[b]
            square = d.square().sum(-1)
            cosine = (d * normal[b]).sum(-1) / (square + 1e-4).sqrt()
            features = torch.stack([square, (square + 1e-3).log(), (square + 3e-2).log(), cosine, cosine**2])
            for h in range(q.shape[2]):
                logits = k[b, h] @ q[b, i, h] / q.shape[-1] ** 0.5 + bias[h] @ features + offset[b]
                out[b, i, h] = logits.softmax(0) @ v[b, h]
    return out


@pytest.mark.parametrize("channels", [1, 4, 16, 20])
@pytest.mark.parametrize("tokens", [1, 7, 16, 50])
def test_equals_a_loop_over_the_pairs(device, dtype, tolerance, channels, tokens):
    given_ = draw(channels=channels, tokens=tokens, dtype=dtype, device=device)
    torch.testing.assert_close(relative_attention(**given_), reference(**given_), **tolerance)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(0, 40), st.integers(1, 3), st.integers(1, 18), st.integers(1, 40), st.integers(1, 3))
def test_any_sizes(shapes, queries, heads, channels, tokens, dim):
    given_ = draw(shapes, queries, heads, channels, tokens, dim)
    torch.testing.assert_close(relative_attention(**given_), reference(**given_))


def test_features_of_pairs(device, dtype, tolerance):
    given_ = draw(dtype=dtype, device=device)
    x, y, normal = given_["x"], given_["y"], given_["normal"]
    d = x[:, :, None] - y[:, None]
    square = d.square().sum(-1)
    cosine = (d * normal[:, None]).sum(-1) * (square + 1e-4).rsqrt()
    expected = torch.stack([square, (square + 1e-3).log(), (square + 3e-2).log(), cosine, cosine.square()])
    torch.testing.assert_close(pair_features(x, y, normal), expected, rtol=10 * tolerance["rtol"], atol=10 * tolerance["atol"])


def test_weights_sum_to_one_and_left_out_tokens_have_none(device, dtype, tolerance):
    given_ = draw(dtype=dtype, device=device)
    given_["offset"][:, 3:] = -1e4
    given_["v"][:, :, 3:] = torch.nan_to_num(given_["v"][:, :, 3:]) + 1e3
    given_["v"][:, :, :3] = 1
    torch.testing.assert_close(relative_attention(**given_), torch.ones_like(given_["q"]), **tolerance)


def test_logits_of_any_size_overflow_nothing(device, dtype):
    given_ = draw(dtype=dtype, device=device)
    given_["offset"] += 1e4
    given_["q"] *= 1e3
    assert relative_attention(**given_).isfinite().all()


def test_a_query_does_not_depend_on_the_others(dtype, tolerance):
    given_ = draw(queries=70, channels=16, tokens=33, dtype=dtype)
    whole = relative_attention(**given_)
    part = given_ | {"q": given_["q"][:, 3:8], "x": given_["x"][:, 3:8]}
    torch.testing.assert_close(relative_attention(**part), whole[:, 3:8], **tolerance)


def test_number_of_threads_does_not_change_the_bits():
    given_ = draw(queries=3000, channels=16, tokens=64, dtype=torch.float32)
    one = relative_attention(**given_)
    torch.set_num_threads(3)
    assert torch.equal(relative_attention(**given_), one)


def test_no_queries(device, dtype):
    assert relative_attention(**draw(queries=0, dtype=dtype, device=device)).shape == (2, 0, 2, 4)
    assert relative_attention(**draw(shapes=0, dtype=dtype, device=device)).shape == (0, 5, 2, 4)


def test_derivatives_of_first_and_second_order(device):
    given_ = draw(shapes=1, queries=3, tokens=4, channels=2, device=device)
    for name in DIFFERENTIABLE:
        given_[name].requires_grad_()
    arguments = tuple(given_[name] for name in NAMES)
    assert gradcheck(relative_attention, arguments)
    assert gradgradcheck(relative_attention, arguments)


def test_derivatives_in_every_mode(check_derivatives, device):
    given_ = draw(shapes=2, queries=3, tokens=4, channels=2, device=device)

    def attend(*values):
        return relative_attention(**given_ | dict(zip(DIFFERENTIABLE, values, strict=True)))

    check_derivatives(attend, *(given_[name] for name in DIFFERENTIABLE))


@pytest.mark.parametrize("batched", [NAMES[:7], ("q", "x"), ("offset",), ("bias",), NAMES])
def test_vmap(batched, device):
    given_ = draw(device=device)
    many = {name: torch.stack([value, 2 * value, value.flip(0)]) for name, value in given_.items() if name in batched}
    out = torch.func.vmap(lambda some: relative_attention(**given_ | some))(many)
    rows = [relative_attention(**given_ | {name: value[i] for name, value in many.items()}) for i in range(3)]
    torch.testing.assert_close(out, torch.stack(rows))


def test_opcheck(device, dtype):
    given_ = draw(dtype=dtype, device=device)
    for name in DIFFERENTIABLE:
        given_[name].requires_grad_()
    torch.library.opcheck(torch.ops.geoops.relative_attention.default, tuple(given_[name] for name in NAMES))


@pytest.mark.compile
def test_compiles_in_one_piece(device):
    given_ = draw(device=device, dtype=torch.float32)
    compiled = torch.compile(lambda **g: relative_attention(**g) + 1, fullgraph=True, dynamic=True)
    torch.testing.assert_close(compiled(**given_), relative_attention(**given_) + 1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        ("q", lambda t: t.half(), TypeError, "expected q of dtype float32 or float64"),
        ("k", lambda t: t.float(), TypeError, "q is torch.float64 and k is torch.float32"),
        ("v", lambda t: t[:, :, 1:], ValueError, r"expected v of shape \(2, 2, 7, 4\)"),
        ("y", lambda t: t[..., :1], ValueError, r"expected y of shape \(2, 7, 2\)"),
        ("offset", lambda t: t[:1], ValueError, r"expected offset of shape \(2, 7\)"),
        ("bias", lambda t: t[:, :4], ValueError, r"expected bias of shape \(2, 5\)"),
        ("q", lambda t: t[0], ValueError, "expected q of shape"),
    ],
)
def test_bad_input(name, change, error, message):
    given_ = draw()
    given_[name] = change(given_[name])
    with pytest.raises(error, match=message):
        relative_attention(**given_)


@pytest.mark.usefixtures("unchecked")
def test_no_tokens():
    with pytest.raises(ValueError, match="no tokens"):
        relative_attention(**draw(tokens=0))
