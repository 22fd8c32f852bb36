import math

import pytest
import torch

from geoops.layers import (
    Poses,
    body_frame,
    boundary_poses,
    frames_from_axis,
    grid_poses,
    join_poses,
    multiresolution_poses,
    place_poses,
    radial_frames,
    token_poses,
)
from geoops.testing import moved, permuted, random_shapes


def tokens(shapes):
    return shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask


def test_grid_without_box():
    poses = grid_poses(9, 2)
    assert poses.pos.shape == (1, 9, 2)
    torch.testing.assert_close(poses.pos[0, :4], torch.tensor([[-2 / 3, -2 / 3], [-2 / 3, 0], [-2 / 3, 2 / 3], [0, -2 / 3]]))
    torch.testing.assert_close(poses.window, torch.full((1, 9, 1), 2 / 3))


def test_grid_with_box_includes_both_ends():
    poses = grid_poses(8, 3, box=[[-0.75, 0.75], [0.0, 1.0], [2.0, 4.0]], window_rel=0.5)
    torch.testing.assert_close(poses.pos[0, 0], torch.tensor([-0.75, 0, 2]))
    torch.testing.assert_close(poses.pos[0, -1], torch.tensor([0.75, 1, 4]))
    torch.testing.assert_close(poses.window[0, 0, 0], torch.tensor(0.75))
    torch.testing.assert_close(grid_poses(1, 2, box=[[0.0, 1.0], [2.0, 4.0]]).pos[0, 0], torch.tensor([0.5, 3.0]))


