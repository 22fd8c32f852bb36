"""The attention equals its formula, and sees positions through the bi-invariant only."""

import math

import pytest
import torch
import torch.nn.functional as F

from geoops.layers import EquivariantAttention, Poses, bi_invariant, frames_from_axis, grid_poses


def build(mode="film_mlp", name="translation", side=0, seed=0, **options):
    torch.manual_seed(seed)
    options = {"heads": 2, "freq_std": (0.7, 0.4), "value_mode": mode} | options
    return EquivariantAttention(8, bi_invariant(name, 2, side), **options).double()


def scene(points=30, latents=9, batch=2, side=0):
    generator = torch.Generator().manual_seed(5)
    pos = torch.randn(batch, latents, 2, dtype=torch.float64, generator=generator)
    window = 0.5 + torch.rand(batch, latents, 1, dtype=torch.float64, generator=generator)
    frame = frames_from_axis(F.normalize(torch.randn(batch, latents, 2, dtype=torch.float64, generator=generator), dim=-1))
    x = torch.randn(batch, points, 2 + side, dtype=torch.float64, generator=generator)
    a = torch.randn(batch, latents, 8, dtype=torch.float64, generator=generator)
    return x, Poses(pos, window, frame), a


def formula(attention, x, poses, a, content=None):
    """Pair by pair, as in the paper; nothing folded."""
    heads, width = attention.heads, attention.hidden
    r = attention.invariant(x[:, :, None], poses.pos[:, None], poses.frame[:, None])
    q = attention.to_q(attention.query_embedding(r)).unflatten(-1, (heads, width))
    if content is not None:
        q = q + attention.to_content(content).unflatten(-1, (heads, width))[:, :, None]
    k = attention.to_k(a).unflatten(-1, (heads, width))[:, None]
    v = attention.to_v(a)[:, None]
    embedded = attention.value_embedding(r)
    first, second = attention.film(embedded).chunk(2, -1)
    if attention.mixer is None:
        values = (v * first + second).unflatten(-1, (heads, width))
    else:
        values = attention.mixer((v * (1 + first) + second).unflatten(-1, (heads, width)))
    square = (x[:, :, None, :2] - poses.pos[:, None]).square().sum(-1, keepdim=True)
    logits = (q * k).sum(-1) / math.sqrt(width) - square / poses.window[:, None].square()
    return attention.out((logits.softmax(2)[..., None] * values).sum(2).flatten(2))


@pytest.mark.parametrize("mode", ["film_mlp", "film_linear"])
@pytest.mark.parametrize("points", [3, 30])
@pytest.mark.parametrize("side", [0, 1])
def test_equals_the_formula(mode, points, side):
    attention = build(mode, side=side, outputs=5)
    x, poses, a = scene(points, side=side)
    torch.testing.assert_close(attention(x, poses, a), formula(attention, x, poses, a), rtol=1e-10, atol=1e-12)


def test_equals_the_formula_with_contents_of_points():
    attention = build(content=4)
    x, poses, a = scene()
    content = torch.randn(2, 30, 4, dtype=torch.float64)
    got = attention(x, poses, a, content=content)
    torch.testing.assert_close(got, formula(attention, x, poses, a, content), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["film_mlp", "film_linear"])
def test_knn_with_all_latents_is_dense(mode):
    """Acceptance check 11, and the listed path against the dense one when the list is everything but weightless."""
    x, poses, a = scene()
    dense, near = build(mode), build(mode, nearest_k=9)
    torch.testing.assert_close(dense(x, poses, a), near(x, poses, a), rtol=0, atol=0)


