"""The choice of latent poses, by name."""

from collections.abc import Sequence
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ._poses import Poses, body_frame, boundary_poses, flow_axes, grid_poses, join_poses, multiresolution_poses, place_poses


@final
class LatentPoses(nn.Module):
    """Frozen poses of the latents, shared by all shapes or moving with each.

    * ``grid``: a regular grid in the common frame, as published;
    * ``multires``: grids of several resolutions in the common frame;
    * ``body``: these grids in the frame of the body, with origin at the centroid of its boundary;
    * ``boundary``: farthest-point samples of the boundary, and a coarse grid in the frame of the body.

    Args:
        kind: see above.
        count: number of poses, or of each grid.
        dim: spatial dimension.
        box: lower and upper end of each axis of the grids.
        window_rel: width of the windows over the spacing of the poses.
        align: how the frame of the body is turned: ``none``, ``principal`` to its principal axes, ``flow`` to the direction of a
            vector such as the inflow.
        coarse: number of poses of the coarse grid of ``boundary``, may be 0.
        frames: whether poses need frames.

    Raises:
        ValueError: if the kind is unknown or does not go with `count`.
    """

    pos: Tensor
    window: Tensor
    frame: Tensor

    def __init__(
        self,
        kind: str,
        count: int | Sequence[int],
        dim: int,
        *,
        box: Sequence[Sequence[float]] | None = None,
        window_rel: float = 1.0,
        align: str = "none",
        coarse: int = 0,
        frames: bool = False,
    ):
        super().__init__()
        if kind not in ("grid", "multires", "body", "boundary"):
            raise ValueError(f"poses must be 'grid', 'multires', 'body' or 'boundary', got {kind!r}")
        if align not in ("none", "principal", "flow"):
            raise ValueError(f"align must be 'none', 'principal' or 'flow', got {align!r}")
        if align != "none" and kind not in ("body", "boundary"):
            raise ValueError(f"align={align!r} turns the frame of the body: it needs poses='body' or 'boundary', got {kind!r}")
        if not window_rel > 0:
            raise ValueError(f"window_rel must be positive, got {window_rel}")
        counts = [count] if isinstance(count, int) else list(count)
        if kind in ("grid", "boundary") and len(counts) != 1:
            raise ValueError(f"poses={kind!r} needs one number of latents, got {counts}")
        self.kind, self.align, self.frames, self.window_rel = kind, align, frames, window_rel
        self.samples = counts[0] if kind == "boundary" else 0
        if kind == "boundary":
            counts = [coarse] if coarse else []
        self.latents = self.samples + sum(counts)
        ends = [self.samples, *(self.samples + sum(counts[: i + 1]) for i in range(len(counts)))]
        #: First latent and the one behind the last of each resolution, coarse ones first.
        self.levels = list(pairwise(ends)) + ([(0, self.samples)] if self.samples else [])
        shared = multiresolution_poses(counts, dim, box=box, window_rel=window_rel) if counts else grid_poses(1, dim)
        self.coarse = bool(counts)
        self.register_buffer("pos", shared.pos)
        self.register_buffer("window", shared.window)
        self.register_buffer("frame", shared.frame)

    @torch.no_grad()
    def forward(
        self,
        pos: Float[Tensor, "shapes tokens dim"],
        normal: Float[Tensor, "shapes tokens dim"],
        size: Float[Tensor, "shapes tokens 1"],
        mask: Bool[Tensor, "shapes tokens"],
        flow: Float[Tensor, "shapes dim"] | None = None,
    ) -> Poses:
        """Returns the poses for shapes with these boundary tokens and, with ``align="flow"``, these vectors."""
        poses = Poses(self.pos, self.window, self.frame)
        if self.kind in ("body", "boundary"):
            centre, axes = body_frame(pos, size, mask, align=self.align == "principal")
            poses = place_poses(poses, centre, flow_axes(flow) if self.align == "flow" else axes)
        if self.kind == "boundary":
            samples = boundary_poses(pos, normal, size, mask, self.samples, window_rel=self.window_rel)
            poses = join_poses([samples, poses]) if self.coarse else samples
        return poses if self.frames else Poses(poses.pos, poses.window)
