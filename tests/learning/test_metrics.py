import pytest
import torch

from geoops.learning import MetricRegion, summarise
from geoops.learning._metrics import flatten


def test_summary_by_hand():
    got = summarise(torch.tensor([0.1, 0.2, 0.3, 0.4, 1.0]))
    assert got == pytest.approx({"mean": 0.4, "median": 0.3, "p95": 0.4 + 0.6 * 0.8}, rel=1e-6)


def test_regions_leave_balls_out():
    region = MetricRegion("away", [[0.0, 0.0], [1.0, 0.0]], 0.1)
    points = torch.tensor([[[0.05, 0.05], [0.2, 0.0]], [[0.95, 0.0], [0.5, 0.5]]])
    assert region.contains(points).tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize(
    ("centers", "radius", "words"),
    [([], 0.1, "centers"), ([[0.0], [0.0, 1.0]], 0.1, "one dimension"), ([[0.0, 0.0]], 0.0, "radius must be positive")],
)
def test_bad_regions(centers, radius, words):
    with pytest.raises(ValueError, match=words):
        MetricRegion("r", centers, radius)


def test_dimension_of_regions():
    with pytest.raises(ValueError, match="centers are 3D, the points are 2D"):
        MetricRegion("r", [[0.0, 0.0, 0.0]], 1.0).contains(torch.rand(4, 2))


def test_names_of_logs():
    assert flatten({"rel_l2": {"mean": 1.0, "p95": 2.0}}, "val") == {"val/rel_l2": 1.0, "val/rel_l2_p95": 2.0}
