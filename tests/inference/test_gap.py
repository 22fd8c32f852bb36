"""Between the boundary and the first training nodes the field continues what the network says where it was trained."""

from dataclasses import replace
from typing import final

import pytest
import torch

from geoops.data import Normalizer, Task
from geoops.geometry import Cells, Mesh, PointCloud, boundary_facets
from geoops.inference import Predictor
from geoops.inference import _predictor as module
from geoops.inference._gap import DEPTHS, bridge, lagrange
from geoops.models import Network

TASK = Task(inputs=("kind",), targets=("u",))


@final
class Learned(Network):
    """A cubic of the position at depths that training has seen, and nonsense between them."""

    gap = 0.0

    def encode(self, shapes):
        return torch.zeros(len(shapes), 1)

    def decode(self, code, pos, sdf):
        x, y = pos[..., :1].double(), pos[..., 1:].double()
        right = 1 + x + 2 * y - x * y + y.square() + 0.5 * y**3 - x.square()
        depth = -sdf
        return torch.where((depth > 1e-6) & (depth < 0.999 * self.gap), 1e3 + depth, right.float())


@pytest.fixture
def learned(plate):
    normalizer = Normalizer.fit([plate(17)], TASK)
    network = Learned(normalizer.sizes)
    network.gap = normalizer.gap / normalizer.scale
    return Predictor(network, normalizer)


def right(predictor, points):
    mean, std = predictor.normalizer.target_scale()
    x, y = predictor.normalizer.positions(points).unbind(1)
    return ((1 + x + 2 * y - x * y + y.square() + 0.5 * y**3 - x.square()) * std + mean).float()


def test_the_gap_is_how_deep_the_first_nodes_are(plate):
    assert Normalizer.fit([plate(9)], TASK).gap == pytest.approx(1 / 8, rel=1e-5)
    assert Normalizer.fit([plate(17), plate(9)], TASK).gap == pytest.approx(1 / 16, rel=1e-5)
    assert Normalizer.fit([plate(9).to_cloud()], TASK).gap == 0


def test_bundles_keep_the_gap_and_old_ones_have_none(plate):
    normalizer = Normalizer.fit([plate()], TASK)
    state = normalizer.state_dict()
    assert Normalizer.from_state_dict(state) == normalizer
    del state["gap"]
    assert Normalizer.from_state_dict(state).gap == 0


def test_cubics_along_the_normal_are_exact(learned, plate):
    """At all depths below the middle of the lower edge and beside the hole."""
    depth = torch.linspace(0, 0.2, 60)
    below = torch.stack([0.3 + 0 * depth, depth], 1)
    beside = torch.stack([0.375 - depth.clamp_max(0.15), 0.5 + 0 * depth], 1)
    encoded = learned.encode(plate(17, noise=0.2))
    for points in (below, beside):
        got = learned.decode(encoded, points)[:, 0]
        torch.testing.assert_close(got, right(learned, points), rtol=1e-4, atol=1e-4)


def test_without_a_gap_the_network_speaks_for_itself(learned, plate):
    learned.normalizer = replace(learned.normalizer, gap=0.0)
    point = torch.tensor([[0.3, 0.05]])
    assert learned.decode(learned.encode(plate()), point).item() > 100


def test_nodes_of_a_finer_mesh_are_bridged_too(learned, plate):
    fine = plate(33)
    values = learned.decode(learned.encode(fine))[:, 0]
    middle = (fine.points[:, 1] - 1 / 32).abs().lt(1e-3) & (fine.points[:, 0] - 0.4).abs().lt(0.1)
    assert middle.any()
    torch.testing.assert_close(values[middle], right(learned, fine.points[middle]), rtol=1e-4, atol=1e-4)


def test_at_corners_the_network_takes_over_without_a_jump(learned, plate):
    """Towards the corner along the lower edge, at half the gap, the weight of the cubic falls from one to zero."""
    encoded = learned.encode(plate())
    gap = learned.normalizer.gap
    jumps = []
    for count in (501, 1001):
        x = torch.linspace(1.5 * gap, 2.2 * gap, count)
        points = torch.stack([x, 0 * x + gap / 2], 1)
        got = learned.decode(encoded, points)[:, 0]
        jumps.append((got[1:] - got[:-1]).abs().max().item())
    assert got[0] > 100
    torch.testing.assert_close(got[-1:], right(learned, points[-1:]), rtol=1e-4, atol=1e-4)
    assert jumps[1] < 0.6 * jumps[0]


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_of_queries_change_nothing(learned, plate, monkeypatch, block):
    encoded = learned.encode(plate())
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    whole = learned.decode(encoded, points)
    monkeypatch.setattr(module, "_QUERY_BLOCK", block)
    torch.testing.assert_close(learned.decode(encoded, points), whole, rtol=1e-6, atol=1e-6)


def test_only_queries_whose_value_counts_are_evaluated(learned, plate):
    mesh = plate()
    encoded = learned.encode(mesh)
    points = torch.tensor([[0.3, 0.05], [0.03, 0.04], [0.25, 0.25], [0.3, 0.0], [2.0, 2.0]])
    _, sdf = learned.normalizer.query(mesh, points)
    found = bridge(learned.normalizer, lambda: encoded.outline, points, sdf)
    assert found.where.tolist() == [0, 1]
    assert found.asked.tolist() == [1, 2, 3, 4]
    torch.testing.assert_close(found.weight.sum(1) + found.own[:, 0], torch.ones(2))
    torch.testing.assert_close(found.sdf.view(2, 4)[0] * learned.normalizer.scale, -learned.normalizer.gap * torch.tensor(DEPTHS))


def test_a_cloud_has_no_gap(learned):
    points = torch.rand(5, 2)
    inside = torch.full((5, 1), -0.01)
    assert bridge(learned.normalizer, lambda: PointCloud(points), points, inside) is None


def test_in_space_the_normal_is_that_of_the_nearest_facet(learned):
    x = torch.tensor([0.0, 1.0])
    corners = torch.cartesian_prod(x, x, x)[[0, 4, 6, 2, 1, 5, 7, 3]]
    facets = boundary_facets(Mesh(corners, Cells.from_blocks({"hexahedron": torch.arange(8)[None]})))
    normalizer = replace(learned.normalizer, center=(0.0, 0.0, 0.0), scale=1.0, gap=0.1)
    points = torch.tensor([[0.4, 0.6, 0.03], [0.97, 0.5, 0.5], [0.5, 0.02, 0.03]])
    found = bridge(normalizer, lambda: facets, points, torch.tensor([[-0.03], [-0.03], [-0.02]]))
    stencil = found.pos.view(3, 4, 3)
    torch.testing.assert_close(stencil[0], torch.tensor([[0.4, 0.6, 0.0], [0.4, 0.6, 0.1], [0.4, 0.6, 0.15], [0.4, 0.6, 0.2]]))
    torch.testing.assert_close(stencil[1, :, 0], torch.tensor([1.0, 0.9, 0.85, 0.8]))
    assert found.own[:, 0].tolist() == [0, 0, 1]


def test_weights_reproduce_cubics():
    x = torch.linspace(0, 2, 9, dtype=torch.float64)
    weights = lagrange(x, DEPTHS)
    nodes = torch.tensor(DEPTHS, dtype=torch.float64)
    for power in range(4):
        torch.testing.assert_close(weights @ nodes**power, x**power)
