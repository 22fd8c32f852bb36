r"""Quantities of a point and a pose that do not change when a motion of the group moves both."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor


class BiInvariant(ABC):
    r"""An attribute $a(x, p)$ with $a(g x, g p) = a(x, p)$ for all $g$ of a group.

    A point may carry `side` further columns, such as its signed distance, that are invariant by themselves and pass
    through. All arguments broadcast over their leading axes. Frames hold orthonormal axes as columns; the first axis
    of a pose is its orientation $o_p$.

    Args:
        space: spatial dimension.
        side: number of invariant columns behind the spatial ones.
    """

    #: Spatial dimensions for which the attribute is defined.
    spaces: ClassVar[tuple[int, ...]] = (1, 2, 3)
    #: True where the pose needs a frame.
    needs_frame: ClassVar[bool] = False
    #: True where the point needs an orientation.
    needs_axis: ClassVar[bool] = False
    #: True where rotations of both leave the attribute unchanged.
    rotations: ClassVar[bool] = False

    def __init__(self, space: int, side: int = 0):
        if space not in self.spaces:
            raise ValueError(f"{type(self).__name__} is defined in {self.spaces} dimensions, got {space}")
        self.space = space
        self.side = side

    @property
    def dim(self) -> int:
        """Channels of the attribute, side channels included."""
        return self.channels + self.side

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the attribute without side channels."""

    @abstractmethod
    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        """Returns the attribute of a point and a pose, without side channels."""

    def __call__(
        self,
        x: Float[Tensor, "... columns"],
        pos: Float[Tensor, "... space"],
        frame: Float[Tensor, "... space axes"] | None = None,
        axis: Float[Tensor, "... space"] | None = None,
    ) -> Float[Tensor, "... dim"]:
        """Returns the attribute.

        Args:
            x: points, spatial columns first, then side channels.
            pos: positions of the poses.
            frame: axes of the poses.
            axis: orientations of the points.

        Raises:
            ValueError: if a frame or an orientation is needed and not given, or x has another number of columns.
        """
        if x.shape[-1] != self.space + self.side:
            raise ValueError(f"points need {self.space} + {self.side} columns, got {x.shape[-1]}")
        if self.needs_frame and frame is None:
            raise ValueError(f"{type(self).__name__} needs poses with frames")
        if self.needs_axis and axis is None:
            raise ValueError(f"{type(self).__name__} needs an orientation for each point")
        value = self.attribute(x[..., : self.space], pos, frame, axis)
        if not self.side:
            return value
        extra = x[..., self.space :].expand(*value.shape[:-1], self.side)
        return torch.cat([value, extra], -1)

    def difference(self, x: Float[Tensor, "... columns"], pos: Float[Tensor, "... space"]) -> Float[Tensor, "... space"]:
        """Returns the displacement that windows and neighbour lists measure; side channels play no part."""
        return x[..., : self.space] - pos


@final
class Translation(BiInvariant):
    """All translations: the relative position $x - p$."""

    @property
    def channels(self) -> int:
        """One per dimension."""
        return self.space

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        """Returns $x - p$."""
        return x - pos


@final
class Distance(BiInvariant):
    r"""All motions, position-only poses: the distance $\|x - p\|$."""

    rotations = True

    @property
    def channels(self) -> int:
        """One."""
        return 1

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        r"""Returns $\|x - p\|$, with derivative zero where both coincide."""
        return _length(x - pos)


class Framed(BiInvariant):
    r"""Rotations and translations, poses with frame $R$: $R^T (x - p)$."""

    needs_frame = True
    rotations = True

    @property
    def channels(self) -> int:
        """One per dimension."""
        return self.space

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        """Returns $R^T (x - p)$."""
        return ((x - pos)[..., None] * frame).sum(-2)


@final
class SE2(Framed):
    r"""SE(2), orientated poses, plain points: $R(\theta)^T (x - p)$."""

    spaces = (2,)


@final
class SE2Oriented(Framed):
    r"""SE(2), orientated poses and points: $R(\theta)^T (x - p)$ and $\langle o_x, o_p \rangle$."""

    spaces = (2,)
    needs_axis = True

    @property
    def channels(self) -> int:
        """Three."""
        return 3

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        r"""Returns $R^T (x - p)$ and $\langle o_x, o_p \rangle$."""
        relative = super().attribute(x, pos, frame, axis)
        angle = (axis * frame[..., 0]).sum(-1, keepdim=True)
        return torch.cat([relative, angle.expand(*relative.shape[:-1], 1)], -1)


@final
class SE3Axis(BiInvariant):
    r"""SE(3), poses with one unit axis $n$: height $\langle x - p, n \rangle$ and distance from the axis."""

    spaces = (3,)
    needs_frame = True
    rotations = True

    @property
    def channels(self) -> int:
        """Two."""
        return 2

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        """Returns height along and distance from the first axis of the frame."""
        relative, normal = x - pos, frame[..., 0]
        height = (relative * normal).sum(-1, keepdim=True)
        return torch.cat([height, _length(relative - height * normal)], -1)


@final
class SE3Frame(Framed):
    r"""SE(3), poses with a frame: $R^T (x - p)$."""

    spaces = (3,)


@final
class Torus(BiInvariant):
    r"""Translations of the torus $[-1, 1)^n$: sine and cosine of $\pi (x - p)$ along each axis."""

    @property
    def channels(self) -> int:
        """Two per dimension."""
        return 2 * self.space

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        r"""Returns $\sin \pi(x - p)$ and $\cos \pi(x - p)$."""
        angle = math.pi * (x - pos)
        return torch.cat([angle.sin(), angle.cos()], -1)

    def difference(self, x: Float[Tensor, "... columns"], pos: Float[Tensor, "... space"]) -> Float[Tensor, "... space"]:
        """Returns the shortest displacement around the torus."""
        return torch.remainder(x[..., : self.space] - pos + 1, 2) - 1


@final
class Absolute(BiInvariant):
    """No group, for ablations: the position itself."""

    @property
    def channels(self) -> int:
        """One per dimension."""
        return self.space

    def attribute(self, x: Tensor, pos: Tensor, frame: Tensor | None, axis: Tensor | None) -> Tensor:
        """Returns $x$."""
        return x.expand(torch.broadcast_shapes(x.shape, pos.shape))


BI_INVARIANTS: dict[str, type[BiInvariant]] = {
    "translation": Translation,
    "distance": Distance,
    "se2": SE2,
    "se2_oriented": SE2Oriented,
    "se3_axis": SE3Axis,
    "se3_frame": SE3Frame,
    "torus": Torus,
    "absolute": Absolute,
}


def bi_invariant(name: str, space: int, side: int = 0) -> BiInvariant:
    """Returns the attribute of that name, see `BI_INVARIANTS`.

    Raises:
        ValueError: if the name is unknown or the attribute is not defined in that dimension.
    """
    if name not in BI_INVARIANTS:
        raise ValueError(f"bi_invariant must be one of {sorted(BI_INVARIANTS)}, got {name!r}")
    return BI_INVARIANTS[name](space, side)


def _length(r: Tensor) -> Tensor:
    square = r.square().sum(-1, keepdim=True)
    positive = square > 0
    # The square root has no derivative at zero; the outer choice keeps its infinity out of the gradient.
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)
