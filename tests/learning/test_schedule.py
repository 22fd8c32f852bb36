from itertools import pairwise

import pytest

from geoops.learning import warmup_cosine
from geoops.learning._schedule import stage_at, stage_ends


def test_rate_rises_then_falls():
    rates = [warmup_cosine(p / 1000, 0.1, 0.2) for p in range(1001)]
    assert rates[0] == 0.01
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(1.0)
    assert rates[550] == pytest.approx(0.6)
    assert rates[-1] == pytest.approx(0.2)
    assert all(a <= b for a, b in pairwise(rates[:101]))
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert warmup_cosine(0.0, 0.0) == 1.0


def test_stages_share_the_budget():
    ends = stage_ends(["a", "b"], {"b": 3.0, "a": 1.0})
    assert ends == [0.25, 1.0]
    assert stage_at(0.0, ends) == (0, 0.0)
    assert stage_at(0.125, ends) == (0, 0.5)
    assert stage_at(0.25, ends) == (1, 0.0)
    assert stage_at(1.0, ends) == (1, 1.0)
    assert stage_ends(["a", "b", "c"], None)[-1] == 1.0


def test_bad_stages():
    with pytest.raises(ValueError, match=r"fractions for \['x'\], the network has the stages \['field'\]"):
        stage_ends(["field"], {"x": 1.0})
    with pytest.raises(ValueError, match="positive"):
        stage_ends(["a", "b"], {"a": 1.0, "b": 0.0})
