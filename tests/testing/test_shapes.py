import math

import pytest
import torch

from geoops.testing import moved, padded, permuted, random_shapes


@pytest.fixture(params=[2, 3])
def shapes(request):
    return random_shapes(4, request.param, dtype=torch.float64, globals=2)


def test_the_same_seed_gives_the_same_shapes():
    one, same, other = (random_shapes(2, seed=seed, nodes=(60, 60)) for seed in (3, 3, 4))
    assert torch.equal(one.pos, same.pos)
    assert not torch.equal(one.pos, other.pos)


def test_shapes_are_ragged_and_padded_with_zeros(shapes):
    assert not shapes.mask.all()
    assert not shapes.token_mask.all()
    assert not shapes.pos[~shapes.mask].any()
    assert not shapes.token_normal[~shapes.token_mask].any()


def test_boundary_is_closed(shapes):
    """The integral of the outward normal over a closed boundary vanishes, in space up to the spiral's quadrature."""
    total = (shapes.token_normal * shapes.token_size).sum(1)
    assert total.abs().max() < (1e-12 if shapes.pos.shape[-1] == 2 else 0.05)


def test_normals_point_out_of_the_material(shapes):
    """By the divergence theorem the integral of x . n is dim times the measure of the material."""
    dim = shapes.pos.shape[-1]
    measure = (shapes.token_pos * shapes.token_normal * shapes.token_size).sum((1, 2)) / dim
    hole = math.pi * 0.4**2 if dim == 2 else 4 / 3 * math.pi * 0.4**3
    assert (measure < 2**dim).all()
    assert (measure > 2**dim - 3 * hole).all()


def test_distance_is_negative_and_its_gradient_at_most_one(shapes):
    for i in range(len(shapes)):
        one = shapes.single(i)
        assert (one.sdf < 0).all()
        apart = torch.cdist(one.pos[0], one.pos[0])
        assert ((one.sdf[0] - one.sdf[0].T).abs() <= apart + 1e-12).all()


def test_kinds_are_one_hot():
    shapes = random_shapes(2, inputs=5)
    assert torch.equal(shapes.token_x.sum(-1), shapes.token_mask.float())
    assert random_shapes(2, inputs=0).token_x.shape[-1] == 0


def test_motions_keep_distances_and_masks(shapes):
    dim = shapes.pos.shape[-1]
    turn = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64)).Q
    other = moved(shapes, torch.ones(dim), turn)
    one, two = shapes.single(1), other.single(1)
    torch.testing.assert_close(torch.cdist(one.pos, one.token_pos), torch.cdist(two.pos, two.token_pos))
    again = permuted(shapes).single(1)
    assert sorted(again.sdf.flatten().tolist()) == sorted(one.sdf.flatten().tolist())
    assert torch.equal(padded(shapes, 3, 1.0).single(1).token_pos, one.token_pos)


def test_dimension_is_checked():
    with pytest.raises(ValueError, match="got 4"):
        random_shapes(1, 4)
