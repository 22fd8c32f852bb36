import pytest
import torch

from geoops.geometry import nearest_samples, neighbourhood
from geoops.models import Decoder, Nearest
from geoops.models._decoder import learned_weights


@torch.no_grad()
def test_loss_is_relative_to_the_way():
    X, queries = torch.rand(60, 2), torch.rand(40, 2)
    x, true = (torch.stack([p + 1, p + 2]) for p in (X, queries))
    assert Nearest(2).loss(X, queries, x, true) < 1e-10
    assert Nearest(2).loss(X, queries, X.expand(2, -1, -1), true) == pytest.approx(1.0)
    assert Nearest(2).loss(X, queries, X[None], queries[None]).isfinite()


def test_chunks_of_queries_and_frames_bound_the_memory():
    X, queries, seen = torch.rand(60, 2), torch.rand(40, 2), []

    class Counting(Decoder):
        def prepare(self, start):
            return None

        def move(self, start, own, samples):
            seen.append(len(samples) * len(start.queries))
            return start.queries.expand(len(samples), -1, -1), own

    Counting(2)(X.expand(30, -1, -1), queries, chunk=100)
    assert max(seen) <= 100
    assert sum(seen) == 30 * 40
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        Nearest(2)(X[None], queries, chunk=0)


def test_shapes_and_bodies_that_do_not_fit(unchecked):
    X, queries = torch.rand(60, 2), torch.rand(40, 2)
    with pytest.raises(ValueError, match=r"Nearest: expected queries of shape \(points, 2\), got \(40, 3\)"):
        Nearest(2).begin(X, torch.rand(40, 3))
    body = torch.zeros(60, dtype=torch.int64)
    with pytest.raises(ValueError, match="a body for each of 60 samples and 40 queries"):
        Nearest(2).begin(X, queries, body, body)


@pytest.mark.parametrize("score", [0.0, 1.0, 30.0, -1e4])
def test_learned_weights_are_positive_and_sum_to_one(score, dtype):
    samples, queries = torch.rand(100, 2, dtype=dtype), torch.rand(200, 2, dtype=dtype)
    weight = neighbourhood(samples, queries, nearest_samples(samples, queries, 10)).weight
    w = learned_weights(weight, score * torch.randn_like(weight).abs())
    assert (w >= 0).all()
    assert (w.sum(1) - 1).abs().max() <= 1e-6


@pytest.mark.parametrize("wrong", [(3, 59, 2), (3, 1, 2), (60, 2)])
def test_samples_are_those_of_the_start(wrong, unchecked):
    state = Nearest(2).begin(torch.rand(60, 2), torch.rand(5, 2))
    with pytest.raises(ValueError, match=r"Nearest: expected samples of shape \(frames, 60, 2\) and torch.float32 as at the start"):
        Nearest(2).place(state, torch.rand(wrong))
    with pytest.raises(ValueError, match=r"got \(3, 60, 2\) and torch\.float64"):
        Nearest(2).place(state, torch.rand(3, 60, 2, dtype=torch.float64))
