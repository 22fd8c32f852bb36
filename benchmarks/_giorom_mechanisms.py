"""Defects of the published code of GIOROM that show without training, each beside what geoops does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from _giorom import chosen, decoder_of, number_of, placed
from growth import slope
from torch import Tensor, nn

from geoops import physics
from geoops.data import radius_of, window
from geoops.geometry import choose_samples, delaunay_graph
from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers import InteractionBlock, Lattice
from geoops.models import GIOROM, AuthorsGIOROM, IntegralKernel, Stepper, StepperSizes
from geoops.physics import Motion

Found = dict[str, Any]


class _There(nn.Module):
    """The best kernel that does not see the query: where the sample is now."""

    def forward(self, seen: Tensor) -> Tensor:
        return seen[..., seen.shape[-1] // 2 :]


def kernel_without_query() -> Found:
    """Defect 1: the kernel sees the source alone: queries with the same samples about them fall on one place.

    The published kernel is replaced by the best of its kind; the order is that of the error in the spacing of the samples.
    """
    axis = (torch.arange(64) + 0.5) / 64
    points = torch.cartesian_prod(axis, axis)
    moved = points + 0.05 * (2 * torch.pi * points).sin()
    numbers, errors = (64, 128, 256, 512, 1024), dict[str, list[float]]()
    inner = ((points > 0.2) & (points < 0.8)).all(1)
    places = {}
    for n in numbers:
        some = choose_samples(points, n, "fps")
        authors = IntegralKernel(2, coords="source", radius=0.15)
        authors.kernel = _There()
        for name in ("published kernel", "InverseDistance", "MovingLeastSquares", "LocalAffine"):
            decoder = authors if name == "published kernel" else decoder_of(name, 2)
            x = decoder(torch.stack([points[some], moved[some]]), points)[1]
            places.setdefault(name, []).append(len(x.unique(dim=0)))
            errors.setdefault(name, []).append(float((x - moved)[inner].square().sum(1).mean().sqrt()))
    order = {name: -2 * slope(list(numbers), values) for name, values in errors.items()}
    found = {"numbers": list(numbers), "errors": errors, "distinct_places": places, "queries": len(points), "order": order}
    return {**found, "published": order["published kernel"], "ours": order["LocalAffine"]}


def spectral_branch() -> Found:
    """Defect 3: a degenerate graph convolution, which neighbours do not change."""
    n, width = 200, 32
    graph = delaunay_graph(torch.rand(n, 2), loop=True)
    found: Found = {}
    for name, kind in {"published": "authors", "mended": "ssg"}.items():
        block = InteractionBlock(width, weighted=False, spectral=kind)  # type: ignore[arg-type]
        for parameter in block.update.parameters():
            parameter.zero_()  # what is left is the spectral branch
        h, e = torch.randn(n, width), torch.zeros(graph.shape[1], width)
        other = h.clone()
        other[0] += 1.0
        changed = (block(other, e, graph)[0] - block(h, e, graph)[0]).norm(dim=1) > 1e-6
        changed[0] = False
        found[name] = float(changed.sum())
    return {"unit": "other nodes that a change of one node reaches", **found, "ours": found["mended"]}


def shared_lattice(motions: Sequence[Motion]) -> Found:
    """Defect 4: all scenes of a batch are put onto one lattice."""
    from torch_geometric.data import Batch

    sizes = StepperSizes(motions[0].x.shape[2], motions[0].names)
    graphs = []
    for motion in motions[:3]:
        some = chosen(motion, number_of(motion, 1 / 16), "fps", 0)
        graphs.append(window(motion, some, len(motion) // 4, sizes.materials, 5, radius_of(motion, len(some))))
    alone, batch = graphs[0].joined(), Batch.from_data_list(graphs).joined()
    preset = f"authors{sizes.dim}d"
    networks: dict[str, Stepper] = {
        "published": AuthorsGIOROM(sizes, preset=preset),  # type: ignore[arg-type]
        "mended": AuthorsGIOROM(sizes, preset=preset, shared_lattice=False),  # type: ignore[arg-type]
        "ours": GIOROM(sizes),
    }

    def change(net: Stepper) -> float:
        net.eval()
        for parameter in net.parameters():
            if not bool(parameter.any()):
                nn.init.normal_(parameter, std=0.1)  # what starts at zero would hide what it stands behind
        a, b = net(_as_graph(alone)), net(_as_graph(batch))[: alone.num_nodes]
        return float((a - b).norm() / (a - a.mean(0)).norm())

    return {
        "unit": "relative change of accelerations when two scenes join",
        **{name: change(net) for name, net in networks.items()},
    }


def _as_graph(graph: Any) -> ParticleGraph:
    return graph


def coverage(motions: Sequence[Motion]) -> Found:
    """Defects 5 and 6: lattices that few particles have a point of within reach."""
    found: Found = {"unit": "share of particles with a lattice point in reach"}
    x2 = 0.1 + 0.8 * torch.rand(100_000, 2)
    x3 = torch.rand(100_000, 3)
    found["published, 2D"] = Lattice(32, ((-1.0, 1.0),) * 2).coverage(x2, 0.024)
    found["published, 3D large"] = Lattice(12, ((0.0, 1.0),) * 3).coverage(x3, 0.025)
    found["mended, 2D"] = Lattice(32, ((0.0, 31.0),) * 2).coverage(31 * x2, 1.1 * 2**0.5 / 2)
    found["mended, 3D"] = Lattice(12, ((0.0, 11.0),) * 3).coverage(11 * x3, 1.1 * 3**0.5 / 2)
    if motions[0].x.shape[2] == 2:
        seen = torch.cat([motion.x[::20].flatten(0, 1) for motion in motions])
        found["published, on these motions"] = Lattice(32, ((-1.0, 1.0),) * 2).coverage(seen, 0.024)
    return {**found, "published": found["published, 2D"], "ours": found["mended, 2D"]}


def pooled_deviation(motions: Sequence[Motion]) -> Found:
    """Defect 7: the deviation over trajectories of the deviation of each, in place of that of all numbers."""
    found: Found = {"unit": "deviation over that of all numbers"}
    for name, order in {"velocity": 1, "acceleration": 2}.items():
        values = [motion.x.double().diff(n=order, dim=0).flatten(0, 1) for motion in motions]
        each, pooled = torch.stack([v.std(0) for v in values]), torch.cat(values).std(0)
        found[name] = float((each.std(0) / pooled).mean()) if len(values) > 1 else float("nan")
    return {**found, "published": found["acceleration"], "ours": 1.0}


def one_way_edges(motions: Sequence[Motion]) -> Found:
    """Defect 9: Delaunay edges in one direction, and in 3D between three of the four corners."""
    from scipy.spatial import Delaunay

    motion = motions[0]
    some = chosen(motion, number_of(motion, 1 / 16), "fps", 0)
    points = motion.x[0, some].double()
    simplex = torch.from_numpy(Delaunay(points.numpy()).simplices).long()[:, :3]
    pairs = torch.cat([simplex[:, [0, 1]], simplex[:, [1, 2]], simplex[:, [0, 2]]]).sort(1)[0].unique(dim=0)
    found: Found = {"unit": "share of the nodes that a node hears of, after any number of steps", "nodes": len(some)}
    for name, edges in {"published": pairs.T, "ours": delaunay_graph(points)}.items():
        heard = torch.eye(len(some))
        heard[edges[1], edges[0]] = 1
        for _ in range(len(some).bit_length()):
            heard = (heard @ heard).clamp_max(1)
        found[name] = float(heard.mean())
    return found


def chamfer_of_subsets() -> Found:
    """Defect 15: Chamfer distances on random subsets of different sizes; even a perfect prediction has one."""
    dim = 3
    found: Found = {"unit": "Chamfer distance of two draws from one body, over that with 4096 points"}
    box = physics.Box((32,) * dim, 1 / 32)

    def of(x: Tensor) -> Motion:
        n = len(x)
        return Motion(x[None], 1.0, box, torch.zeros(n, dtype=torch.int64), ("jelly",), torch.ones(n))

    for n in (4096, 8192):
        a, b = torch.rand(2, n, dim)
        found[f"{n} points"] = float(physics.chamfer_distance(of(a), of(b), seeds=0).mean())
    return {**found, "published": found["8192 points"] / found["4096 points"], "ours": 1.0}


def splash_at_rest(motions: Sequence[Motion], frames: int = 100) -> Found:
    """Defect 19: neighbours of the start place a fluid that has mixed since."""
    found: Found = {"unit": f"Chamfer distance to the truth in frame {frames} of a splash"}
    for name in ("MovingLeastSquares", "FlowMap"):
        at, apart, end, outside = [], [], [], []
        for motion in motions:
            some = chosen(motion, number_of(motion, 1 / 16), "fps", 0)
            made = placed(decoder_of(name, motion.x.shape[2]), motion, some, motion.x[:, some])
            errors, k = physics.relative_displacement_error(made, motion, seeds=1), min(frames, len(motion) - 1)
            at.append(float(errors[k - 1]))
            end.append(float(errors[-1]))
            outside.append(float(physics.outside_fraction(made)[-1]))
            then, truth = (replace(m, x=m.x[k : k + 1]) for m in (made, motion))
            apart.append(float(physics.chamfer_distance(then, truth, seeds=0)))
        lists = {"displacement": at, "chamfer": apart, "displacement_at_the_end": end, "outside_at_the_end": outside}
        found[name] = {key: sum(values) / len(values) for key, values in lists.items()}
    return {**found, "published": found["MovingLeastSquares"]["chamfer"], "ours": found["FlowMap"]["chamfer"]}
