"""The time stepper of GIOROM with the flaws of the published one mended: our default."""

import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from geoops import ops
from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers import EdgeBlock, FromLattice, Stencil, ToLattice, lattice_processor
from geoops.models._stepper import Stepper, StepperSizes

EMBEDDING = 16
EVEN = {2: math.pi / 3, 3: 32 * math.pi / 105}  # integral of the weights of neighbours over the disc or the ball
STRAIN = 8  # what strains are multiplied with, so that those of some per cent are seen
SEEN = 5  # of the velocities of a window, the last ones that nodes see


@final
class GIOROM(Stepper):
    r"""Messages on the graph of a sparse sample, a network on a lattice, messages again; the sum is what gravity leaves out.

    $$h = \mathrm{enc}(x),\quad h \leftarrow \mathrm{edges}^{K}(h),\quad h \leftarrow h + P\,U(\mathrm{to\,lattice}(h)),\quad
    h \leftarrow \mathrm{edges}^{K}(h),\quad a = g + s\,\mathrm{dec}(h)$$

    The last layer starts at zero: a new network lets everything fall freely. Nodes know past accelerations, the distances to the
    walls in units of their reach and, near walls, their velocity, the material, gravity, the logarithm of the distance between
    samples, and the strain of the neighbourhood since a reference X; edges know the displacement of their particles and its rate,
    and how it differs from the one in the reference, turned with the rotation R of the neighbourhood,

    $$x_j - x_i - R_i (X_j - X_i), \qquad F_i = R_i S_i = \arg\min_F \textstyle\sum_j w_{ij} |x_j - x_i - F (X_j - X_i)|^2 .$$

    The reference are the first positions for what goes back to its shape, or the first ones of the window, which have to be some
    twenty frames before, for what forgets it. Where it is not the start, nodes also know the density of the samples, and with a
    window by how much the volume has grown since the start, det F. A body that moves and turns without a change of shape thus
    looks the same in all directions and at all speeds. Everything is relative, so that moving particles and walls together changes
    nothing, and all sums over neighbours are means, so that the number of samples can change.

    With `momentum` there are two outputs, reactions of the walls f, along their normals n and within their reach only, and one
    from which what moves or turns its scene as a rigid body is taken away,

    $$a_i = g + s\,\big(\textstyle\sum_f w_{if}\,\phi(b_{if})\,n_f + c_i - \bar c - \omega \times (x_i - \bar x)\big), \qquad
    \sum_i (x_i - \bar x) \times (c_i - \omega \times (x_i - \bar x)) = 0,$$

    so that only gravity and walls change momentum and angular momentum; walls push with $\phi(b) = b$ and pull a tenth as much.
    Without it small errors add up: a body in free flight leaves its parabola, or hangs at the ceiling.

    Args:
        sizes: dimension, materials and history.
        width: channels of the nodes.
        before: blocks of messages before the lattice.
        after: blocks of messages after it.
        lattice: cells along the longest axis of the box.
        processor: what works on the lattice: `unet`; `fno` or `attention` as in the releases of the paper; or `none`.
        channels: of the U-Net at each resolution; others take the first for the lattice and the last, a multiple of 4 for
            attention, for themselves.
        reference: what strains are seen against: positions at the `start` of the motion or of the `window`, or `none`.
        rate: what strains per frame are multiplied with; larger where small ones matter, as in plasticine, whose stress has the
            direction in which it flows.
        momentum: whether particles cannot change their common momentum; otherwise accelerations are free, as in the paper.

    Raises:
        ValueError: an option is not known or out of range.

    Source: Viswanath et al., "Reduced-Order Neural Operators", arXiv 2407.03925. Ours: the lattice of the box, splines instead
    of a ball around each node, means with smooth weights, the U-Net, co-rotated shapes, free fall as the start.
    """

    def __init__(
        self,
        sizes: StepperSizes,
        *,
        width: int = 64,
        before: int = 2,
        after: int = 2,
        lattice: int = 32,
        processor: Literal["unet", "fno", "attention", "none"] = "unet",
        channels: Sequence[int] = (16, 32, 64),
        reference: Literal["start", "window", "none"] = "start",
        rate: float = 8.0,
        momentum: bool = True,
    ):
        super().__init__(sizes)
        if processor not in ("unet", "fno", "attention", "none"):
            raise ValueError(f"GIOROM: expected processor unet, fno, attention or none, got {processor!r}")
        if reference not in ("start", "window", "none"):
            raise ValueError(f"GIOROM: expected reference start, window or none, got {reference!r}")
        if min(width, lattice) < 1 or min(before, after) < 0:
            raise ValueError(
                "GIOROM: expected width >= 1, lattice >= 1, before >= 0 and after >= 0, "
                f"got {width}, {lattice}, {before} and {after}"
            )
        if not rate > 0:
            raise ValueError(f"GIOROM: expected rate > 0, got {rate}")
        if not channels or min(channels) < 1:
            raise ValueError(f"GIOROM: expected channels of the U-Net >= 1, got {tuple(channels)}")
        d = sizes.dim
        self.lattice, self.reference, self.rate = lattice, reference, rate
        strains = reference != "none"
        volumes = {"start": 0, "window": 2, "none": 1}[reference]
        nodes = d * min(sizes.history, SEEN) + 3 * d + EMBEDDING + 1 + (d * d if strains else 0) + volumes
        edges = 2 * d + 1 + (d + 1 if strains else 0)
        self.embedding = nn.Embedding(len(sizes.materials), EMBEDDING)
        self.encoder = nn.Sequential(nn.Linear(nodes, width), nn.SiLU(), nn.Linear(width, width))
        self.before = nn.ModuleList([EdgeBlock(width, edges) for _ in range(before)])
        self.after = nn.ModuleList([EdgeBlock(width, edges) for _ in range(after)])
        self.processor = None
        if processor != "none":
            fine = channels[0]
            self.into = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, fine))
            self.to_lattice, self.from_lattice = ToLattice(d, fine), FromLattice(d, fine)
            self.processor = lattice_processor(processor, d, fine + 1, fine, channels)
            self.out_of = nn.Linear(fine, width)
        self.momentum = momentum
        outputs = 3 * d if momentum else d
        self.decoder = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs))
        nn.init.zeros_(self.decoder[-1].weight)
        nn.init.zeros_(self.decoder[-1].bias)

    def forward(self, graph: ParticleGraph) -> Float[Tensor, "particles dim"]:
        """Returns the acceleration of each particle, in length per frame squared."""
        d, scene, (source, target) = self.sizes.dim, graph.scene, graph.edge_index
        x, r = graph.newest, graph.radius[scene, None]
        gap = (x.index_select(0, source) - x.index_select(0, target)) / r.index_select(0, target)
        distance = gap.norm(dim=1, keepdim=True)
        weight = (1 - distance[:, 0].square()).clamp_min(0) ** 2 + 1e-3
        v = graph.positions[:, -SEEN - 1 :].diff(dim=1)
        rate = (v[:, -1].index_select(0, source) - v[:, -1].index_select(0, target)) / r.index_select(0, target)
        edges = [gap, distance, _bounded(self.rate * rate)]
        pull = (graph.gravity / self.scale.acceleration_size).clamp(-10, 10)[scene]
        size = (graph.spacing.log() + 3.5)[scene, None]
        walls = self._to_walls(graph, x)
        near_wall = (1.5 - walls).clamp(0, 1).amax(1, keepdim=True)
        past = (v.diff(dim=1) / self.scale.acceleration_size).flatten(1)
        towards = near_wall * self.scale.velocities(v[:, -1])
        nodes = [past, towards, walls.clamp(-1, 1.5), self.embedding(graph.material), pull, size]
        total = ops.scatter(weight, target, 0, len(x))

        def apart(points: Tensor) -> Tensor:
            return (points.index_select(0, source) - points.index_select(0, target)) / r.index_select(0, target)

        if self.reference != "start":
            full = 1 + EVEN[d] * (r / graph.spacing[scene, None]).pow(d)
            nodes.append(_bounded(STRAIN * (total[:, None] / full - 1)))
        if self.reference == "window":
            nodes.append(_bounded(STRAIN * _dilation(gap, apart(graph.rest), weight, target, len(x)))[:, None])
        if self.reference != "none":
            first = apart(graph.rest if self.reference == "start" else graph.positions[:, 0])
            length = first.norm(dim=1, keepdim=True)
            now, then = _deformation(gap, first, weight, target, len(x))
            turn, stretch = ops.polar(now)
            turned = (turn.index_select(0, target) @ first[:, :, None])[..., 0]
            edges += [_bounded(STRAIN * (gap - turned)), _bounded(STRAIN * (distance - length))]
            nodes.append(_bounded(STRAIN * (turn @ (stretch - then) @ turn.mT)).flatten(1))
        e = torch.cat(edges, 1)
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
            out = self._reactions(walls, out[:, d:]) + without_rigid(out[:, :d], x, scene, graph.scenes)
        return graph.gravity[scene] + self.scale.acceleration_size * out

    def _to_walls(self, graph: ParticleGraph, x: Tensor) -> Tensor:
        """Returns distances to the lower and the upper walls, in units of their reach."""
        low, high = graph.bounds[graph.scene].unbind(2)
        cell = (graph.bounds[..., 1] - graph.bounds[..., 0]).amax(1) / self.lattice
        reach = (0.6 * graph.radius + 0.75 * cell)[graph.scene, None]
        return torch.cat([x - low, high - x], 1) / reach

    def _through_lattice(self, graph: ParticleGraph, h: Tensor, x: Tensor) -> Tensor:
        stencil = Stencil.of(x, graph.scene, graph.bounds, self.lattice)
        cell = (graph.bounds[..., 1] - graph.bounds[..., 0]).amax(1) / self.lattice
        fill = (graph.spacing / cell).pow(x.shape[1])[graph.scene]
        z = self.processor(self.to_lattice(self.into(h), fill, stencil))
        return self.out_of(self.from_lattice(z, stencil))

    def _reactions(self, walls: Tensor, push: Tensor) -> Tensor:
        """Returns what the walls do to the particles within their reach, along the normals of the walls."""
        up, down = ((1 - walls).clamp(0, 1) * F.leaky_relu(push, 0.1)).chunk(2, 1)
        return up - down


