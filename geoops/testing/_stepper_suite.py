"""The tests that every stepper of particles passes: a new stepper's test is one class with a `build`."""

import copy
import io
import unittest

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from geoops.geometry._particle_graph import ParticleGraph

from ._particles import random_particles

_EXACT = {torch.float32: 1e-5, torch.float64: 1e-10}


def relative(a: Tensor, b: Tensor) -> float:
    """Returns the largest difference of two tensors as a fraction of the largest number in the second."""
    assert a.shape == b.shape, f"shapes {tuple(a.shape)} and {tuple(b.shape)} differ"
    return float((a - b).abs().max() / b.abs().max()) if len(a) else 0.0


class StepperSuite:
    """Inherited tests of a stepper; subclass it as ``TestMyNet`` and implement `build`.

    ```python
    class TestMyNet(StepperSuite):
        def build(self, dim, materials, history):
            return MyNet(StepperSizes(dim, materials, history), width=16)
    ```
    """

    #: Dimensions that `build` is asked for.
    dims: tuple[int, ...] = (2, 3)

    #: Whether accelerations stay when particles and walls are moved together.
    translation_invariant: bool = True

    #: Largest relative difference that this may make in float32, where positions are rounded and velocities with them.
    shift_bound: float = 1e-5

    #: Whether scenes of a batch do not see each other.
    batch_independent: bool = True

    #: Whether an untrained stepper lets particles fall freely.
    free_fall: bool = True

    #: Names of parameters that may have no gradient on first sight (for example behind a factor that starts at zero).
    no_gradient: tuple[str, ...] = ()

    def build(self, dim: int, materials: tuple[str, ...], history: int) -> nn.Module:
        """Returns a small stepper."""
        raise NotImplementedError("implement build(self, dim, materials, history) and return a small stepper")

    def ready(self, dim: int, dtype: torch.dtype = torch.float32, *, fresh: bool = False) -> nn.Module:
        """Returns the stepper in evaluation mode, with statistics.

        Unless it is to be fresh, parameters are moved a little, so that tests do not only see factors that start at zero.
        """
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = self.build(dim, ("jelly", "water"), 5)
            with torch.no_grad():
                if not fresh:
                    for p in net.parameters():
                        p.add_(0.05 * torch.randn_like(p))
                net.scale.velocity_std.fill_(0.01)
                net.scale.acceleration_std.fill_(1e-3)
                net.scale.noise.fill_(3e-4)
        return net.to(dtype).eval()

    def particles(self, dim: int, count: int = 40, seed: int = 0, dtype: torch.dtype = torch.float32) -> ParticleGraph:
        """Returns random particles."""
        return random_particles(count, dim, seed=seed, dtype=dtype)

    def test_shape_and_dtype(self):
        """Keeps the precision, with an acceleration for each particle."""
        for dim in self.dims:
            for dtype in _EXACT:
                with torch.no_grad():
                    a = self.ready(dim, dtype)(self.particles(dim, dtype=dtype))
                assert a.dtype == dtype
                assert a.shape == (40, dim)
                assert a.isfinite().all()

    def test_float64_agrees_with_float32(self):
        """Computes the same function in both precisions."""
        for dim in self.dims:
            net, graph = self.ready(dim), self.particles(dim)
            wide = graph.clone().apply(lambda t: t.double() if t.is_floating_point() else t)
            with torch.no_grad():
                assert relative(net(graph).double(), copy.deepcopy(net).double()(wide)) <= 1e-3

    def test_next_adds_the_acceleration(self):
        """Places particles by the last velocity and the acceleration."""
        for dim in self.dims:
            net, graph = self.ready(dim, torch.float64), self.particles(dim, dtype=torch.float64)
            with torch.no_grad():
                x = graph.positions
                assert torch.equal(net.next(graph), x[:, -1] + (x[:, -1] - x[:, -2]) + net(graph))

    def test_permutation(self):
        """Does not depend on the order of particles, nor on that of edges."""
        for dim in self.dims:
            for dtype, bound in _EXACT.items():
                net, graph = self.ready(dim, dtype), self.particles(dim, dtype=dtype)
                order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
                other = graph.clone()
                for name in ("positions", "rest", "material"):
                    setattr(other, name, getattr(graph, name)[order])
                place = order.argsort()
                shuffled = torch.randperm(graph.edge_index.shape[1], generator=torch.Generator().manual_seed(2))
                other.edge_index = place[graph.edge_index[:, shuffled]]
                with torch.no_grad():
                    assert relative(net(other), net(graph)[order]) <= bound, dtype

    def scene_alone(self, dim: int, dtype: torch.dtype) -> float:
        """Returns the largest relative difference of scenes alone and in a batch."""
        net = self.ready(dim, dtype)
        scenes = [self.particles(dim, count, seed=seed, dtype=dtype) for seed, count in enumerate((40, 25, 31))]
        with torch.no_grad():
            together = net(Batch.from_data_list(scenes))  # pyright: ignore[reportArgumentType]
            alone = torch.cat([net(scene) for scene in scenes])
        return relative(together, alone)

    def test_batch_independent(self):
        """Sees each scene of a batch as if it were alone."""
        if not self.batch_independent:
            raise unittest.SkipTest("scenes of a batch see each other")
        for dim in self.dims:
            assert self.scene_alone(dim, torch.float32) <= 1e-6
            assert self.scene_alone(dim, torch.float64) <= 1e-10

    def shift_changes(self, dim: int, dtype: torch.dtype = torch.float64) -> float:
        """Returns the largest relative difference of accelerations here and elsewhere."""
        net, graph = self.ready(dim, dtype), self.particles(dim, dtype=dtype)
        shift = torch.tensor([0.37, -1.21, 0.59], dtype=dtype)[:dim]
        there = graph.clone()
        there.positions, there.rest = graph.positions + shift, graph.rest + shift
        there.bounds = graph.bounds + shift[:, None]
        with torch.no_grad():
            return relative(net(there), net(graph))

    def test_translation_invariant(self):
        """Gives the same accelerations when particles and walls are moved together."""
        if not self.translation_invariant:
            raise unittest.SkipTest("accelerations depend on where the scene is")
        for dim in self.dims:
            for dtype in _EXACT:
                bound = self.shift_bound if dtype == torch.float32 else 1e-5
                assert self.shift_changes(dim, dtype) <= bound, dtype

    def test_free_fall(self):
        """Gives gravity before anything is learned."""
        if not self.free_fall:
            raise unittest.SkipTest("does not start from free fall")
        for dim in self.dims:
            net, graph = self.ready(dim, fresh=True), self.particles(dim)
            with torch.no_grad():
                assert (net(graph) - graph.gravity).abs().max() <= 1e-6

    def test_few_particles(self):
        """Takes isolated particles, d + 2 of them, one, and none."""
        for dim in self.dims:
            net = self.ready(dim)
            for count in (dim + 2, 1, 0):
                for reach in (1e-3, 10.0):
                    graph = self.particles(dim, count)
                    graph.radius = torch.tensor([reach])
                    with torch.no_grad():
                        a = net(graph.joined())
                    assert a.shape == (count, dim)
                    assert a.isfinite().all()

    def test_no_scene_is_lost(self):
        """Takes a scene without particles between others."""
        for dim in self.dims:
            net = self.ready(dim)
            first, last = self.particles(dim, 12), self.particles(dim, 9, seed=1)
            batch = Batch.from_data_list([first, self.particles(dim, 0), last])  # pyright: ignore[reportArgumentType]
            with torch.no_grad():
                a = net(batch)
                assert a.shape == (21, dim)
                assert a.isfinite().all()
                if self.batch_independent:
                    assert relative(a[:12], net(first)) <= 1e-6

    def test_same_input_same_output(self):
        """Is deterministic in evaluation mode."""
        for dim in self.dims:
            net, graph = self.ready(dim), self.particles(dim)
            with torch.no_grad():
                assert torch.equal(net(graph), net(graph))

    def test_save_and_load(self):
        """Comes back from a file of plain tensors, statistics included."""
        for dim in self.dims:
            net, graph = self.ready(dim), self.particles(dim)
            file = io.BytesIO()
            torch.save(net.state_dict(), file)
            file.seek(0)
            other = self.build(dim, ("jelly", "water"), 5)
            other.load_state_dict(torch.load(file, weights_only=True))
            with torch.no_grad():
                assert torch.equal(net(graph), other.eval()(graph))

    def test_gradients_reach_every_parameter(self):
        """Trains each parameter, and gives finite gradients to positions."""
        for dim in self.dims:
            net, graph = self.ready(dim).train(), self.particles(dim)
            graph.positions.requires_grad_()
            (net(graph) / 1e-3 - 1).square().mean().backward()
            assert graph.positions.grad is not None
            assert graph.positions.grad.isfinite().all()
            for name, p in net.named_parameters():
                if name not in self.no_gradient:
                    assert p.grad is not None, f"{name} has no gradient"
                    assert p.grad.isfinite().all(), f"the gradient of {name} is not finite"
                    assert p.grad.abs().sum() > 0, f"the gradient of {name} is zero"

    def test_a_step_lowers_the_loss(self):
        """Lowers the loss in a few steps of AdamW."""
        for dim in self.dims:
            net, graph = self.ready(dim, fresh=True).train(), self.particles(dim)
            target = 1e-3 * torch.sin(5 * graph.newest)
            optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
            losses = []
            for _ in range(12):
                optimiser.zero_grad()
                loss = ((net(graph) - target) / 1e-3).square().mean()
                loss.backward()
                optimiser.step()
                losses.append(float(loss.detach()))
            assert min(losses[6:]) < losses[0], f"does not learn: {losses}"

    def test_cuda(self):
        """Gives the same accelerations on a GPU, where there is one."""
        if not torch.cuda.is_available():
            raise unittest.SkipTest("no CUDA device")
        for dim in self.dims:
            net, graph = self.ready(dim), self.particles(dim)
            with torch.no_grad():
                here = net(graph)
                there = net.cuda()(graph.clone().to("cuda")).cpu()
            assert relative(there, here) <= 1e-3
