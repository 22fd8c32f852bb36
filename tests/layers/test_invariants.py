"""Each attribute is unchanged by the motions of its group, and changed by those outside."""

import math

import pytest
import torch

from geoops.layers import BI_INVARIANTS, bi_invariant


def rotation(dim, seed=0):
    q = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).Q
    return q * torch.tensor([*[1.0] * (dim - 1), torch.linalg.det(q).item()], dtype=torch.float64)


def scene(dim, side=0):
    torch.manual_seed(1)
    x = torch.randn(6, 1, dim + side, dtype=torch.float64)
    p = torch.randn(1, 4, dim, dtype=torch.float64)
    frame = torch.stack([rotation(dim, seed) for seed in range(4)])[None]
    axis = torch.nn.functional.normalize(torch.randn(6, 1, dim, dtype=torch.float64), dim=-1)
    return x, p, frame, axis


def attribute(name, dim, turn=None, shift=0.0, side=0):
    x, p, frame, axis = scene(dim, side)
    turn = torch.eye(dim, dtype=torch.float64) if turn is None else turn
    space = x[..., :dim] @ turn.T + shift
    return bi_invariant(name, dim, side)(torch.cat([space, x[..., dim:]], -1), p @ turn.T + shift, turn @ frame, axis @ turn.T)


CASES = [
    ("translation", 2, 2),
    ("translation", 3, 3),
    ("distance", 2, 1),
    ("distance", 3, 1),
    ("se2", 2, 2),
    ("se2_oriented", 2, 3),
    ("se3_axis", 3, 2),
    ("se3_frame", 3, 3),
    ("torus", 2, 4),
    ("absolute", 3, 3),
]


@pytest.mark.parametrize(("name", "dim", "channels"), CASES)
def test_channels_are_those_of_the_table(name, dim, channels):
    assert bi_invariant(name, dim).dim == channels
    assert attribute(name, dim).shape == (6, 4, channels)
    assert bi_invariant(name, dim, side=1).dim == channels + 1


@pytest.mark.parametrize(("name", "dim"), [case[:2] for case in CASES])
def test_translations(name, dim):
    same = torch.allclose(attribute(name, dim), attribute(name, dim, shift=3.7), atol=1e-12)
    assert same == (name != "absolute")


@pytest.mark.parametrize(("name", "dim"), [case[:2] for case in CASES])
def test_rotations(name, dim):
    same = torch.allclose(attribute(name, dim), attribute(name, dim, turn=rotation(dim, 9)), atol=1e-12)
    assert same == BI_INVARIANTS[name].rotations
    assert same == (name in ("distance", "se2", "se2_oriented", "se3_axis", "se3_frame"))


def test_side_channels_pass_through():
    x, *_ = scene(2, side=1)
    got = attribute("translation", 2, side=1, shift=1.3)
    assert torch.equal(got[..., 2:], x[..., 2:].expand(6, 4, 1))


def test_torus_is_periodic_and_measures_the_short_way():
    torus = bi_invariant("torus", 2)
    x, p = torch.tensor([0.9, -0.8]), torch.tensor([-0.9, 0.9])
    torch.testing.assert_close(torus(x, p), torus(x + 2, p - 4))
    torch.testing.assert_close(torus.difference(x, p), torch.tensor([-0.2, 0.3]))


def test_angle_between_orientations():
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    got = bi_invariant("se2_oriented", 2)(torch.zeros(2), torch.zeros(2), turn, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(got, torch.tensor([0.0, 0.0, math.cos(0.3)]))


@pytest.mark.parametrize("name", ["distance", "se3_axis"])
def test_derivatives_stay_finite_at_the_pose(name):
    x = torch.zeros(3, requires_grad=True)
    bi_invariant(name, 3)(x, torch.zeros(3), torch.eye(3)).sum().backward()
    assert x.grad.isfinite().all()


def test_errors_say_what_is_missing():
    with pytest.raises(ValueError, match="'rotation'"):
        bi_invariant("rotation", 2)
    with pytest.raises(ValueError, match="SE2 is defined in"):
        bi_invariant("se2", 3)
    with pytest.raises(ValueError, match="2 \\+ 1 columns, got 2"):
        bi_invariant("translation", 2, 1)(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="frames"):
        bi_invariant("se2", 2)(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match="orientation"):
        bi_invariant("se2_oriented", 2)(torch.zeros(2), torch.zeros(2), torch.eye(2))
