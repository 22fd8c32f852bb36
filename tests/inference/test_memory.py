"""Budgets and chunks."""

import pytest
import torch

from geoops.inference._memory import LARGEST_CHUNK, chunk_size, parse_memory, peak_bytes


@pytest.mark.parametrize(
    ("text", "count"),
    [("1GB", 10**9), ("500 MB", 5 * 10**8), ("2GiB", 2**31), ("1.5k", 1500), ("64", 64), (1000, 1000), (2.5e6, 2.5e6)],
)
def test_amounts_of_memory_are_read(text, count):
    assert parse_memory(text) == count


@pytest.mark.parametrize("text", ["", "much", "1 XB", "GB", "-1GB", "0", 0, -5, float("inf")])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match="memory must"):
        parse_memory(text)


def test_the_peak_counts_what_lives_at_the_same_time():
    def run():
        a = torch.zeros(1000, dtype=torch.float64)
        b = a + 1
        del a
        c = b * 2
        view = c[:10]
        return view.sum()

    assert 16000 <= peak_bytes(run) < 16200


def test_what_comes_from_outside_is_not_counted():
    weights = torch.zeros(1000, 1000)
    assert peak_bytes(lambda: weights.T[:2].view(2, 1000)[0]) == 0


def _decode(width):
    return lambda n: (torch.zeros(n, width) + 1).sum(1)


def test_few_points_are_not_probed():
    calls = []
    assert chunk_size(calls.append, 2000, 10**9) == 2000
    assert calls == []


def test_the_chunk_follows_the_budget():
    # 2 x 1000 floats a query live at the same time
    small, large = (chunk_size(_decode(1000), 10**6, budget) for budget in (4 * 10**6, 40 * 10**6))
    assert small == pytest.approx(0.6 * 4e6 / 8000, rel=0.02)
    assert large == pytest.approx(10 * small, rel=0.02)


def test_chunks_are_no_larger_than_is_useful():
    assert chunk_size(_decode(1), 10**6, 10**9) == LARGEST_CHUNK
    assert chunk_size(_decode(1), 3000, 10**9) == 3000


def test_inputs_and_outputs_count():
    with_all = chunk_size(_decode(1000), 10**6, 8 * 10**6)
    assert chunk_size(_decode(1000), 10**6, 8 * 10**6, fixed=24 * 10**5) == pytest.approx(with_all / 2, rel=0.02)


def test_too_small_a_budget_says_what_is_needed():
    with pytest.raises(ValueError, match=r"budget of 1 MB is too small: 1000 points need at least \d+ MB"):
        chunk_size(_decode(10**6), 1000, 10**6)


def test_the_measurement_is_kept():
    calls, cache = [], {}

    def decode(n):
        calls.append(n)
        return torch.zeros(n, 100) + 1

    for _ in range(3):
        chunk_size(decode, 10**6, 10**9, cache=cache, key="a")
    assert len(calls) == 2
    chunk_size(decode, 10**6, 10**9, cache=cache, key="b")
    assert len(calls) == 4
