import pytest
import torch
from torch import nn

from geoops.learning import MuonAdamW
from geoops.learning._optimizers import BatchedMuon, build_optimizer

OPTIONS = {"lr": 0.02, "weight_decay": 0.1, "betas": (0.9, 0.95), "momentum": 0.9}


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))


def train(net, optimizer, steps):
    g = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(steps):
        x = torch.randn(32, 4, generator=g)

        def closure(x=x):
            optimizer.zero_grad()
            loss = (net(x)[:, 0] - x[:, 0] * x[:, 1]).square().mean()
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    return losses


def test_groups_by_kind_of_parameter():
    net = network()
    optimizer = build_optimizer("muon", [(list(net.parameters()), {"mark": 7})], **OPTIONS)
    assert isinstance(optimizer, MuonAdamW)
    kinds = {tuple(p.shape): (g["muon"], g["weight_decay"], g["mark"]) for g in optimizer.param_groups for p in g["params"]}
    assert kinds == {
        (20, 20): (True, 0.1, 7),
        (20, 4): (False, 0.1, 7),
        (1, 20): (False, 0.1, 7),
        (20,): (False, 0.0, 7),
        (1,): (False, 0.0, 7),
    }
    plain = build_optimizer("adamw", [(list(net.parameters()), {})], **OPTIONS)
    assert isinstance(plain, torch.optim.AdamW)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_learns(kind):
    net = network()
    losses = train(net, build_optimizer(kind, [(list(net.parameters()), {})], **OPTIONS), 150)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])


def test_parts_are_those_of_torch():
    """One step equals a step of torch's Muon on the matrices and of AdamW on the rest."""
    one, two = network(), network()
    ours = build_optimizer("muon", [(list(one.parameters()), {})], **OPTIONS)
    matrices, rest, vectors = [two[2].weight], [two[0].weight, two[4].weight], [m.bias for m in two[::2]]
    muon = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(
        [{"params": rest}, {"params": vectors, "weight_decay": 0.0}], lr=0.02, betas=(0.9, 0.95), weight_decay=0.1
    )
    x = torch.randn(16, 4)
    for net in (one, two):
        net(x).square().mean().backward()
    for optimizer in (ours, muon, adamw):
        optimizer.step()
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_batches_of_matrices_take_the_steps_of_torch():
    shapes = [(20, 20), (20, 40), (40, 20), (20, 40), (40, 20), (17, 33)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    optimizers = [
        BatchedMuon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    ]
    start = [p.detach().clone() for p in ours]
    for _ in range(3):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q, at in zip(ours, theirs, start, strict=True):
        assert (p - q).norm() < 0.02 * (q - at).norm()  # bfloat16 inside


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_resumes_exactly(kind, tmp_path):
    whole, part = network(), network()
    optimizer = build_optimizer(kind, [(list(whole.parameters()), {"stages": [0]})], **OPTIONS)
    train(whole, optimizer, 5)
    torch.save({"net": whole.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "c.pt")
    train(whole, optimizer, 5)
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    part.load_state_dict(state["net"])
    resumed = build_optimizer(kind, [(list(part.parameters()), {"stages": [0]})], **OPTIONS)
    resumed.load_state_dict(state["optimizer"])
    train(part, resumed, 5)
    assert all(torch.equal(p, q) for p, q in zip(whole.parameters(), part.parameters(), strict=True))


def test_the_learning_rate_of_groups_reaches_both_parts():
    net = network()
    optimizer = build_optimizer("muon", [(list(net.parameters()), {})], **OPTIONS)
    before = [p.detach().clone() for p in net.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    train(net, optimizer, 1)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))
