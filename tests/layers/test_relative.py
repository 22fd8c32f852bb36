import pytest
import torch

from geoops.layers import PairGeometry, RelativeAttention, RelativeBlock, Rotations


@pytest.fixture
def scene():
    torch.manual_seed(0)
    pos, tokens = torch.randn(2, 5, 2).double(), torch.randn(2, 7, 2).double()
    normal = torch.nn.functional.normalize(torch.randn(2, 7, 2).double(), dim=-1)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 5:] = False
    weight = torch.randn(2, 7).double()
    return pos, tokens, normal, weight, mask


def build(heads=2, width=8):
    rotations = Rotations(2, heads, width // heads, 2.0).double()
    attention = RelativeAttention(6, 4, width, heads).double()
    torch.nn.init.normal_(attention.bias, std=0.1)
    return rotations, attention


def test_equals_the_pairwise_formula(scene):
    pos, tokens, normal, weight, mask = scene
    rotations, attention = build()
    h, t = torch.randn(2, 5, 6).double(), torch.randn(2, 7, 4).double()
    got = attention(h, t, rotations(pos), rotations(tokens), PairGeometry(pos, tokens, normal, weight, mask))

    d = pos[:, :, None] - tokens[:, None]
    r2 = d.square().sum(-1)
    c = (d * normal[:, None]).sum(-1) / (r2 + 1e-4).sqrt()
    features = torch.stack([r2, (r2 + 1e-3).log(), (r2 + 3e-2).log(), c, c**2], -1)
    angle = (d @ rotations.freq).unflatten(-1, (2, 2))

    def turn(x, angle):
        a, b = x.unflatten(-1, (2, 2, 2)).unbind(-1)
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    q = turn(attention.to_q(h)[:, :, None].expand(-1, -1, 7, -1), angle)
    k = attention.to_k(t)[:, None].unflatten(-1, (2, 4))
    logits = (q * k).sum(-1) / 2 + features @ attention.bias.T + weight[:, None, :, None]
    alpha = logits.masked_fill(~mask[:, None, :, None], -torch.inf).softmax(2)
    v = turn(attention.to_v(t)[:, None].expand(-1, 5, -1, -1), -angle)
    expected = attention.to_out((alpha[..., None] * v).sum(2).flatten(2))
    torch.testing.assert_close(got, expected)


def test_sees_differences_of_positions_only(scene):
    pos, tokens, normal, weight, mask = scene
    rotations, _ = build()
    block = RelativeBlock(8, 4, 2).double()
    h, t = torch.randn(2, 5, 8).double(), torch.randn(2, 7, 4).double()
    shift = torch.tensor([3.0, -7.0]).double()

    def run(by):
        x, y = pos + by, tokens + by
        return block(h, t, rotations(x), rotations(y), PairGeometry(x, y, normal, weight, mask))

    torch.testing.assert_close(run(0 * shift), run(shift), atol=1e-10, rtol=0)


def test_tokens_prepared_once_serve_any_queries(scene):
    pos, tokens, normal, weight, mask = scene
    rotations, _ = build()
    block = RelativeBlock(8, 4, 2).double()
    h, t = torch.randn(2, 5, 8).double(), torch.randn(2, 7, 4).double()
    pairs = PairGeometry(pos, tokens, normal, weight, mask)
    prepared = block.attention.rotated_tokens(t, rotations(tokens))
    torch.testing.assert_close(
        block.read(h, prepared, rotations(pos), pairs), block(h, t, rotations(pos), rotations(tokens), pairs)
    )


def test_gradients_of_first_and_second_order(scene):
    pos, tokens, normal, weight, mask = scene
    rotations, attention = build()
    pairs = PairGeometry(pos, tokens, normal, weight, mask)
    h, t = torch.randn(2, 5, 6).double().requires_grad_(), torch.randn(2, 7, 4).double().requires_grad_()

    def run(h, t):
        return attention(h, t, rotations(pos), rotations(tokens), pairs)

    assert torch.autograd.gradcheck(run, (h, t))
    assert torch.autograd.gradgradcheck(run, (h, t))


def test_half_precision_inputs_keep_the_positions_exact(scene):
    pos, tokens, normal, weight, mask = (v.float() if v.is_floating_point() else v for v in scene)
    rotations, attention = build()
    rotations, attention = rotations.float(), attention.float()
    h, t = torch.randn(2, 5, 6), torch.randn(2, 7, 4)
    with torch.autocast("cpu", torch.bfloat16):
        pairs = PairGeometry(pos, tokens, normal, weight, mask)
        low = attention(h, t, rotations(pos), rotations(tokens), pairs)
    full = attention(h, t, rotations(pos), rotations(tokens), pairs)
    assert pairs.features.dtype == torch.float32
    torch.testing.assert_close(low.float(), full, atol=0.05, rtol=0.05)


def test_bad_widths_are_refused():
    with pytest.raises(ValueError, match="even number of channels"):
        Rotations(2, 2, 3, 1.0)
    with pytest.raises(ValueError, match="heads must divide"):
        RelativeAttention(4, 4, 9, 2)