def _bounded(x: Tensor) -> Tensor:
    """Returns numbers no larger than 3, and small ones as they are."""
    return x * (1 + (x / 3).square()).rsqrt()


def _deformation(gap: Tensor, first: Tensor, weight: Tensor, target: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Returns the best linear maps to the present displacements of the neighbours from the first ones, and to the first ones.

    The second is the identity but for the regularisation, which matters where neighbours are on one line or there are none.
    """
    d = gap.shape[1]
    w = (weight * (1 + first.square().sum(1)).reciprocal() ** 2)[:, None, None]
    both = torch.cat([gap[:, :, None] * first[:, None], first[:, :, None] * first[:, None]], 1)
    moments = ops.scatter((w * both).flatten(1), target, 0, n).unflatten(1, (2 * d, d))
    size = moments[:, d:].diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    ridge = (1e-2 * size / d + 1e-9) * torch.eye(d, dtype=gap.dtype, device=gap.device)
    now, then = torch.linalg.solve_ex(moments[:, d:] + ridge, moments, left=False)[0].split(d, 1)
    return now, then


def _dilation(gap: Tensor, first: Tensor, weight: Tensor, target: Tensor, n: int) -> Tensor:
    """Returns by which share the volume around each particle has grown."""
    now, then = _deformation(gap, first, weight, target, n)
    return torch.linalg.det(now) - torch.linalg.det(then)


def without_rigid(
    a: Float[Tensor, "particles dim"], x: Float[Tensor, "particles dim"], scene: Int[Tensor, " particles"], scenes: int
) -> Float[Tensor, "particles dim"]:
    """Returns accelerations without the part that moves or turns the particles of a scene, of equal masses, as a rigid body."""
    d = a.shape[1]
    count = ops.scatter(torch.ones_like(a[:, :1]), scene, 0, scenes).clamp_min(1)
    arm = x - (ops.scatter(x, scene, 0, scenes) / count)[scene]
    a = a - (ops.scatter(a, scene, 0, scenes) / count)[scene]
    if d == 2:
        across = torch.stack([-arm[:, 1], arm[:, 0]], 1)
        turn = ops.scatter((across * a).sum(1, keepdim=True), scene, 0, scenes)
        inertia = ops.scatter(arm.square().sum(1, keepdim=True), scene, 0, scenes)
        return a - (turn / inertia.clamp_min(1e-12))[scene] * across
    turn = ops.scatter(torch.linalg.cross(arm, a), scene, 0, scenes)
    one = torch.eye(3, dtype=a.dtype, device=a.device)
    each = arm.square().sum(1)[:, None, None] * one - arm[:, :, None] * arm[:, None]
    inertia = ops.scatter(each.flatten(1), scene, 0, scenes).unflatten(1, (3, 3))
    size = inertia.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    regular = inertia + (1e-6 * size + 1e-12) * one  # particles on one line do not resist a turn around it
    spin = torch.linalg.solve_ex(regular, turn)[0]
    rest = turn - (inertia @ spin[:, :, None])[..., 0]  # one refinement takes away what the regularisation leaves
    spin = spin + torch.linalg.solve_ex(regular, rest)[0]
    return a - torch.linalg.cross(spin[scene], arm)