def test_multiresolution_windows_follow_the_spacing():
    poses = multiresolution_poses([1, 9, 36], 2)
    assert poses.pos.shape == (1, 46, 2)
    assert [round(w, 4) for w in poses.window[0, [0, 1, 10], 0].tolist()] == [2.0, 0.6667, 0.3333]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid_poses(10, 2), r"such as \[4, 9, 16\]; got 10"),
        (lambda: grid_poses(9, 2, box=[[0.0, 1.0]]), "pair"),
        (lambda: grid_poses(9, 2, box=[[0.0, 1.0], [1.0, 0.0]]), "lower, upper"),
        (lambda: multiresolution_poses([], 2), "at least one grid"),
        (lambda: frames_from_axis(torch.ones(1, 4)), "got 4"),
    ],
)
def test_bad_options_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_frames_are_rotations_with_the_axis_first(dim):
    axis = torch.nn.functional.normalize(
        torch.randn(20, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    frame = frames_from_axis(axis, axis.flip(0))
    eye = torch.eye(dim, dtype=torch.float64).expand(20, dim, dim)
    torch.testing.assert_close(frame.mT @ frame, eye)
    assert torch.equal(frame[..., 0], axis)
    if dim > 1:
        torch.testing.assert_close(torch.linalg.det(frame), torch.ones(20, dtype=torch.float64))


def test_frame_survives_a_hint_along_the_axis():
    axis = torch.tensor([[0.0, 0.0, 1.0]])
    frame = frames_from_axis(axis, axis)
    torch.testing.assert_close(frame[0].T @ frame[0], torch.eye(3))


def test_radial_frames_have_the_angle_of_the_position():
    frame = radial_frames(torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    torch.testing.assert_close(frame[0, :, 0], torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(frame[1], torch.eye(2))


def test_moved_turns_frames():
    poses = grid_poses(4, 2)
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    other = poses.moved(torch.tensor([1.0, 2.0]), turn)
    torch.testing.assert_close(other.pos, poses.pos @ turn.T + torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(other.frame, turn @ poses.frame)
    assert torch.equal(poses.moved(torch.ones(2)).frame, poses.frame)


def test_join_drops_frames_that_are_not_everywhere():
    bare = Poses(torch.zeros(2, 3, 2), torch.ones(2, 3, 1))
    joined = join_poses([bare, grid_poses(4, 2)])
    assert joined.pos.shape == (2, 7, 2)
    assert joined.frame is None
    assert len(joined) == 2


def turned(dim):
    q = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(3))).Q
    return q * torch.tensor([*[1.0] * (dim - 1), torch.linalg.det(q).item()], dtype=torch.float64)


@pytest.mark.parametrize("dim", [2, 3])
def test_body_frame_moves_with_the_body(dim):
    shapes, turn = random_shapes(5, dim, dtype=torch.float64), turned(dim)
    shift = torch.full((dim,), 2.5, dtype=torch.float64)
    before = body_frame(shapes.token_pos, shapes.token_size, shapes.token_mask)
    other = moved(shapes, shift, turn)
    after = body_frame(other.token_pos, other.token_size, other.token_mask)
    torch.testing.assert_close(after[0], before[0] @ turn.T + shift)
    torch.testing.assert_close(after[1], turn @ before[1])
    torch.testing.assert_close(torch.linalg.det(after[1]), torch.ones(5, dtype=torch.float64))


def test_body_frame_does_not_depend_on_the_cut():
    """Halving a facet leaves the integrals over it as they are, up to its own second moment."""
    shapes = random_shapes(1, dtype=torch.float64)
    along = torch.stack([-shapes.token_normal[..., 1], shapes.token_normal[..., 0]], -1) * shapes.token_size / 4
    twice = [
        torch.cat([shapes.token_pos - along, shapes.token_pos + along], 1),
        torch.cat([shapes.token_size] * 2, 1) / 2,
    ]
    centre, axes = body_frame(shapes.token_pos, shapes.token_size, shapes.token_mask)
    other, turned = body_frame(*twice, torch.cat([shapes.token_mask] * 2, 1))
    torch.testing.assert_close(centre, other)
    torch.testing.assert_close(axes, turned, atol=0.02, rtol=0)


def test_without_alignment_only_the_origin_moves():
    shapes = random_shapes(3)
    centre, axes = body_frame(shapes.token_pos, shapes.token_size, shapes.token_mask, align=False)
    placed = place_poses(grid_poses(4, 2), centre, axes)
    torch.testing.assert_close(placed.pos, grid_poses(4, 2).pos + centre[:, None])
    assert placed.frame.shape == (3, 4, 2, 2)


@pytest.mark.parametrize("dim", [2, 3])
def test_boundary_poses_move_with_the_body_and_ignore_the_order(dim):
    shapes, turn = random_shapes(4, dim, dtype=torch.float64), turned(dim)
    shift = torch.full((dim,), -1.5, dtype=torch.float64)
    poses = boundary_poses(*tokens(shapes), 6)
    other = boundary_poses(*tokens(moved(shapes, shift, turn)), 6)
    expected = poses.moved(shift, turn)
    torch.testing.assert_close(other.pos, expected.pos)
    torch.testing.assert_close(other.frame, expected.frame)
    torch.testing.assert_close(other.window, expected.window)
    torch.testing.assert_close(boundary_poses(*tokens(permuted(shapes)), 6).pos, poses.pos)


def test_boundary_poses_are_spread_facets():
    shapes = random_shapes(2, dtype=torch.float64)
    poses = boundary_poses(*tokens(shapes), 5, window_rel=0.5)
    distance = torch.cdist(poses.pos, shapes.token_pos).amin(-1)
    assert distance.max() < 1e-6
    gaps = torch.cdist(poses.pos, poses.pos) + 10 * torch.eye(5, dtype=torch.float64)
    assert gaps.min() > 0.5
    torch.testing.assert_close(poses.window[:, 0, 0], 0.5 * gaps.amin(-1).mean(-1))
    assert boundary_poses(*tokens(shapes), 1).window[0, 0, 0] == 2


def test_normals_that_are_zero_give_radial_axes():
    angle = torch.arange(5) * 2 * math.pi / 5
    pos = torch.stack([angle.cos(), angle.sin()], -1)[None] + 3
    size, mask = torch.ones(1, 5, 1), torch.ones(1, 5, dtype=torch.bool)
    frame = token_poses(pos, torch.zeros_like(pos), size, mask).frame
    torch.testing.assert_close(frame[..., 0], pos - 3)
