import pytest
import torch

from geoops.layers import Poses, TokenEncoder, bi_invariant, grid_poses, token_poses
from geoops.testing import moved, random_shapes

SHAPES = random_shapes(3, dtype=torch.float64)
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)


def build(name="translation", **options):
    torch.manual_seed(0)
    return TokenEncoder(5, 4, bi_invariant(name, 2), hidden=16, **options).double()


def encode(encoder, shapes, poses):
    tokens = token_poses(shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask)
    measure = shapes.token_size.clamp_min(1e-9)
    return encoder(tokens, shapes.token_x, shapes.token_mask, measure, poses)


def grid():
    poses = grid_poses(9, 2)
    return Poses(poses.pos.double(), poses.window.double(), poses.frame.double())


KINDS = [
    {},
    {"layers": 2, "blocks": 0},
    {"attention": "separable", "value_mode": "film_linear", "layers": 2},
    {"attention": "knn", "latent_mixer": "mha"},
]


@pytest.mark.parametrize("options", KINDS)
def test_translation(options):
    encoder, shift = build(**options), torch.tensor([3.0, -2.0], dtype=torch.float64)
    here, there = encode(encoder, SHAPES, grid()), encode(encoder, moved(SHAPES, shift), grid().moved(shift))
    assert here.shape == (3, 9, 4)
    torch.testing.assert_close(here, there, rtol=0, atol=1e-10)
    assert (here[0] - here[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["distance", "se2", "se2_oriented"])
def test_rotation(name):
    encoder, shift = build(name), torch.tensor([3.0, -2.0], dtype=torch.float64)
    here = encode(encoder, SHAPES, grid())
    there = encode(encoder, moved(SHAPES, shift, TURN), grid().moved(shift, TURN))
    torch.testing.assert_close(here, there, rtol=0, atol=1e-10)


def test_cutting_a_facet_in_two_equal_tokens_changes_nothing():
    """Tokens weigh by their measure."""
    encoder = build()
    twice = [torch.cat([value, value], 1) for value in (SHAPES.token_pos, SHAPES.token_x)]
    mask = torch.cat([SHAPES.token_mask] * 2, 1)
    measure = torch.cat([SHAPES.token_size] * 2, 1).clamp_min(1e-9) / 2
    tokens = Poses(twice[0], torch.ones_like(measure))
    torch.testing.assert_close(encoder(tokens, twice[1], mask, measure, grid()), encode(encoder, SHAPES, grid()))


def test_layers_are_checked():
    with pytest.raises(ValueError, match="at least one"):
        build(layers=0)