def test_knn_uses_the_nearest_latents_only():
    attention = build(nearest_k=4, content=3)
    x, poses, a = scene(side=0)
    content = torch.randn(2, 30, 3, dtype=torch.float64)
    pairs = attention.pairs(x, poses)
    alpha = attention.weights(pairs, a, content=content)
    assert alpha.shape == (2, 4, 30, 2)
    torch.testing.assert_close(alpha.sum(1), torch.ones(2, 30, 2, dtype=torch.float64))
    distance = torch.cdist(x, poses.pos)
    assert torch.equal(pairs.index.mT.sort(-1).values, distance.topk(4, largest=False).indices.sort(-1).values)
    # The same weights by the dense formula, on the list.
    dense = build(content=3)
    dense.load_state_dict(attention.state_dict())
    logits = dense.weights(dense.pairs(x, poses), a, content=content).log().gather(1, pairs.index[..., None].expand(-1, -1, -1, 2))
    last = distance.square().sort(-1).values[..., 4, None]
    room = ((last - distance.square()) / (0.25 * last)).clamp(0, 1)
    taper = (room**2 * (3 - 2 * room)).clamp_min(1e-12).log().mT.gather(1, pairs.index)
    torch.testing.assert_close(alpha, (logits + taper[..., None]).softmax(1))


@pytest.mark.parametrize("mode", ["film_mlp", "film_linear"])
def test_many_points_are_sorted_by_latent(mode):
    """Block-sparse: the same values and derivatives as pair by pair, also for a latent that nobody is near to."""
    attention = build(mode, nearest_k=2, content=3)
    x, poses, a = scene(points=60)
    poses.pos[:, 3] = 50.0
    content = torch.randn(2, 60, 3, dtype=torch.float64)
    pairs = attention.pairs(x, poses)
    assert pairs.blocks is not None
    assert pairs.blocks.sizes[3] == pairs.blocks.sizes[9 + 3] == 0
    results = []
    for given in (pairs, pairs._replace(blocks=None)):
        latents = a.clone().requires_grad_()
        y = attention(x, poses, latents, pairs=given, content=content)
        (slope,) = torch.autograd.grad(y.square().sum(), latents, create_graph=True)
        results.append((y, slope, *torch.autograd.grad(slope.square().sum(), list(attention.parameters()), retain_graph=True)))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_points_shared_by_several_shapes_are_not_sorted():
    attention = build(nearest_k=2)
    x, poses, a = scene(points=60)
    shared = Poses(poses.pos[:1], poses.window[:1])
    pairs = attention.pairs(x[:1], shared)
    both = attention(x[:1], shared, a, pairs=pairs)
    for i in range(2):
        torch.testing.assert_close(both[i], attention(x[:1], shared, a[i : i + 1], pairs=pairs)[0])


