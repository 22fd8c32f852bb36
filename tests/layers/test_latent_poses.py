import pytest
import torch

from geoops.layers import LatentPoses
from geoops.testing import moved, random_shapes


def place(poses, shapes):
    return poses(shapes.token_pos, shapes.token_normal, shapes.token_size, shapes.token_mask)


@pytest.mark.parametrize(
    ("kind", "count", "coarse", "latents"),
    [("grid", 9, 0, 9), ("multires", [1, 4], 0, 5), ("body", 4, 0, 4), ("boundary", 5, 4, 9), ("boundary", 5, 0, 5)],
)
def test_kinds(kind, count, coarse, latents):
    shapes = random_shapes(3)
    adaptive = kind in ("body", "boundary")
    poses = LatentPoses(kind, count, 2, coarse=coarse, align="principal" if adaptive else "none", frames=True)
    got = place(poses, shapes)
    assert poses.latents == latents == got.pos.shape[1]
    assert got.frame.shape[1:] == (latents, 2, 2)
    assert len(got) == (3 if adaptive else 1)
    shift = torch.tensor([0.3, -0.2])
    after = place(poses, moved(shapes, shift)).pos
    torch.testing.assert_close(after, got.pos + shift if adaptive else got.pos)
    assert not list(poses.parameters())
    assert place(LatentPoses(kind, count, 2, coarse=coarse), shapes).frame is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "mesh", "count": 9}, "'mesh'"),
        ({"kind": "grid", "count": [4, 9]}, r"\[4, 9\]"),
        ({"kind": "grid", "count": 9, "window_rel": 0.0}, "window_rel"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        LatentPoses(dim=2, **options)
