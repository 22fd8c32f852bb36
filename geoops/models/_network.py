"""What every geoops network offers: encode shapes once, decode anywhere."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes

Loss = Callable[[Tensor, Tensor], Tensor]


class Network(nn.Module, ABC):
    r"""A map from shapes to continuous fields, $\hat u(x) = \mathrm{decode}(\mathrm{encode}(\text{shape}), x)$.

    A subclass is constructed as ``Net(sizes, **options)`` and implements `encode` and `decode`. Queries do not see each other:
    the value at a point is the same alone, in a chunk, or among a million others.
    """

    #: Training stages in order. Most networks have one; the faithful enf2enf has ("geometry", "field").
    stages: tuple[str, ...] = ("field",)

    #: True where encoding needs gradients at inference (the inner loop), so that callers do not switch them off.
    encodes_with_grad: bool = False

    #: False where `encode` reads boundary tokens only (or nothing), so that nobody copies the nodes for it.
    uses_nodes: bool = True

    #: In how many ways training cuts the boundary into tokens: more than one teaches that the cuts mean nothing.
    boundary_phases: int = 1

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes

    @abstractmethod
    def encode(self, shapes: Shapes) -> Any:
        """Returns the code of each shape: a tensor or a tuple / dict of tensors whose first axis is the shape."""

    @abstractmethod
    def decode(
        self,
        code: Any,
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Returns the field at query points, in normalised units."""

    def forward(
        self,
        shapes: Shapes,
        pos: Float[Tensor, "shapes queries dim"] | None = None,
        sdf: Float[Tensor, "shapes queries 1"] | None = None,
    ) -> Float[Tensor, "shapes queries outputs"]:
        """Encodes and decodes; without query points the field is given at the nodes of the shapes."""
        if pos is None:
            pos, sdf = shapes.pos, shapes.sdf
        return self.decode(self.encode(shapes), pos, sdf)

    def stage_loss(
        self,
        stage: str,
        shapes: Shapes,
        pos: Float[Tensor, "shapes queries dim"],
        sdf: Float[Tensor, "shapes queries 1"],
        target: Float[Tensor, "shapes queries outputs"],
        loss: Loss,
    ) -> Tensor:
        """Returns the scalar to minimise in a stage; `loss(prediction, target)` is the user's choice (relative L2, MSE)."""
        return loss(self(shapes, pos, sdf), target)

    def stage_parameters(self, stage: str) -> list[nn.Parameter]:
        """Returns the parameters that a stage trains."""
        return [p for p in self.parameters() if p.requires_grad]

    def stage_lr_scale(self, stage: str) -> float:
        """Returns the factor on the learning rate in a stage."""
        return 1.0

    def begin_stage(self, stage: str, train: Callable[[], Any]) -> None:
        """Called once before a stage; `train()` iterates over batches of Shapes of the training set (for statistics of codes)."""

    def after_step(self, stage: str) -> None:
        """Called after each optimiser step (to clamp what must stay in a range)."""
