"""What the field may know of a query beside its relative positions: its place with respect to the boundary."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry import Shapes

QUERY_FEATURES = ("sdf", "log_sdf", "sdf_gradient", "boundary")
#: Lengths over which boundary features decay, and over which normals are averaged, in normalised units.
DECAY = (0.1, 0.4)
NEAR = 0.03
#: Distance at which the logarithm levels off.
FLOOR = 1e-3

#: Arrays of the boundary that decoding needs.
KEPT = ("token_pos", "token_normal", "token_size", "token_x")


@final
class QueryFeatures(nn.Module):
    r"""Side channels of a query point that move with the shape.

    With the boundary's tokens $y_j$, normals $n_j$, measures $s_j$ and inputs $t_j$:

    * ``sdf``: the signed distance $d(x)$;
    * ``log_sdf``: $\log(|d(x)| + 10^{-3})$, which resolves boundary layers;
    * ``sdf_gradient``: $\sum_j w_j n_j$ with $w_j \propto s_j\, e^{-|x - y_j| / 0.03}$, which near the boundary is the gradient of
      the distance, and smooth everywhere;
    * ``boundary``: for each length $\ell \in \{0.1, 0.4\}$ the logarithm of $m = \sum_j s_j\, e^{-|x - y_j| / \ell}$ and the inputs
      $\sum_j s_j\, e^{-|x - y_j| / \ell}\, t_j / m$.

    All are invariant under translations, and all but ``sdf_gradient``, a vector, under rotations.

    Args:
        names: which features, in this order.
        dim: spatial dimension.
        inputs: channels of the boundary's inputs.

    Raises:
        ValueError: a name is unknown or given twice.
    """

    def __init__(self, names: Sequence[str], dim: int, inputs: int):
        super().__init__()
        if unknown := [name for name in names if name not in QUERY_FEATURES]:
            raise ValueError(f"query_features are {list(QUERY_FEATURES)}, got {unknown[0]!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"query_features must differ, got {list(names)}")
        self.names = tuple(names)
        widths = {"sdf": 1, "log_sdf": 1, "sdf_gradient": dim, "boundary": len(DECAY) * (1 + inputs)}
        self.channels = sum(widths[name] for name in names)
        #: Whether features turn with the shape.
        self.turns = "sdf_gradient" in names
        self._from_tokens = bool({"sdf_gradient", "boundary"} & set(names))

    def keep(self, shapes: Shapes, axis: bool = False) -> dict[str, Tensor]:
        """Returns what of the shapes decoding needs; tokens that are padding have no measure."""
        if not (self._from_tokens or axis):
            return {}
        kept = {name: getattr(shapes, name) for name in KEPT}
        return kept | {"token_size": shapes.token_size * shapes.token_mask[..., None]}

    def forward(
        self,
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
        kept: Mapping[str, Tensor],
    ) -> Float[Tensor, "shapes queries channels"]:
        """Returns the features of queries."""
        parts = [pos[..., :0]]
        for name in self.names:
            if name == "sdf":
                parts.append(sdf)
            elif name == "log_sdf":
                parts.append((sdf.abs() + FLOOR).log())
            elif name == "sdf_gradient":
                parts.append(boundary_normal(pos, kept))
            else:
                parts += [part for length in DECAY for part in _decayed(pos, kept, length)]
        return torch.cat(parts, -1)


def boundary_normal(pos: Float[Tensor, "shapes queries dim"], kept: Mapping[str, Tensor]) -> Float[Tensor, "shapes queries dim"]:
    """Returns the mean normal of the boundary near points, see `QueryFeatures`."""
    return (_weights(pos, kept, NEAR).softmax(-1)) @ kept["token_normal"]


def _decayed(pos: Tensor, kept: Mapping[str, Tensor], length: float) -> tuple[Tensor, Tensor]:
    logits = _weights(pos, kept, length)
    return logits.logsumexp(-1, keepdim=True), logits.softmax(-1) @ kept["token_x"]


def _weights(pos: Tensor, kept: Mapping[str, Tensor], length: float) -> Tensor:
    """Returns the logarithm of measure times decay for each point and token."""
    with torch.autocast(pos.device.type, enabled=False):
        away = torch.cdist(pos, kept["token_pos"], compute_mode="donot_use_mm_for_euclid_dist")
        size = kept["token_size"].mT
        return torch.where(size > 0, size, 1.0).log().masked_fill(size <= 0, -torch.inf) - away / length
