import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoops.ops import fps
from geoops.ops._fps import _fps_torch

KINDS = ["uniform", "lattice", "one place", "line", "clusters", "far away", "large"]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 400),
    st.integers(1, 5),
    st.sampled_from(KINDS),
    st.integers(1, 4),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 60),
    st.booleans(),
)
def test_equals_the_greedy_algorithm(draw, n, dim, kind, examples, dtype, number, start):
    x = draw(n, dim, kind, dtype)
    batch = torch.randint(examples, (n,)).sort().values
    priority = torch.rand(n, dtype=dtype) if start else None
    op = torch.ops.geoops.fps.default
    assert torch.equal(op(x, batch, priority, 0.0, number), _fps_torch(x, batch, priority, 0.0, number))
    assert torch.equal(op(x, batch, priority, 0.3, -1), _fps_torch(x, batch, priority, 0.3, -1))


@pytest.mark.parametrize("kind", ["uniform", "lattice", "clusters"])
def test_every_device_chooses_the_same(draw, device, dtype, kind):
    x, batch = draw(5000, 3, kind, dtype), torch.arange(5000) // 700
    assert torch.equal(fps(x.to(device), ratio=0.1).cpu(), fps(x, ratio=0.1))
    assert torch.equal(fps(x.to(device), batch.to(device), number=40).cpu(), fps(x, batch, number=40))


def test_many_points(draw):
    x = draw(20000, 3)
    assert torch.equal(fps(x, number=300), _fps_torch(x, None, None, 0.0, 300))


@pytest.mark.parametrize("kind", ["uniform", "lattice", "one place"])
def test_all_points_are_taken_once(draw, device, dtype, kind):
    x = draw(500, 3, kind, dtype, device)
    assert torch.equal(fps(x, number=1000).sort().values, torch.arange(500, device=device))
    assert fps(x, ratio=0.1).shape == (50,)


def test_distances_never_grow(draw, device):
    x = draw(800, 2, device=device)
    chosen = x[fps(x, number=100)]
    away = torch.cdist(chosen, chosen)
    gaps = torch.stack([away[i, :i].min() for i in range(1, 100)])
    assert (gaps.diff() <= 1e-6).all()


def test_batches_and_shares(draw, device):
    x = draw(30, 3, device=device)
    batch = torch.tensor([0] * 7 + [4] * 23, device=device)
    chosen = fps(x, batch, ratio=0.5)
    assert batch[chosen].tolist() == [0] * 4 + [4] * 12
    assert chosen[0] == 0
    assert chosen[4] == 7
    assert fps(x, batch, number=10).shape == (17,)
    assert fps(x[:0], ratio=0.5).shape == (0,)
    assert fps(x, number=0).shape == (0,)


def test_random_start_follows_the_generator(draw):
    x, batch = draw(200, 3), torch.arange(200) // 100
    runs = [fps(x, batch, number=5, random_start=True, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert batch[runs[0]].tolist() == [0] * 5 + [1] * 5


def test_bad_input(unchecked):
    x = torch.rand(5, 3)
    for wrong, error, words in [
        (lambda: fps(x), ValueError, "either a ratio or a number"),
        (lambda: fps(x, ratio=0.5, number=2), ValueError, "either a ratio or a number"),
        (lambda: fps(x, ratio=1.5), ValueError, "ratio in"),
        (lambda: fps(x, ratio=math.nan), ValueError, "ratio in"),
        (lambda: fps(x, number=-1), ValueError, "number of points"),
        (lambda: fps(x.half(), number=1), TypeError, "float32"),
        (lambda: fps(x * math.nan, number=1), ValueError, r"x\[0, 0\]"),
        (lambda: fps(x, torch.tensor([1, 0, 0, 0, 0]), number=1), ValueError, "ascending"),
        (lambda: torch.ops.geoops.fps(x, None, x[:2, 0], 0.0, 1), ValueError, "priority"),
    ]:
        with pytest.raises(error, match=words):
            wrong()


def test_opcheck():
    x = torch.rand(30, 3)
    torch.library.opcheck(torch.ops.geoops.fps.default, (x, None, None, 0.5, -1))
    torch.library.opcheck(torch.ops.geoops.fps.default, (x, torch.arange(30) // 10, x[:, 0], 0.0, 4))


@pytest.mark.compile
def test_compiles_whole():
    x = torch.rand(60, 3)
    compiled = torch.compile(lambda x: x[fps(x, ratio=0.2)] * 2, fullgraph=True, dynamic=True)
    assert torch.equal(compiled(x), x[fps(x, ratio=0.2)] * 2)
