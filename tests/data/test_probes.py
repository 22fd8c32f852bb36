import numpy as np
import pytest
import torch

from geoops.data import MeshData, cubic_weights
from geoops.data._probes import POINTS, STENCIL, boundary_probes, first_layer
from geoops.testing import random_shapes


def draws(count):
    return [np.random.default_rng(i) for i in range(count)]


def test_probes_lie_on_inward_normals():
    shapes = random_shapes(3, dtype=torch.float64)
    pos, sdf, useful = boundary_probes(shapes, 6, 0.02, draws(3))
    assert pos.shape == (3, 6 * POINTS, 2)
    assert useful.shape == (3, 6)
    assert useful.any(1).all()
    depth = -sdf.unflatten(1, (6, POINTS))[..., 0]
    torch.testing.assert_close(depth[..., :4], 0.02 * torch.tensor(STENCIL).double().expand(3, 6, 4))
    assert ((depth[..., 4] >= 0) & (depth[..., 4] <= 0.02)).all()
    places = pos.unflatten(1, (6, POINTS))
    at_token = (torch.cdist(places[:, :, 0], shapes.token_pos).amin(-1) == 0).all()
    assert at_token
    torch.testing.assert_close((places - places[:, :, :1]).norm(dim=-1), depth)


def test_places_near_another_part_of_the_boundary_are_not_used():
    """The end of the inward normal is nearer to the other side of the shape than to where it began."""
    shapes = random_shapes(1, dtype=torch.float64)
    _, _, useful = boundary_probes(shapes, 20, 0.9, draws(1))
    assert not useful.all()
    flat = random_shapes(1, dtype=torch.float64)
    flat.token_normal = torch.zeros_like(flat.token_normal)
    assert not boundary_probes(flat, 20, 0.01, draws(1))[2].any()


def test_a_cubic_is_found_again():
    at = torch.tensor([STENCIL, STENCIL]).double()
    x = torch.tensor([0.3, 0.9]).double()
    weights = cubic_weights(at, x)

    def cubic(t):
        return 1 - 2 * t + 3 * t**2 - 0.5 * t**3

    torch.testing.assert_close((weights * cubic(at)).sum(-1), cubic(x))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2).double())


def test_first_layer_is_the_distance_of_the_nearest_nodes_inside():
    sdf = -torch.cat([torch.zeros(50), torch.linspace(0.02, 1.0, 100)])[:, None]
    assert first_layer(sdf) == pytest.approx(0.04, abs=0.005)
    assert first_layer(torch.zeros(4, 1)) == 0


def test_steps_carry_probes_behind_their_queries(folder):
    data = MeshData(folder, inputs=["kind"], targets=["stress"], batch_size=4, points_per_step=10, boundary_probes=3, seed=5)
    data.setup("fit")
    batch = data.step_batches()[0]
    assert batch.pos.shape == (4, 10 + 3 * POINTS, 2)
    assert batch.sdf.shape == (4, 10 + 3 * POINTS, 1)
    assert batch.target.shape == (4, 10, 1)
    assert batch.probes.shape == (4, 3)
    assert next(iter(data.val_dataloader())).probes is None
    plain = MeshData(folder, inputs=["kind"], targets=["stress"], batch_size=4, points_per_step=10, seed=5)
    plain.setup("fit")
    assert torch.equal(plain.step_batches()[0].pos, batch.pos[:, :10])
    with pytest.raises(ValueError, match="boundary_probes must not be negative"):
        MeshData(folder, inputs=[], targets=["stress"], boundary_probes=-1)
