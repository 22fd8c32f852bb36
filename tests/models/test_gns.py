import pytest
import torch

from geoops.models import GNS, StepperSizes
from geoops.testing import StepperSuite, random_particles


def count(net):
    return sum(p.numel() for p in net.parameters())


class TestGNS(StepperSuite):
    free_fall = False
    shift_bound = 5e-5

    def build(self, dim, materials, history):
        return GNS(StepperSizes(dim, materials, history), width=16, layers=2, embedding=4)


class TestGNSOfGIOROM(TestGNS):
    def build(self, dim, materials, history):
        return GNS(StepperSizes(dim, materials, history), width=16, layers=2, embedding=4, block="giorom")


def test_published_sizes():
    sizes = StepperSizes(3, ("jelly",))
    assert count(GNS(sizes, classes=9)) == 1_592_979
    assert count(GNS(sizes, classes=9, block="giorom")) == 1_758_099


def test_dense_samples_count_more_in_sums():
    """Doubling each particle doubles the sums of messages, and leaves means alone but for the loop."""
    graph = random_particles(30, dtype=torch.float64)
    twice = graph.clone()
    for name in ("positions", "rest", "material"):
        setattr(twice, name, getattr(graph, name).repeat(2, *[1] * (getattr(graph, name).ndim - 1)))
    twice.num_nodes = 60
    twice = twice.joined()
    changes = {}
    for block in ("sum", "giorom"):
        net = GNS(StepperSizes(2, ("a", "b")), width=16, layers=1, block=block).double()
        with torch.no_grad():
            a, b = net(graph), net(twice)
        changes[block] = ((b[:30] - a).abs().max() / a.abs().max()).item()
    assert changes["giorom"] < 1e-10
    assert changes["sum"] > 1e-2


def test_options_that_do_not_fit(unchecked):
    sizes = StepperSizes(2, ("a", "b"))
    with pytest.raises(ValueError, match="expected at least 2 classes, one for each material, got 1"):
        GNS(sizes, classes=1)
    with pytest.raises(ValueError, match="expected width >= 1, layers >= 0 and embedding >= 0, got 0, 10 and 16"):
        GNS(sizes, width=0)
    with pytest.raises(ValueError, match=r'expected block "sum" or "giorom", got \'mean\''):
        GNS(sizes, block="mean")
