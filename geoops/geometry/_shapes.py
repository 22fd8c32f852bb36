"""The batch every network receives: shapes, padded to a rectangle, with masks."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """Numbers of channels that the data fixes and a network is built for.

    Args:
        dim: spatial dimension, 2 or 3.
        inputs: channels of the input fields at a point, after one-hot coding of integer fields.
        outputs: channels of the target fields.
        globals: number of global parameters (the vector mu).
    """

    dim: int
    inputs: int
    outputs: int
    globals: int = 0


@dataclass
class Shapes:
    r"""B shapes with their points and boundary tokens, in normalised units, padded with zeros.

    *Points* are the nodes of the meshes (or a random subset while training). *Tokens* describe the boundary: one per
    piece (2D: of its outline, 3D: triangle) with its middle, outward unit normal, measure and the input fields there;
    for a point cloud a token is a point with a zero normal and unit measure.

    Args:
        pos: node positions; the coordinate frame is shared by all shapes.
        x: input fields at the nodes.
        sdf: signed distance to the boundary, negative inside.
        mask: True for real nodes, False for padding.
        token_pos: middles of the pieces of the boundary.
        token_normal: outward unit normals.
        token_size: length (2D) or area (3D) of the pieces.
        token_x: input fields on the pieces.
        token_mask: True for real tokens.
        mu: global parameters.
        key: identifies shape and augmentation, so that codes of frozen encoders can be cached; -1 means unknown.
    """

    pos: Float[Tensor, "shapes nodes dim"]
    x: Float[Tensor, "shapes nodes inputs"]
    sdf: Float[Tensor, "shapes nodes 1"]
    mask: Bool[Tensor, "shapes nodes"]
    token_pos: Float[Tensor, "shapes tokens dim"]
    token_normal: Float[Tensor, "shapes tokens dim"]
    token_size: Float[Tensor, "shapes tokens 1"]
    token_x: Float[Tensor, "shapes tokens inputs"]
    token_mask: Bool[Tensor, "shapes tokens"]
    mu: Float[Tensor, "shapes globals"]
    key: Int[Tensor, " shapes"]

    def __len__(self) -> int:
        return self.pos.shape[0]

    def to(self, *args, **kwargs) -> "Shapes":
        """Moves or casts the floating tensors; masks and keys only move."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            floating = torch.is_floating_point(value)
            moved[field.name] = value.to(*args, **kwargs) if floating else value.to(torch.empty(0).to(*args, **kwargs).device)
        return replace(self, **moved)

    def single(self, i: int) -> "Shapes":
        """Returns one shape as a batch of one, without padding."""
        one = {field.name: getattr(self, field.name)[i : i + 1] for field in fields(self)}
        for name, value in one.items():
            if name in ("pos", "x", "sdf", "mask"):
                one[name] = value[:, self.mask[i]]
            elif name.startswith("token"):
                one[name] = value[:, self.token_mask[i]]
        return Shapes(**one)
