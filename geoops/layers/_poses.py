"""Where latents are: grids, grids of several resolutions, and positions that move with the body."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Poses:
    r"""Poses of latents; the first axis is 1 where all shapes share them.

    Args:
        pos: positions $p_j$.
        window: widths $\sigma_j$ of the Gaussian windows.
        frame: orthonormal axes as columns; the first is the orientation of the pose.
    """

    pos: Float[Tensor, "shapes latents dim"]
    window: Float[Tensor, "shapes latents 1"]
    frame: Float[Tensor, "shapes latents dim dim"] | None = None

    def __len__(self) -> int:
        return self.pos.shape[0]

    def expand(self, shapes: int) -> "Poses":
        """Returns the poses with an entry for each of so many shapes."""
        frame = None if self.frame is None else self.frame.expand(shapes, -1, -1, -1)
        return Poses(self.pos.expand(shapes, -1, -1), self.window.expand(shapes, -1, -1), frame)

    def part(self, start: int, stop: int) -> "Poses":
        """Returns the poses of latents from `start` to before `stop`."""
        frame = None if self.frame is None else self.frame[:, start:stop]
        return Poses(self.pos[:, start:stop], self.window[:, start:stop], frame)

    def moved(self, shift: Float[Tensor, " dim"], rotation: Float[Tensor, "dim dim"] | None = None) -> "Poses":
        r"""Returns the poses after $p \mapsto R p + t$; frames turn with them."""
        if rotation is None:
            return replace(self, pos=self.pos + shift)
        frame = None if self.frame is None else rotation @ self.frame
        return replace(self, pos=self.pos @ rotation.mT + shift, frame=frame)


def grid_poses(count: int, dim: int, *, box: Sequence[Sequence[float]] | None = None, window_rel: float = 1.0) -> Poses:
    r"""Returns a regular grid of $n^{dim}$ = `count` poses, last axis fastest, with radial frames.

    Without a box each axis is ``linspace(-1 + 1/n, 1 - 1/n, n)``, with spacing $2/n$; with a box it runs from its lower
    to its upper end, both included (the centre for $n = 1$).

    Args:
        count: number of poses, a perfect power.
        dim: 1, 2 or 3.
        box: lower and upper end of each axis.
        window_rel: width of the windows over the mean spacing of the grid.

    Raises:
        ValueError: if `count` is not a `dim`-th power, or the box does not have an increasing pair per axis.
    """
    n = round(count ** (1 / dim))
    if n < 1 or n**dim != count:
        near = sorted({max(1, n - 1) ** dim, max(1, n) ** dim, (n + 1) ** dim} - {count})
        raise ValueError(f"a grid in {dim}D needs n**{dim} latents, such as {near}; got {count}")
    if box is None:
        ends = [(-1 + 1 / n, 1 - 1 / n)] * dim
        spacing = 2 / n
    else:
        if len(box) != dim or any(len(pair) != 2 or not pair[0] < pair[1] for pair in box):
            raise ValueError(f"box must hold a pair (lower, upper) for each of {dim} axes, got {box}")
        ends = [tuple(pair) if n > 1 else (sum(pair) / 2,) * 2 for pair in box]
        widths = [pair[1] - pair[0] for pair in box]
        spacing = sum(widths) / dim / max(n - 1, 1)
    axes = [torch.linspace(low, high, n) for low, high in ends]
    pos = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(count, dim)
    window = torch.full((1, count, 1), window_rel * spacing)
    return Poses(pos[None], window, radial_frames(pos)[None])


def multiresolution_poses(
    counts: Sequence[int], dim: int, *, box: Sequence[Sequence[float]] | None = None, window_rel: float = 1.0
) -> Poses:
    """Returns grids of several resolutions together, each with windows proportional to its own spacing.

    Args:
        counts: number of poses of each grid, for example ``[1, 9, 36, 144]``.
        dim: 1, 2 or 3.
        box: as in `grid_poses`.
        window_rel: width of the windows over the spacing of their grid.

    Raises:
        ValueError: as in `grid_poses`, and if there are no grids.
    """
    if not counts:
        raise ValueError("multi-resolution poses need the number of poses of at least one grid, got none")
    return join_poses([grid_poses(count, dim, box=box, window_rel=window_rel) for count in counts])


def join_poses(parts: Sequence[Poses]) -> Poses:
    """Returns poses behind each other on the axis of latents; frames are kept where all parts have them."""
    shapes = max(len(part) for part in parts)
    parts = [part.expand(shapes) for part in parts]
    frames = [part.frame for part in parts if part.frame is not None]
    return Poses(
        torch.cat([part.pos for part in parts], 1),
        torch.cat([part.window for part in parts], 1),
        torch.cat(frames, 1) if len(frames) == len(parts) else None,
    )


def radial_frames(pos: Float[Tensor, "latents dim"]) -> Float[Tensor, "latents dim dim"]:
    """Returns frames whose first axis points away from the origin, along the first coordinate at the origin itself."""
    length = pos.norm(dim=-1, keepdim=True)
    first = torch.eye(pos.shape[-1]).to(pos)[0]
    return frames_from_axis(torch.where(length > 0, pos / length.clamp_min(1e-12), first))


def frames_from_axis(
    axis: Float[Tensor, "*batch dim"], hint: Float[Tensor, "*batch dim"] | None = None
) -> Float[Tensor, "*batch dim dim"]:
    r"""Completes unit axes to right-handed frames.

    In the plane the frame is unique. In space the second axis is the part of `hint` across the axis; without a hint
    it is the coordinate direction least aligned with the axis, which does not turn with the body.

    Args:
        axis: unit vectors.
        hint: directions not along the axis.

    Raises:
        ValueError: if the dimension is not 1, 2 or 3.
    """
    dim = axis.shape[-1]
    if dim == 1:
        return axis[..., None]
    if dim == 2:
        return torch.stack([axis, torch.stack([-axis[..., 1], axis[..., 0]], -1)], -1)
    if dim != 3:
        raise ValueError(f"frames exist in 1, 2 and 3 dimensions, got {dim}")
    fallback = torch.eye(3).to(axis)[axis.abs().argmin(-1)]
    hint = fallback if hint is None else hint
    second = hint - (hint * axis).sum(-1, keepdim=True) * axis
    length = second.norm(dim=-1, keepdim=True)
    spare = fallback - (fallback * axis).sum(-1, keepdim=True) * axis
    second = torch.where(length > 1e-6, second / length.clamp_min(1e-12), spare / spare.norm(dim=-1, keepdim=True))
    return torch.stack([axis, second, torch.linalg.cross(axis, second)], -1)


def body_frame(
    pos: Float[Tensor, "shapes tokens dim"],
    size: Float[Tensor, "shapes tokens 1"],
    mask: Bool[Tensor, "shapes tokens"],
    *,
    align: bool = True,
) -> tuple[Float[Tensor, "shapes dim"], Float[Tensor, "shapes dim dim"]]:
    r"""Returns the centroid of each boundary and its principal axes, largest spread first.

    Both are integrals over the boundary, so that they do not depend on how finely it is cut. The sign of an axis makes
    the third moment along it positive, and the last one makes the frame right-handed. Shapes with equal spreads or
    without skewness have no preferred axes; there the axes jump.

    Args:
        pos: midpoints of facets.
        size: their measures.
        mask: True for real facets.
        align: without it the axes are those of the coordinates.
    """
    weight = size * mask[..., None]
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
    centre = (weight * pos).sum(1)
    dim = pos.shape[-1]
    if not align:
        return centre, torch.eye(dim).to(pos).expand(len(pos), dim, dim)
    relative = pos - centre[:, None]
    axes = torch.linalg.eigh((weight * relative).mT @ relative).eigenvectors.flip(-1)
    skew = (weight * (relative @ axes) ** 3).sum(1, keepdim=True)
    axes = torch.where(skew < 0, -axes, axes)
    last = axes[..., -1:] * torch.linalg.det(axes)[:, None, None].sign()
    return centre, torch.cat([axes[..., :-1], last], -1)


def flow_axes(flow: Float[Tensor, "shapes dim"]) -> Float[Tensor, "shapes dim dim"]:
    """Returns frames whose first axis is the direction of a vector, such as the inflow; the first coordinate where it is zero."""
    length = flow.norm(dim=-1, keepdim=True)
    first = torch.eye(flow.shape[-1]).to(flow)[0]
    return frames_from_axis(torch.where(length > 0, flow / length.clamp_min(1e-12), first))


def place_poses(poses: Poses, centre: Float[Tensor, "shapes dim"], axes: Float[Tensor, "shapes dim dim"]) -> Poses:
    """Returns shared poses carried to the frame of each body; all of a body's poses have its axes."""
    pos = poses.pos @ axes.mT + centre[:, None]
    shapes, latents, dim = pos.shape
    return Poses(pos, poses.window.expand(shapes, -1, -1), axes[:, None].expand(shapes, latents, dim, dim))


