"""What a neural field of the geometry represents."""

from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch import Tensor, nn

from geoops.geometry import Shapes

from ._moments import Moments


@final
class Descriptor(nn.Module):
    """A standardised function on the nodes of a shape: their signed distance, or where they are.

    Args:
        kind: ``sdf``, or ``node_map`` for data whose nodes correspond: the position of each node, as a function of its mean
            position over the training set.
        dim: spatial dimension.

    Raises:
        ValueError: if the kind is unknown.
    """

    mean: Tensor
    std: Tensor
    reference: Tensor

    def __init__(self, kind: str, dim: int):
        super().__init__()
        if kind not in ("sdf", "node_map"):
            raise ValueError(f"descriptor must be one of ['sdf', 'node_map'], got {kind!r}")
        self.node_map = kind == "node_map"
        self.channels = dim if self.node_map else 1
        self.register_buffer("mean", torch.zeros(self.channels))
        self.register_buffer("std", torch.ones(self.channels))
        self.register_buffer("reference", torch.zeros(0, dim))

    def forward(self, shapes: Shapes) -> tuple[Tensor, Tensor, Tensor]:
        """Returns points, standardised values and weights (1 for real nodes, 0 for padding).

        Raises:
            ValueError: the nodes of the shapes do not correspond to those of the training set, as ``node_map`` needs.
        """
        points, values = shapes.pos, shapes.sdf
        if self.node_map:
            if len(self.reference) != shapes.pos.shape[1] or not bool(shapes.mask.all()):
                raise ValueError(
                    f"descriptor='node_map' needs shapes whose nodes correspond to the {len(self.reference)} of the "
                    f"training set, got up to {shapes.pos.shape[1]}; use descriptor='sdf' for other data"
                )
            points, values = self.reference.expand(len(shapes), -1, -1), shapes.pos
        values = (values - self.mean) / self.std
        return points, values, shapes.mask.to(values.dtype)

    def fit(self, train: Callable[[], Iterable[Shapes]]) -> None:
        """Takes the statistics of a training set."""
        if self.node_map:
            total, count = 0.0, 0
            for shapes in train():
                total, count = total + shapes.pos.double().sum(0), count + len(shapes)
            self.reference = (total / count).to(self.mean)
        moments = Moments()
        for shapes in train():
            moments.add((shapes.pos if self.node_map else shapes.sdf)[shapes.mask])
        moments.fill(self.mean, self.std)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The number of nodes that correspond is only known from the data.
        stored = state_dict.get(prefix + "reference")
        if stored is not None and stored.shape != self.reference.shape and stored.shape[1:] == self.reference.shape[1:]:
            self.reference = self.reference.new_zeros(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)
