"""Acceptance check 10: the separable form is the dense one with the same parameters, and a dot product underneath."""

import math

import pytest
import torch

from geoops.layers import Poses, SeparableAttention, bi_invariant


def dense(attention, x, poses, a, scale=None, mask=None, measure=None, content=None):
    """The definition, pair by pair."""
    heads, width, space = attention.heads, attention.hidden, attention.invariant.space
    r = attention.invariant(x[:, :, None], poses.pos[:, None])
    q = attention.to_q(attention.query_features(r)).unflatten(-1, (heads, width))
    if content is not None:
        q = q + attention.to_content(content).unflatten(-1, (heads, width))[:, :, None]
    k = attention.to_k(a).unflatten(-1, (heads, width))[:, None]
    v = attention.to_v(a).unflatten(-1, (heads, width))[:, None]
    gamma = attention.value_features(r)
    sine, cosine = (torch.cat([part, part], -1)[..., None, :] for part in gamma.chunk(2, -1))
    gain = attention.gain[:, :, 0]
    values = v * (1 + gain[0] * sine + gain[1] * cosine) + attention.shift(gamma).unflatten(-1, (heads, width))
    square = (x[:, :, None, :space] - poses.pos[:, None]).square().sum(-1, keepdim=True)
    window = poses.window[:, None] if scale is None else scale[:, :, None]
    logits = (q * k).sum(-1) / math.sqrt(width) - square / window.square()
    if measure is not None:
        logits = logits + measure[:, None].log()
    if mask is not None:
        logits = logits.masked_fill(~mask[:, None, :, None], -math.inf)
    return attention.out((logits.softmax(2)[..., None] * values).sum(2).flatten(2))


def scene(dtype, dim=2, side=1, latents=9, points=40, spread=1.0):
    generator = torch.Generator().manual_seed(2)
    rand = lambda *size: torch.rand(*size, generator=generator, dtype=torch.float64)  # noqa: E731
    pos = spread * (2 * rand(2, latents, dim) - 1)
    x = torch.cat([spread * (2 * rand(2, points, dim) - 1), rand(2, points, side)], -1)
    poses = Poses(pos.to(dtype), (0.4 + rand(2, latents, 1)).to(dtype))
    return x.to(dtype), poses, (rand(2, latents, 32) - 0.5).to(dtype)


def build(dtype, dim=2, side=1, **options):
    torch.manual_seed(0)
    return SeparableAttention(32, bi_invariant("translation", dim, side), freq_std=(0.5, 0.5), **options).to(dtype)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize(("dim", "side"), [(2, 0), (2, 1), (3, 1)])
def test_equals_the_dense_form(dtype, bound, dim, side):
    attention = build(dtype, dim, side, heads=4, outputs=7)
    x, poses, a = scene(dtype, dim, side)
    assert (attention(x, poses, a) - dense(attention, x, poses, a)).abs().max() < bound


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
def test_equals_the_dense_form_with_everything(dtype, bound):
    attention = build(dtype, content=5)
    x, poses, a = scene(dtype)
    generator = torch.Generator().manual_seed(4)
    mask = torch.rand(2, 9, generator=generator) > 0.4
    more = {
        "scale": 0.5 + torch.rand(2, 40, 1, generator=generator).to(dtype),
        "mask": mask,
        "measure": 0.1 + torch.rand(2, 9, 1, generator=generator).to(dtype),
        "content": torch.randn(2, 40, 5, generator=generator).to(dtype),
    }
    assert (attention(x, poses, a, **more) - dense(attention, x, poses, a, **more)).abs().max() < bound


def test_translation_in_float32_keeps_the_digits():
    """P1 far from the origin: squares are taken relative to the latents."""
    attention = build(torch.float32)
    x, poses, a = scene(torch.float32)
    shift = torch.tensor([10.0, -10.0])
    moved = torch.cat([x[..., :2] + shift, x[..., 2:]], -1)
    assert (attention(x, poses, a) - attention(moved, poses.moved(shift), a)).abs().max() < 1e-4


def test_shared_points_and_poses_broadcast():
    attention = build(torch.float64)
    x, poses, a = scene(torch.float64)
    one = Poses(poses.pos[:1], poses.window[:1])
    expected = torch.cat([attention(x[:1], one, a[:1]), attention(x[:1], one, a[1:])])
    torch.testing.assert_close(attention(x[:1], one, a), expected)
    expected = torch.cat([attention(x[:1], one, a[:1]), attention(x[:1], Poses(poses.pos[1:], poses.window[1:]), a[1:])])
    torch.testing.assert_close(attention(x[:1], poses, a), expected)


def test_two_derivatives_exist_without_fused_kernels():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    attention = build(torch.float64)
    x, poses, a = scene(torch.float64, latents=2, points=3)
    with sdpa_kernel(SDPBackend.MATH):
        torch.autograd.gradgradcheck(
            lambda a: attention(x[:1, :2], Poses(poses.pos[:1], poses.window[:1]), a).sum(-1), a[:1].requires_grad_()
        )


def test_no_points():
    attention = build(torch.float32)
    x, poses, a = scene(torch.float32, points=0)
    assert attention(x, poses, a).shape == (2, 0, 64)


def test_needs_translations():
    with pytest.raises(ValueError, match="got Distance"):
        SeparableAttention(8, bi_invariant("distance", 2))
