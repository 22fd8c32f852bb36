"""The time stepper of GIOROM with the flaws of the published one mended: our default."""

from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from geoops import ops
from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers import EdgeBlock, FromLattice, Stencil, ToLattice, UNet
from geoops.models._stepper import Stepper, StepperSizes

EMBEDDING = 16
DEGREE = {2: 12.0, 3: 20.0}  # usual numbers of neighbours


@final
class GIOROM(Stepper):
    r"""Messages on the graph of a sparse sample, a network on a lattice, messages again; the sum is what gravity leaves out.

    $$h = \mathrm{enc}(x),\quad h \leftarrow \mathrm{edges}^{K}(h),\quad h \leftarrow h + P\,U(\mathrm{to\,lattice}(h)),\quad
    h \leftarrow \mathrm{edges}^{K}(h),\quad a = g + s\,\mathrm{dec}(h)$$

    The last layer starts at zero: a new network lets everything fall freely. Node features are normalised velocities, the
    distances to the walls in radii, the material, the logarithm of the distance between samples, and the deformation of the
    neighbourhood since the start; edges know the present and the first displacement of their particles. Everything is
    relative, so that moving particles and walls together changes nothing, and all sums over neighbours are means, so that
    the number of samples can change.

    With `momentum` the last layer gives each particle matrices instead of an acceleration, which act like stresses:

    $$a_i = g + \frac{s}{k} \sum_j \big[w(d_{ij}) \{(A_i + A_j)\,d_{ij} + (C_i + C_j)\,\dot d_{ij}\}
    + w(D_{ij})\,(B_i + B_j)\,D_{ij}\big] + s\,w_i\,b_i$$

    with present displacements d and first ones D in radii, smooth weights w and the usual number of neighbours k. What two
    particles do to each other sums up to nothing, so that only gravity and the walls, within their reach w_i, move the centre of
    mass.

    Args:
        sizes: dimension, materials and history.
        width: channels of the nodes.
        before: blocks of messages before the lattice.
        after: blocks of messages after it.
        lattice: cells along the longest axis of the box.
        processor: what works on the lattice, `unet` or `none`.
        channels: of the U-Net at each resolution.
        rest: whether the first positions are seen; without them the network is one for fluids.
        momentum: whether what particles do to each other sums up to nothing; otherwise accelerations are free, as in the paper.

    Source: Viswanath et al., "Reduced-Order Neural Operators", arXiv 2407.03925. Ours: the lattice of the box, splines instead
    of a ball around each node, means with smooth weights, the U-Net, the deformation, free fall as the start.
    """

    def __init__(
        self,
        sizes: StepperSizes,
        *,
        width: int = 64,
        before: int = 2,
        after: int = 2,
        lattice: int = 32,
        processor: Literal["unet", "none"] = "unet",
        channels: Sequence[int] = (16, 32, 64),
        rest: bool = True,
        momentum: bool = True,
    ):
        super().__init__(sizes)
        d = sizes.dim
        self.lattice, self.rest = lattice, rest
        nodes = d * sizes.history + 2 * d + EMBEDDING + 1 + (d * d if rest else 0)
        edges = 2 * d + 1 + (d + 1 if rest else 0)
        self.embedding = nn.Embedding(len(sizes.materials), EMBEDDING)
        self.encoder = nn.Sequential(nn.Linear(nodes, width), nn.SiLU(), nn.Linear(width, width))
        self.before = nn.ModuleList([EdgeBlock(width, edges) for _ in range(before)])
        self.after = nn.ModuleList([EdgeBlock(width, edges) for _ in range(after)])
        self.processor = None
        if processor == "unet":
            fine = channels[0]
            self.into = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, fine))
            self.to_lattice, self.from_lattice = ToLattice(d, fine), FromLattice(d, fine)
            self.processor = UNet(d, fine + 1, fine, channels)
            self.out_of = nn.Linear(fine, width)
        self.momentum = momentum
        self._kinds = 3 if rest else 2
        outputs = self._kinds * d * d + d if momentum else d
        self.decoder = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))
        nn.init.zeros_(self.decoder[-1].weight)
        nn.init.zeros_(self.decoder[-1].bias)

    def forward(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the acceleration of each particle, in length per frame squared."""
        scene, (source, target) = graph.scene, graph.edge_index
        x, r = graph.newest, graph.radius[scene, None]
        gap = (x.index_select(0, source) - x.index_select(0, target)) / r.index_select(0, target)
        distance = gap.norm(dim=1, keepdim=True)
        bump = (1 - distance.square()).clamp_min(0) ** 2
        weight = bump[:, 0] + 1e-3
        v = self.scale.velocities(graph.positions.diff(dim=1))
        newest = v[:, -1]
        edges = [gap, distance, newest.index_select(0, source) - newest.index_select(0, target)]
        nodes = [v.flatten(1), self._walls(graph, x, r), self.embedding(graph.material), (graph.spacing.log() + 3.5)[scene, None]]
        if self.rest:
            first = (graph.rest.index_select(0, source) - graph.rest.index_select(0, target)) / r.index_select(0, target)
            length = first.norm(dim=1, keepdim=True)
            soft = (1 + (length / 3).square()).rsqrt()
            edges += [first * soft, length * soft]
            near = weight * (1 + length[:, 0].square()).reciprocal() ** 2
            nodes.append(_deformation(gap, first, near, target, len(x)))
        e = torch.cat(edges, 1)
        total = ops.scatter(weight, target, 0, len(x))
        weight = weight / total.index_select(0, target)
        h = self.encoder(torch.cat(nodes, 1))
        for block in self.before:
            h = block(h, e, weight, graph.edge_index)
        if self.processor is not None:
            h = h + self._through_lattice(graph, h, x)
        for block in self.after:
            h = block(h, e, weight, graph.edge_index)
        out = self.decoder(h)
        if self.momentum:
            out = self._reactions(graph, out, x) + self._forces(out, edges, bump, graph.edge_index)
        return graph.gravity[scene] + self.scale.acceleration_size * out

    def _walls(self, graph: ParticleGraph, x: Tensor, r: Tensor) -> Tensor:
        low, high = graph.bounds[graph.scene].unbind(2)
        return torch.cat([(x - low) / r, (high - x) / r], 1).clamp(-1, 1)

    def _through_lattice(self, graph: ParticleGraph, h: Tensor, x: Tensor) -> Tensor:
        stencil = Stencil.of(x, graph.scene, graph.bounds, self.lattice)
        cell = (graph.bounds[..., 1] - graph.bounds[..., 0]).amax(1) / self.lattice
        fill = (graph.spacing / cell).pow(x.shape[1])[graph.scene]
        z = self.processor(self.to_lattice(self.into(h), fill, stencil))
        return self.out_of(self.from_lattice(z, stencil))

    def _forces(self, out: Tensor, edges: list[Tensor], bump: Tensor, edge_index: Tensor) -> Tensor:
        """Returns what the particles do to each other: two that meet get the opposite of each other."""
        d, (source, target) = self.sizes.dim, edge_index
        arms = [edges[0] * bump, edges[2] * bump]
        if self.rest:
            length = edges[4]  # squashed, but below a radius about the true one
            arms.append(edges[3] * (1 - length.square()).clamp_min(0) ** 2)
        matrices = out[:, : self._kinds * d * d]
        both = matrices.index_select(0, source) + matrices.index_select(0, target)
        force = torch.bmm(both.unflatten(1, (self._kinds, d, d)).transpose(1, 2).flatten(2), torch.cat(arms, 1)[:, :, None])
        return ops.scatter(force[:, :, 0], target, 0, len(out)) / DEGREE[d]

    def _reactions(self, graph: ParticleGraph, out: Tensor, x: Tensor) -> Tensor:
        """Returns what the walls do to the particles within their reach."""
        low, high = graph.bounds[graph.scene].unbind(2)
        cell = (graph.bounds[..., 1] - graph.bounds[..., 0]).amax(1) / self.lattice
        reach = (graph.radius + 1.5 * cell)[graph.scene]
        nearest = torch.minimum(x - low, high - x).amin(1)
        return (1 - nearest / reach).clamp(0, 1)[:, None] * out[:, -self.sizes.dim :]


def _deformation(gap: Tensor, first: Tensor, weight: Tensor, target: Tensor, n: int) -> Tensor:
    """Returns tanh(F - 1) of the best affine map from first to present displacements of the neighbours."""
    d = gap.shape[1]
    w = weight[:, None, None]
    both = torch.cat([gap[:, :, None] * first[:, None], first[:, :, None] * first[:, None]], 1)
    moments = ops.scatter((w * both).flatten(1), target, 0, n).unflatten(1, (2 * d, d))
    one = torch.eye(d, dtype=gap.dtype, device=gap.device)
    trace = moments[:, d:].diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    ridge = 1e-2 * trace / d + 1e-6
    F = torch.linalg.solve_ex(moments[:, d:] + ridge * one, moments[:, :d] + ridge * one, left=False)[0]
    return (F - one).tanh().flatten(1)