def test_knn_is_continuous_where_the_list_changes():
    """Along a line the field takes no larger jumps than a fine sampling explains."""
    attention = build(nearest_k=4)
    poses = grid_poses(16, 2)
    poses = Poses(poses.pos.double(), poses.window.double())
    a = torch.randn(1, 16, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    jumps = []
    for n in (2001, 4001):
        t = torch.linspace(-0.93, 0.91, n, dtype=torch.float64)
        y = attention(torch.stack([t, 0.3 * t + 0.11], -1)[None], poses, a)
        jumps.append((y[:, 1:] - y[:, :-1]).abs().max().item())
    assert jumps[1] < 0.6 * jumps[0]


def test_knn_at_a_tie_is_finite():
    attention = build(nearest_k=1)
    poses = grid_poses(4, 2)
    y = attention(
        torch.zeros(1, 1, 2, dtype=torch.float64),
        Poses(poses.pos.double(), poses.window.double()),
        scene(latents=4)[2][:1],
    )
    assert y.isfinite().all()


@pytest.mark.parametrize("nearest_k", [None, 4])
def test_weights_sum_to_one(nearest_k):
    """P8, first half."""
    attention = build(nearest_k=nearest_k)
    x, poses, a = scene()
    alpha = attention.weights(attention.pairs(x, poses), a)
    torch.testing.assert_close(alpha.sum(1), torch.ones(2, 30, 2, dtype=torch.float64))


@pytest.mark.parametrize("window", [1e-3, 1.0, 1e3])
def test_a_single_latent_has_weight_one(window):
    """P8, second half."""
    attention = build()
    x, poses, a = scene(latents=1)
    poses = Poses(poses.pos, torch.full_like(poses.window, window))
    assert torch.equal(attention.weights(attention.pairs(x, poses), a), torch.ones(2, 1, 30, 2, dtype=torch.float64))


def test_a_far_latent_does_not_matter():
    """P7: with a gap of squared distances of 30 windows and more, a change moves the output by less than 1e-6."""
    attention = build()
    sigma = 0.2
    pos = torch.tensor([[[0.0, 0.0], [0.3, 0.0], [2.0, 0.0]]], dtype=torch.float64)
    poses = Poses(pos, torch.full((1, 3, 1), sigma, dtype=torch.float64))
    x = 0.1 * torch.randn(1, 20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distance = torch.cdist(x, pos)[0].square()
    assert (distance[:, 2] - distance.amin(1) > 30 * sigma**2).all()
    a = torch.randn(1, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    b = a.clone()
    b[:, 2] = torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y, z = attention(x, poses, a), attention(x, poses, b)
    assert (y - z).abs().max() < 1e-6 * y.abs().max()
    c = a.clone()
    c[:, 1] = b[:, 2]
    assert (y - attention(x, poses, c)).abs().max() > 1e-3 * y.abs().max()


@pytest.mark.parametrize("nearest_k", [None, 4])
def test_order_of_latents_does_not_matter(nearest_k):
    """P3."""
    attention = build(nearest_k=nearest_k)
    x, poses, a = scene()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    mixed = Poses(poses.pos[:, order], poses.window[:, order])
    torch.testing.assert_close(attention(x, poses, a), attention(x, mixed, a[:, order]), rtol=0, atol=1e-12)


def test_masked_latents_are_absent():
    attention = build()
    x, poses, a = scene()
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[:, 6:] = False
    few = Poses(poses.pos[:, :6], poses.window[:, :6])
    torch.testing.assert_close(attention(x, poses, a, mask=mask), attention(x, few, a[:, :6]))


def test_measure_counts_a_latent_as_often():
    attention = build()
    x, poses, a = scene(latents=3)
    measure = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)[None, :, None].expand(2, 3, 1)
    index = torch.tensor([0, 0, 1, 2])
    many = Poses(poses.pos[:, index], poses.window[:, index])
    torch.testing.assert_close(attention(x, poses, a, measure=measure), attention(x, many, a[:, index]))


def test_windows_of_points_replace_those_of_latents():
    attention = build()
    x, poses, a = scene()
    equal = Poses(poses.pos, torch.full_like(poses.window, 0.6))
    scale = torch.full((2, 30, 1), 0.6, dtype=torch.float64)
    torch.testing.assert_close(attention(x, poses, a, scale=scale), attention(x, equal, a))


@pytest.mark.parametrize("nearest_k", [None, 4])
def test_shared_points_and_poses_need_no_copies(nearest_k):
    attention = build(nearest_k=nearest_k, name="se2")
    x, poses, a = scene()
    x, one = x[:1], Poses(poses.pos[:1], poses.window[:1], poses.frame[:1])
    pairs = attention.pairs(x, one)
    assert len(pairs.value) == 1
    expected = torch.cat([attention(x, one, a[:1]), attention(x, one, a[1:])])
    torch.testing.assert_close(attention(x, one, a, pairs=pairs), expected)


def test_two_derivatives_agree_with_differences():
    attention = build(heads=1)
    x, poses, a = scene(points=12, latents=2, batch=1)
    for points in (x[:, :3], x):
        torch.autograd.gradgradcheck(lambda a, points=points: attention(points, poses, a).sum(-1), a.requires_grad_())


def test_no_points():
    x, poses, a = scene(points=0)
    for nearest_k in (None, 4):
        assert build(nearest_k=nearest_k)(x, poses, a).shape == (2, 0, 16)


@pytest.mark.parametrize(("options", "message"), [({"mode": "film"}, "'film'"), ({"nearest_k": 0}, "nearest_k")])
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
