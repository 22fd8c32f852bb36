"""Parameter counts (acceptance check 3) and the properties of whole fields."""

import math

import pytest
import torch

from geoops.layers import ENF, LatentBlock, Poses, grid_poses, make_attention
from geoops.layers import bi_invariant as make_invariant
from geoops.models import field_enf, geometry_enf


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: geometry_enf(outputs=2), 530_178),
        (lambda: geometry_enf(), 530_049),
        (lambda: field_enf(), 4_941_313),
        (lambda: field_enf(10, 4, side=1), 4_942_596),
        (lambda: field_enf(latent_mixer="mha", dropout=0.1), 2_966_017),
        (lambda: field_enf(hidden=64, blocks=1), 225_921),
        (lambda: geometry_enf(outputs=2, hidden=64), 134_018),
    ],
)
def test_published_parameter_counts(build, count):
    network = build()
    assert sum(p.numel() for p in network.parameters()) == count
    assert all(p.requires_grad for p in network.parameters())


KINDS = {
    "dense": {},
    "film_linear": {"value_mode": "film_linear"},
    "knn": {"attention": "knn", "nearest_k": 4},
    "separable": {"attention": "separable", "value_mode": "film_linear"},
    "mha": {"latent_mixer": "mha"},
    "two layers": {"cross_layers": 2},
    "two separable layers": {"attention": "separable", "value_mode": "film_linear", "cross_layers": 2},
}


def build(dtype=torch.float64, side=1, **options):
    torch.manual_seed(0)
    return ENF(4, 2, side=side, hidden=16, blocks=2, **options).to(dtype).eval()


def scene(dtype=torch.float64, points=300, side=1):
    generator = torch.Generator().manual_seed(3)
    poses = grid_poses(9, 2)
    frame = poses.frame.to(dtype)
    x = 2 * torch.rand(2, points, 2 + side, generator=generator) - 1
    contexts = torch.randn(2, 9, 4, generator=generator)
    return x.to(dtype), Poses(poses.pos.to(dtype), poses.window.to(dtype), frame), contexts.to(dtype)


def moved(x, shift, turn=None):
    space = x[..., :2] if turn is None else x[..., :2] @ turn.T
    return torch.cat([space + shift, x[..., 2:]], -1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("distance", [0.1, 10.0])
def test_translation(kind, dtype, bound, distance):
    """P1."""
    network, (x, poses, contexts) = build(dtype, **KINDS[kind]), scene(dtype)
    shift = distance * torch.tensor([0.6, -0.8], dtype=dtype)
    here, there = network(x, poses, contexts), network(moved(x, shift), poses.moved(shift), contexts)
    assert (here - there).abs().max() < bound
    assert here.std() > 1e-3


@pytest.mark.parametrize("options", [{}, {"attention": "knn", "nearest_k": 4}])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_rotation_of_orientated_poses(options, dtype, bound):
    """P2."""
    network, (x, poses, contexts) = build(dtype, bi_invariant="se2", **options), scene(dtype)
    angle, shift = 0.7, torch.tensor([6.0, -8.0], dtype=dtype)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=dtype)
    here, there = network(x, poses, contexts), network(moved(x, shift, turn), poses.moved(shift, turn), contexts)
    assert (here - there).abs().max() < bound
    plain = build(dtype)
    with_translations_only = plain(moved(x, shift, turn), poses.moved(shift, turn), contexts)
    assert (plain(x, poses, contexts) - with_translations_only).abs().max() > 1e-3


def test_rotation_of_orientated_queries():
    """P2 for the attribute with orientated queries, which turn too."""
    network, (x, poses, contexts) = build(bi_invariant="se2_oriented"), scene()
    axis = torch.nn.functional.normalize(torch.randn(2, 300, 2, dtype=torch.float64), dim=-1)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    shift = torch.ones(2, dtype=torch.float64)
    here = network(x, poses, contexts, axis=axis)
    there = network(moved(x, shift, turn), poses.moved(shift, turn), contexts, axis=axis @ turn.T)
    assert (here - there).abs().max() < 1e-10
    assert (here - network(x, poses, contexts, axis=axis @ turn.T)).abs().max() > 1e-3


def test_absolute_positions_fail_the_translation_test():
    """P9."""
    network, (x, poses, contexts) = build(bi_invariant="absolute"), scene()
    shift = torch.tensor([0.06, -0.08], dtype=torch.float64)
    difference = network(x, poses, contexts) - network(moved(x, shift), poses.moved(shift), contexts)
    assert difference.abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_latents_and_queries(kind):
    """P3, float32."""
    network, (x, poses, contexts) = build(torch.float32, **KINDS[kind]), scene(torch.float32)
    generator = torch.Generator().manual_seed(0)
    latents, queries = torch.randperm(9, generator=generator), torch.randperm(300, generator=generator)
    field = network(x, poses, contexts)
    mixed = Poses(poses.pos[:, latents], poses.window[:, latents], poses.frame[:, latents])
    assert (field - network(x, mixed, contexts[:, latents])).abs().max() < 1e-5
    assert (field[:, queries] - network(x[:, queries], poses, contexts)).abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 7, 256, 300])
def test_queries_do_not_see_each_other(kind, chunk):
    """P4, float32."""
    network, (x, poses, contexts) = build(torch.float32, **KINDS[kind]), scene(torch.float32)
    some = slice(None, None, 20 if chunk == 1 else 1)
    with torch.no_grad():
        latents = network.mix(contexts, poses)
        field = network.read(latents, x, poses)[:, some]
        parts = torch.cat([network.read(latents, part, poses) for part in x[:, some].split(chunk, 1)], 1)
    assert (field - parts).abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_keeps_positions(kind):
    network, (x, poses, contexts) = build(torch.float32, **KINDS[kind]), scene(torch.float32)
    field = network(x, poses, contexts)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(x, poses, contexts)
    assert (field - mixed).abs().max() < 0.02 * field.abs().max()


def test_shared_poses_cost_one_set_of_pairs():
    network, (x, poses, contexts) = build(), scene()
    apart = torch.cat([network(x[i : i + 1], poses, contexts[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(network(x, poses, contexts), apart)
    torch.testing.assert_close(network(x, poses.expand(2), contexts), apart)


def test_kept_pairs_give_the_same_field():
    network, (x, poses, contexts) = build(), scene()
    latents = network.mix(contexts, poses)
    pairs = network.pairs(x, poses)
    torch.testing.assert_close(network.read(latents, x, poses, pairs=pairs), network(x, poses, contexts), rtol=0, atol=0)
    assert build(**KINDS["separable"]).pairs(x, poses) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "sparse"}, "'sparse'"),
        ({"attention": "knn"}, "nearest_k"),
        ({"nearest_k": 3}, "nearest_k=3"),
        ({"attention": "separable"}, "film_linear"),
        ({"latent_mixer": "none"}, "'none'"),
        ({"cross_layers": 0}, "cross_layers"),
        ({"bi_invariant": "sphere"}, "'sphere'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ENF(4, 1, hidden=8, blocks=1, **options)


def test_block_is_the_double_residual():
    torch.manual_seed(0)
    invariant = make_invariant("translation", 2)
    block = LatentBlock(8, lambda n: make_attention(8, invariant, outputs=n), mixer="equivariant", heads=2)
    poses, h = grid_poses(4, 2), torch.randn(3, 4, 8)
    got = block.attention(poses.pos, poses, block.norm(h))
    expected = torch.nn.functional.gelu(h + block.ffn(h + got))
    torch.testing.assert_close(block(h, poses), expected)