def token_poses(
    pos: Float[Tensor, "shapes tokens dim"],
    normal: Float[Tensor, "shapes tokens dim"],
    size: Float[Tensor, "shapes tokens 1"],
    mask: Bool[Tensor, "shapes tokens"],
) -> Poses:
    r"""Returns boundary facets as poses of unit window, with their normals as first axes.

    Where a normal is zero (point clouds) the axis points away from the centroid. In space the second axis lies in the
    plane of the normal and the direction to the centroid.

    Args:
        pos: midpoints of facets.
        normal: unit normals.
        size: measures of the facets.
        mask: True for real facets.
    """
    centre, _ = body_frame(pos, size, mask, align=False)
    outward = pos - centre[:, None]
    radial = outward / outward.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    axis = torch.where(normal.norm(dim=-1, keepdim=True) > 0.5, normal, radial)
    return Poses(pos, torch.ones_like(size), frames_from_axis(axis, -outward))


def boundary_poses(
    pos: Float[Tensor, "shapes tokens dim"],
    normal: Float[Tensor, "shapes tokens dim"],
    size: Float[Tensor, "shapes tokens 1"],
    mask: Bool[Tensor, "shapes tokens"],
    count: int,
    *,
    window_rel: float = 1.0,
) -> Poses:
    r"""Returns farthest-point samples of each boundary, with the frames of `token_poses`.

    The first sample is the facet farthest from the centroid, so that the choice moves with the body and does not
    depend on the order of facets (up to facets in equal positions). The window is
    `window_rel` times the mean distance to the next sample.

    Args:
        pos: midpoints of facets.
        normal: unit normals.
        size: measures of the facets.
        mask: True for real facets.
        count: number of poses.
        window_rel: width of the windows over the spacing.
    """
    tokens = token_poses(pos, normal, size, mask)
    centre, _ = body_frame(pos, size, mask, align=False)
    away = (pos - centre[:, None]).square().sum(-1)
    nearest = torch.zeros_like(away)
    rows = torch.arange(len(pos), device=pos.device)
    chosen = []
    for _ in range(count):
        # Regular boundaries have facets equally far from all samples; a little of the distance to the centroid decides.
        chosen.append((nearest + 0.01 * away).masked_fill(~mask, -math.inf).argmax(1))
        step = (pos - pos[rows, chosen[-1]][:, None]).square().sum(-1)
        nearest = step if len(chosen) == 1 else torch.minimum(nearest, step)
    index = torch.stack(chosen, 1)
    at = pos[rows[:, None], index]
    gaps = (at[:, :, None] - at[:, None]).norm(dim=-1) + torch.diag(at.new_full((count,), math.inf))
    spacing = gaps.amin(-1).mean(1).clamp_min(1e-6) if count > 1 else torch.full_like(at[:, 0, 0], 2.0)
    window = (window_rel * spacing)[:, None, None].expand(-1, count, 1)
    return Poses(at, window, tokens.frame[rows[:, None], index])
