"""What tests of ops share: derivatives in every way that torch has of taking them, and clouds of points with a loop over
all pairs that searches for neighbours are compared with.
"""

import math

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck


def _check(function, *inputs):
    """Compares reverse mode, forward mode and their batched and second-order forms with finite differences and each other."""
    inputs = [x.detach().double().requires_grad_() for x in inputs]
    assert gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert gradgradcheck(function, inputs, check_fwd_over_rev=True)

    def energy(x):
        return function(x, *(y.detach() for y in inputs[1:])).sin().sum()

    x = inputs[0].detach()
    expected = torch.autograd.functional.hessian(energy, x)
    for hessian in (torch.func.hessian(energy), torch.func.jacrev(torch.func.jacrev(energy))):
        torch.testing.assert_close(hessian(x), expected)
    batch = torch.stack([x, x.flip(0), 0.5 * x])
    rows = torch.stack([torch.func.grad(energy)(row) for row in batch])
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(energy))(batch), rows)
    shared = [None for _ in inputs[1:]]
    values = torch.func.vmap(function, (0, *shared))(batch, *inputs[1:])
    torch.testing.assert_close(values[1], function(batch[1], *inputs[1:]))


@pytest.fixture
def check_derivatives():
    return _check


INF = math.inf


def _draw(n, dim, kind="uniform", dtype=torch.float32, device="cpu"):
    x = torch.rand(n, dim, dtype=dtype, device=device)
    return {
        "uniform": x,
        "lattice": (x * 4).floor(),
        "one place": torch.ones_like(x),
        "line": x[:, :1].expand(n, dim) * torch.arange(1, dim + 1, dtype=dtype, device=device),
        "clusters": (x * 3).floor() + 1e-3 * torch.rand_like(x),
        "far away": x + 1e6,
        "large": (x - 0.5) * 1e15,
    }[kind]


def _reference(x, y, bx, by, k=None, r=INF, loop=True, box=None):
    """Loops over pairs in numpy's arithmetic of the same dtype."""
    x, y = x.numpy(), y.numpy()
    kind = x.dtype.type
    pairs = []
    for j in range(len(y)):
        found = []
        for i in range(len(x)):
            if bx[i] != by[j] or (not loop and i == j):
                continue
            total = kind(0)
            for d in range(x.shape[1]):
                off = abs(kind(x[i, d] - y[j, d]))
                if box is not None and box[d] < INF:
                    side = kind(box[d])
                    wrapped = [kind(np.mod(v, side)) for v in (x[i, d], y[j, d])]
                    off = abs(kind(wrapped[0] - wrapped[1]))
                    off = min(off, kind(side - off))
                total = kind(total + kind(off * off))
            if total <= kind(r) * kind(r):
                found.append((total, i))
        if k is not None:
            found = sorted(found)[:k]
        pairs += [(j, i) for _, i in found]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T


@pytest.fixture(scope="session")
def draw():
    """Points of some kind: spread out, on a lattice, all in one place."""
    return _draw


@pytest.fixture(scope="session")
def reference():
    return _reference
