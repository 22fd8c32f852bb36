"""Clouds of points and the loop over all pairs that searches for neighbours are compared with."""

import math

import numpy as np
import pytest
import torch

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
