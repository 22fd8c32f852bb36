import pytest
import torch

from geoops.layers import LinearAttention, LinearAttentionOperator


def test_attention_is_the_formula(device, dtype, tolerance):
    net = LinearAttention(8, 2).to(device, dtype)
    x, y = torch.randn(3, 5, 8, device=device, dtype=dtype), torch.randn(3, 7, 8, device=device, dtype=dtype)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        q, k, v = net.query(x)[..., part].softmax(-1), net.key(y)[..., part].softmax(-1), net.value(y)[..., part]
        weight = torch.einsum("bic,bjc->bij", q, k)
        heads.append(weight / weight.sum(-1, keepdim=True) @ v + q)
    torch.testing.assert_close(net(x, y), net.out(torch.cat(heads, -1)), **tolerance)


def test_published_size():
    net = LinearAttentionOperator(64, 3, 128)
    assert sum(p.numel() for p in net.parameters()) == 1_583_490


@pytest.mark.parametrize("gate", ["lattice", "state"])
@pytest.mark.parametrize("branch", ["lattice", "state"])
def test_operator(branch, gate, device, dtype, tolerance):
    net = LinearAttentionOperator(5, 2, 3, width=16, layers=2, branch=branch, gate=gate).to(device, dtype).eval()
    z, c = torch.randn(2, 9, 5, device=device, dtype=dtype), torch.rand(2, 9, 2, device=device, dtype=dtype)
    out = net(z, c)
    assert out.shape == (2, 9, 3)
    torch.testing.assert_close(net(z[1:], c[1:]), out[1:], **tolerance)
    order = torch.randperm(9)
    torch.testing.assert_close(net(z[:, order], c[:, order]), out[:, order], **tolerance)
    assert net(z[:0], c[:0]).shape == (0, 9, 3)
    net.train()(z, c).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad.isfinite().all(), name
        assert p.grad.abs().sum() > 0, name


def test_cross_attention_of_the_published_branch_carries_no_state():
    """Defect 11: what the branch holds is the same for all states."""
    z, c = torch.randn(2, 1, 9, 5), torch.rand(1, 9, 2)
    held = {}
    for branch in ("lattice", "state"):
        net = LinearAttentionOperator(5, 2, 3, width=16, branch=branch)
        seen = []
        net.branch.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        for state in z:
            net(state, c)
        held[branch] = torch.equal(*seen)
    assert held == {"lattice": True, "state": False}


def test_options_that_do_not_fit(unchecked):
    with pytest.raises(ValueError, match=r'expected branch "lattice" or "state", got \'both\''):
        LinearAttentionOperator(5, 2, 3, branch="both")
    with pytest.raises(ValueError, match="expected heads that divide the width 16, got 3"):
        LinearAttentionOperator(5, 2, 3, width=16, heads=3)


@pytest.mark.parametrize(("gate", "sees_state"), [("lattice", False), ("state", True)])
def test_the_gate_reads_what_it_is_told(gate, sees_state):
    """Defect 11: which expert is taken depends on the state in the published code, on the place here."""
    net = LinearAttentionOperator(5, 2, 3, width=16, branch="state", gate=gate)
    seen = []
    net.blocks[0].gate.register_forward_hook(lambda _, __, out: seen.append(out))
    c = torch.rand(1, 9, 2)
    for _ in range(2):
        net(torch.randn(1, 9, 5), c)
    assert torch.equal(*seen) != sees_state
    net(torch.zeros(1, 9, 5), c)
    net(torch.zeros(1, 9, 5), c.flip(1))
    assert torch.equal(seen[-2], seen[-1]) == sees_state


def test_dropout_is_in_training_alone():
    net = LinearAttentionOperator(5, 2, 3, width=16, dropout=0.3)
    z, c = torch.randn(1, 9, 5), torch.rand(1, 9, 2)
    assert not torch.equal(net(z, c), net(z, c))
    net.eval()
    assert torch.equal(net(z, c), net(z, c))
    calm = LinearAttentionOperator(5, 2, 3, width=16, dropout=0.0)
    assert torch.equal(calm(z, c), calm(z, c))
