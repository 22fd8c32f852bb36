import pytest
import torch

from geoops.layers import PhysicsAttention, SliceTokens


def test_attention_is_the_published_one():
    """The formula of the paper, written out for one shape and one head."""
    torch.manual_seed(0)
    attention = PhysicsAttention(hidden=6, heads=1, slices=3).double()
    h = torch.randn(1, 10, 6, dtype=torch.float64)
    mask = torch.tensor([[True] * 8 + [False] * 2])
    w = (attention.slice(attention.assign(h)) / attention.temperature[0]).softmax(-1)[0, :8]
    z = torch.stack([(w[:, g, None] * attention.value(h)[0, :8]).sum(0) / (w[:, g].sum() + 1e-5) for g in range(3)])
    scores = attention.to_q(z) @ attention.to_k(z).T / 6**0.5
    expected = attention.out(w @ (scores.softmax(-1) @ attention.to_v(z)))
    weights = attention.weights(h)
    got = attention.read(weights, attention.tokens(h, weights, mask))[0, :8]
    torch.testing.assert_close(got, expected)


def test_tokens_see_real_nodes_only_and_points_do_not_see_each_other():
    slices = SliceTokens(features=3, hidden=8, content=6, heads=2, slices=4).double()
    nodes, y = torch.randn(2, 9, 3).double(), torch.randn(2, 5, 6).double()
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    tokens = slices.tokens(nodes, mask)
    assert tokens.shape == (2, 2, 4, 4)
    torch.testing.assert_close(slices.tokens(nodes[1:, :6], mask[1:, :6]), tokens[1:])
    torch.testing.assert_close(slices(y[:, 1:3], tokens), slices(y, tokens)[:, 1:3])
    torch.testing.assert_close(slices.tokens(nodes.flip(1), mask.flip(1)), tokens)


@pytest.mark.parametrize("options", [{"slices": 0}, {"heads": 3}])
def test_bad_sizes_are_refused(options):
    with pytest.raises(ValueError, match="slices must be positive and heads divide hidden"):
        SliceTokens(**{"features": 3, "hidden": 8, "content": 6, "heads": 2, "slices": 4, **options})
