"""What all laws of materials are."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Law(nn.Module, ABC):
    r"""A stress law, $F \mapsto \tau$, or a return map, $F^* \mapsto F$, of deformation gradients.

    Derive from it to write a law that recipes can name, as `class_path: package.MyLaw` under `model.elastic` or
    `model.plastic`. Constructor arguments that are kept as attributes of their names are stored with a trained law, which
    `geoops.learning.read_material(path, MyLaw)` reads.

    Example:
        >>> import torch
        >>> from geoops.physics import Law
        >>> class Spring(Law):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.stiffness = torch.nn.Parameter(torch.tensor(1e4))
        ...     def forward(self, F):
        ...         return self.stiffness * (F @ F.mT - torch.eye(F.shape[-1]))
        >>> Spring()(torch.eye(2)).shape
        torch.Size([2, 2])
    """

    @abstractmethod
    def forward(self, F: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
        """Returns Kirchhoff stresses, or deformation gradients after the return map."""
