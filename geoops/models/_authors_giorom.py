"""The published time-steppers of GIOROM, with their quirks, each of which can be mended (Viswanath et al. 2024)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers import FNO, InteractionBlock, KernelTransform, Lattice, LinearAttentionOperator
from geoops.layers._feedforward import mlp
from geoops.layers._interaction import Spectral, simulator_mlp
from geoops.layers._particle_features import edge_features, node_features, velocities

from ._stepper import Stepper, StepperSizes

Preset = Literal["authors3d", "authors2d", "v1_fno"]

#: The release that counts 9 kinds of particles, as the data of graph network simulators do.
CLASSES = 9


@dataclass(frozen=True)
class _Layout:
    """Options of a preset; those of `AuthorsGIOROM` replace them."""

    latent: int = 64
    blocks: int = 2
    spectral: Spectral = "authors"
    processor: Literal["attention", "fno"] = "attention"
    processor_layers: int = 1
    kernel_in: Sequence[int] = (32, 64)
    projection: Sequence[int] = ()
    lattice: int = 16
    box: tuple[float, float] = (0.0, 1.0)
    lattice_radius: float = 0.125
    skip: bool = True
    squeeze: bool = False
    flatten: bool = False


_PRESETS = {
    "authors3d": _Layout(),
    "authors2d": _Layout(
        latent=32, processor_layers=2, lattice=32, box=(-1.0, 1.0), lattice_radius=0.024, skip=False, squeeze=True
    ),
    "v1_fno": _Layout(
        latent=0,
        spectral="none",
        processor="fno",
        processor_layers=2,
        projection=(16,),
        box=(-1.0, 1.0),
        lattice_radius=0.145,
        skip=False,
        squeeze=True,
        flatten=True,
    ),
}


@final
class AuthorsGIOROM(Stepper):
    r"""Passes messages, carries particles to a fixed lattice and back, and passes messages again.

    $$h = \mathrm{pass}_K(\mathrm{enc}), \quad z = \mathrm{in}(h), \quad u = \mathrm{out}(P(z)), \quad
    h \leftarrow \mathrm{proj}(u) + h, \quad a = \sigma_a\, \mathrm{dec}(\mathrm{pass}_K(h)) + \mu_a$$

    with `KernelTransform` for in and out and an operator P on the lattice. ``authors3d`` are the published weights' shapes and
    ``authors2d`` the plane model, both with linear attention. ``v1_fno`` is the first release, with a Fourier neural operator in
    the plane, onto which particles in space are put by a learned linear map and tanh. What the releases do otherwise than the
    papers say is an option for each; the presets have them all, so accelerations change when everything is moved, and scenes
    of a batch see each other.

    Args:
        sizes: what the data fixes.
        preset: layout to start from; options that are given replace its own.
        width: channels of nodes and edges.
        blocks: steps of message passing, before the lattice and after it.
        latent: channels on the lattice.
        kernel_in: hidden channels of the kernel onto the lattice; that of the kernel back has 32 and 64.
        processor_layers: layers of the operator on the lattice.
        projection: hidden channels of the point-wise network after the lattice.
        lattice: lattice points along each axis.
        lattice_radius: reach of the transforms in the unit of the data, while the lattice is fixed.
        classes: rows of the table of materials; the releases have 9.
        dropout: share that the attention drops in training.
        raw_velocities: velocities are not normalised.
        source_coords: kernels see where a source is and not where their result goes.
        shared_lattice: all scenes of a batch are put onto one lattice.
        fixed_lattice: the lattice spans a fixed box, which need not be that of the data; otherwise it spans the walls of each
            scene, with a reach that covers all of it, and coordinates are distances to the lower walls in lattice spacings.
        lattice_attention: the attention reads the lattice, and its gate the state; otherwise the other way round.
        squeeze: kernels see the d decoded numbers of a particle instead of its state.
        skip: whether the state of a particle is kept beside what comes from the lattice.

    Raises:
        ValueError: the preset is not known or does not fit the dimension, or there are fewer classes than materials.

    Source: Viswanath et al. 2024, "Reduced-order neural operators", arXiv 2407.03925.
    """

    def __init__(
        self,
        sizes: StepperSizes,
        *,
        preset: Preset = "authors3d",
        width: int = 128,
        blocks: int | None = None,
        latent: int | None = None,
        kernel_in: Sequence[int] | None = None,
        processor_layers: int | None = None,
        projection: Sequence[int] | None = None,
        lattice: int | None = None,
        lattice_radius: float | None = None,
        classes: int = CLASSES,
        dropout: float = 0.3,
        raw_velocities: bool = True,
        source_coords: bool = True,
        shared_lattice: bool = True,
        fixed_lattice: bool = True,
        lattice_attention: bool = True,
        squeeze: bool | None = None,
        skip: bool | None = None,
    ):
        super().__init__(sizes)
        if preset not in _PRESETS:
            raise ValueError(f"AuthorsGIOROM: expected a preset of {', '.join(_PRESETS)}, got {preset!r}")
        if preset != "v1_fno" and sizes.dim != int(preset[-2]):
            raise ValueError(f"AuthorsGIOROM: {preset} is made for {preset[-2]} dimensions, got {sizes.dim}; take another preset")
        if classes < len(sizes.materials):
            raise ValueError(f"AuthorsGIOROM: expected at least {len(sizes.materials)} classes, one a material, got {classes}")
        given: dict[str, Any] = {
            "blocks": blocks,
            "latent": latent,
            "kernel_in": kernel_in,
            "processor_layers": processor_layers,
            "projection": projection,
            "lattice": lattice,
            "lattice_radius": lattice_radius,
            "squeeze": squeeze,
            "skip": skip,
        }
        of = replace(_PRESETS[preset], **{name: value for name, value in given.items() if value is not None})
        d = sizes.dim
        self.raw_velocities, self.shared_lattice, self.fixed_lattice = raw_velocities, shared_lattice, fixed_lattice
        self.squeeze, self.skip = of.squeeze, of.skip

        self.embedding = nn.Embedding(classes, 16)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.encode_nodes = simulator_mlp(16 + (sizes.history + 2) * d, width)
        self.encode_edges = simulator_mlp(d + 1, width)
        self.decode = simulator_mlp(width, width, d)
        self.before, self.after = (
            nn.ModuleList(InteractionBlock(width, spectral=of.spectral) for _ in range(of.blocks)) for _ in range(2)
        )

        self.plane = nn.Linear(3, 2) if of.flatten and d == 3 else None
        axes = 2 if of.flatten else d
        box = of.box if fixed_lattice else (0.0, of.lattice - 1.0)
        # Half the diagonal of a lattice cell, and a tenth more, reaches a node from everywhere.
        radius = of.lattice_radius if fixed_lattice else 1.1 * axes**0.5 / 2
        self.lattice = Lattice(of.lattice, (box,) * axes)
        carried = d if of.squeeze else width
        channels = of.latent or d
        coords: Literal["source", "relative"] = "source" if source_coords else "relative"
        self.kernel_in = KernelTransform(axes, [carried, *of.kernel_in, channels], radius, coords=coords, shared=shared_lattice)
        self.kernel_out = KernelTransform(axes, [width, 32, 64, width], radius, "linear", coords=coords, shared=shared_lattice)
        self.processor: nn.Module
        if of.processor == "fno":
            self.processor = FNO(axes, channels, width, layers=of.processor_layers)
        else:
            self.processor = LinearAttentionOperator(
                channels,
                axes,
                width,
                layers=of.processor_layers,
                dropout=dropout,
                branch="lattice" if lattice_attention else "state",
                gate="state" if lattice_attention else "lattice",
            )
        self.project = mlp([width, *of.projection, width])

    def forward(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the acceleration of each particle."""
        v = velocities(graph)
        seen = node_features(graph, v if self.raw_velocities else self.scale.velocities(v))
        h = self.encode_nodes(torch.cat([self.embedding(graph.material), seen], -1))
        along = edge_features(graph)
        e = self.encode_edges(along)
        for block in self.before:
            h, e = block(h, e, graph.edge_index, along[:, -1])
        u = self.project(self._through_lattice(graph, self.decode(h) if self.squeeze else h))
        h = u + h if self.skip else u
        for block in self.after:
            h, e = block(h, e, graph.edge_index, along[:, -1])
        return self.decode(h) * self.scale.acceleration_size + self.scale.acceleration_mean

    def _through_lattice(self, graph: ParticleGraph, f: Tensor) -> Tensor:
        x = self._places(graph)
        nodes = self.lattice.nodes(f)
        scenes = 1 if self.shared_lattice else graph.scenes
        y = nodes.repeat(scenes, 1)
        scene = torch.arange(scenes, device=f.device).repeat_interleave(len(nodes))
        z = self.kernel_in(f, x, y, graph.scene, scene).unflatten(0, (scenes, len(nodes)))
        if isinstance(self.processor, FNO):
            z = self.processor(z.unflatten(1, (self.lattice.count,) * self.lattice.dim)).flatten(1, -2)
        else:
            z = self.processor(z, nodes.expand(scenes, -1, -1))
        return self.kernel_out(z.flatten(0, 1), y, x, scene, graph.scene)

    def _places(self, graph: ParticleGraph) -> Tensor:
        """Returns where particles are relative to the lattice."""
        x = graph.newest
        if not self.fixed_lattice:
            low, high = graph.bounds.unbind(-1)
            spacing = (high - low).amax(-1, keepdim=True) / (self.lattice.count - 1)
            x = (x - low[graph.scene]) / spacing[graph.scene]
        if self.plane is not None:
            x = self.plane(x).tanh()
            if not self.fixed_lattice:
                x = (x + 1) / 2 * (self.lattice.count - 1)
        return x
