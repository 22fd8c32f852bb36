import math

import pytest
import torch

from geoops.layers import Lattice


def test_nodes_span_the_box(device, dtype):
    lattice = Lattice(3, ((0.0, 1.0), (-1.0, 3.0)))
    nodes = lattice.nodes(torch.zeros(0, dtype=dtype, device=device))
    assert nodes.dtype == dtype
    assert nodes.device.type == device.type
    assert len(lattice) == len(nodes) == 9
    assert lattice.spacing == (0.5, 2.0)
    assert nodes[:4].tolist() == [[0, -1], [0, 1], [0, 3], [0.5, -1]]
    assert Lattice(4, ((0.0, 1.0),)).nodes(nodes).shape == (4, 1)


@pytest.mark.parametrize(
    ("count", "box", "radius", "published", "within"),
    [
        (32, (-1.0, 1.0), 0.024, 0.43, 0.02),
        (12, (0.0, 1.0), 0.025, 0.09, 0.02),
        (32, (-1.0, 1.0), 0.00045, 0.00015, 0.00003),
    ],
    ids=["2d", "large-3d", "v1-large-2d"],
)
def test_published_lattices_are_out_of_reach(count, box, radius, published, within):
    """Defects 5 and 6: few particles have a lattice point within the published radius."""
    dim = 3 if count == 12 else 2
    lattice = Lattice(count, (box,) * dim)
    x = 0.1 + 0.8 * torch.rand(1_000_000 if published < 0.01 else 100_000, dim)
    assert abs(lattice.coverage(x, radius) - published) < within
    cell = (box[1] - box[0]) / (count - 1)
    ball = math.pi * radius**2 if dim == 2 else 4 / 3 * math.pi * radius**3
    assert abs(ball / cell**dim - published) < within
    assert lattice.coverage(x[:1000], 1.1 * dim**0.5 / 2 * cell) == 1


def test_no_points_and_no_lattice(unchecked):
    assert Lattice(2, ((0.0, 1.0),) * 2).coverage(torch.zeros(0, 2), 0.1) == 1
    with pytest.raises(ValueError, match="expected a count of at least 2 points along each axis, got 1"):
        Lattice(1, ((0.0, 1.0),))
    with pytest.raises(ValueError, match=r"expected a box of \(low, high\) pairs with low < high"):
        Lattice(2, ((1.0, 0.0),))
