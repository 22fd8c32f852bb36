"""What every stepper offers: from the last positions of particles to their accelerations."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry._particle_graph import ParticleGraph


@final
@dataclass(frozen=True)
class StepperSizes:
    """What the data fixes and a stepper is built for.

    Args:
        dim: 2 or 3.
        materials: names of the materials, in the order of their numbers.
        history: velocities that a stepper sees; windows have one position more.
    """

    dim: int
    materials: tuple[str, ...]
    history: int = 5


@final
class MotionScale(nn.Module):
    r"""Statistics of velocities $v = x_t - x_{t-1}$ and accelerations $a = x_{t+1} - 2 x_t + x_{t-1}$ of the training motions.

    They are pooled over all particles, frames and trajectories. `noise` is the deviation of the noise that training adds to the
    newest velocity; normalisation divides by $\sqrt{\sigma^2 + \mathrm{noise}^2}$.
    """

    velocity_mean: Tensor
    velocity_std: Tensor
    acceleration_mean: Tensor
    acceleration_std: Tensor
    noise: Tensor

    def __init__(self, dim: int):
        super().__init__()
        for name in ("velocity_mean", "acceleration_mean"):
            self.register_buffer(name, torch.zeros(dim))
        for name in ("velocity_std", "acceleration_std"):
            self.register_buffer(name, torch.ones(dim))
        self.register_buffer("noise", torch.zeros(()))

    def velocities(self, v: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        """Returns normalised velocities."""
        return (v - self.velocity_mean) / (self.velocity_std.square() + self.noise.square()).sqrt()

    @property
    def acceleration_size(self) -> Float[Tensor, " dim"]:
        """Deviation that accelerations are divided by."""
        return (self.acceleration_std.square() + self.noise.square()).sqrt()


class Stepper(nn.Module, ABC):
    r"""A map from the last positions of particles to their accelerations, in length per frame squared.

    $$a = G(x_{t-w}, \dots, x_t), \qquad x_{t+1} = x_t + (x_t - x_{t-1}) + a$$

    A subclass is constructed as ``Net(sizes, **options)`` and implements `forward`. Scenes of a batch do not see each other.
    """

    def __init__(self, sizes: StepperSizes):
        super().__init__()
        if sizes.dim not in (2, 3) or sizes.history < 1 or not sizes.materials:
            raise ValueError(f"{type(self).__name__}: expected dim of 2 or 3, a history >= 1 and materials, got {sizes}")
        self.sizes = sizes
        #: Statistics of the training motions, which are stored with the weights.
        self.scale = MotionScale(sizes.dim)
        self.register_forward_pre_hook(_check)

    @abstractmethod
    def forward(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the acceleration of each particle."""

    def next(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the positions in the next frame."""
        x = graph.positions
        return x[:, -1] + (x[:, -1] - x[:, -2]) + self(graph)

    def material_numbers(self, names: Sequence[str]) -> list[int]:
        """Returns the numbers of materials by their names.

        Raises:
            ValueError: a material was not there in the training.
        """
        known = list(self.sizes.materials)
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"the material {unknown[0]!r} was not there in the training, which had {', '.join(known)}")
        return [known.index(name) for name in names]


def _check(stepper: Stepper, inputs: tuple[ParticleGraph, ...]) -> None:
    """Refuses graphs that would give wrong numbers, or an error far inside.

    Raises:
        ValueError: dimension, history, materials or dtype are not those of the stepper, or there are no edges.
    """
    (graph,), sizes, name = inputs, stepper.sizes, type(stepper).__name__
    shape, dtype = (sizes.history + 1, sizes.dim), stepper.scale.noise.dtype
    if tuple(graph.positions.shape[1:]) != shape:
        raise ValueError(
            f"{name}: expected positions of shape (particles, {shape[0]}, {shape[1]}), a history of {sizes.history} velocities, "
            f"got {tuple(graph.positions.shape)}"
        )
    if graph.positions.dtype != dtype:
        raise ValueError(f"{name}: expected positions of {dtype} as its weights are, got {graph.positions.dtype}; use .to(dtype)")
    if graph.edge_index is None:
        raise ValueError(f"{name}: the graph has no edges; call graph.joined() first")
    material, last = graph.material, len(sizes.materials) - 1
    if len(material) and material.device.type == "cpu" and not 0 <= int(material.min()) <= int(material.max()) <= last:
        raise ValueError(f"{name}: expected materials from 0 to {last}, got {int(material.min())} to {int(material.max())}")
