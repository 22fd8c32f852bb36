import pytest
import torch

from geoops.models import Decoder, Nearest


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
