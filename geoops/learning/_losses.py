"""Errors between predicted and true fields in physical units."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geoops.data import Normalizer


@final
@dataclass(frozen=True)
class FieldScale:
    """Mean, deviation and the fields of target channels, which lead from normalised to physical units.

    Args:
        mean: per channel, added back.
        std: per channel.
        fields: for each channel the number of its field; the error of a vector is one number.
    """

    mean: Float[Tensor, " outputs"]
    std: Float[Tensor, " outputs"]
    fields: tuple[int, ...]

    @classmethod
    def of(cls, normalizer: Normalizer) -> "FieldScale":
        """Takes the scale of a normaliser's targets."""
        mean, std = normalizer.target_scale()
        fields = tuple(i for i, t in enumerate(normalizer.targets) for _ in range(t.channels))
        return cls(mean.float(), std.float(), fields)

    def to(self, like: Tensor) -> "FieldScale":
        """Returns the scale with the dtype and device of a tensor."""
        if self.mean.device == like.device and self.mean.dtype == like.dtype:
            return self
        return FieldScale(self.mean.to(like), self.std.to(like), self.fields)


def relative_errors(
    prediction: Float[Tensor, "shapes queries outputs"],
    target: Float[Tensor, "shapes queries outputs"],
    scale: FieldScale,
    mask: Bool[Tensor, "shapes queries"] | None = None,
) -> Float[Tensor, "shapes fields"]:
    r"""Returns $\|\hat u - u\|_2 / \|u\|_2$ of each shape and field over its points, in physical units.

    Arguments are in normalised units; the mean is added back, since the ratio depends on it.
    """
    scale = scale.to(target)
    error = (prediction - target) * scale.std
    size = target * scale.std + scale.mean
    if mask is not None:
        error = error.masked_fill(~mask[..., None], 0.0)
        size = size.masked_fill(~mask[..., None], 0.0)
    above, below = error.square().sum(1), size.square().sum(1)
    if len(scale.fields) > 1:
        number = max(scale.fields) + 1
        fields = torch.tensor(scale.fields, device=target.device)
        above = above.new_zeros(len(above), number).index_add(1, fields, above)
        below = below.new_zeros(len(below), number).index_add(1, fields, below)
    tiny = torch.finfo(target.dtype).tiny
    return (above.clamp_min(tiny) / below.clamp_min(tiny)).sqrt()


def rel_l2(
    prediction: Float[Tensor, "shapes queries outputs"],
    target: Float[Tensor, "shapes queries outputs"],
    scale: FieldScale,
    mask: Bool[Tensor, "shapes queries"] | None = None,
) -> Float[Tensor, ""]:
    """Returns the mean over shapes and fields of `relative_errors`."""
    return relative_errors(prediction, target, scale, mask).mean()


def mse(
    prediction: Float[Tensor, "shapes queries outputs"],
    target: Float[Tensor, "shapes queries outputs"],
    mask: Bool[Tensor, "shapes queries"] | None = None,
) -> Float[Tensor, ""]:
    """Returns the mean squared error in normalised units: over the points of each shape, then over shapes."""
    square = (prediction - target).square().mean(-1)
    if mask is None:
        return square.mean()
    return (square.masked_fill(~mask, 0.0).sum(1) / mask.sum(1).clamp_min(1)).mean()
