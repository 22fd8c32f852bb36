"""The tests that every network passes: a new model's test is one class with a `build`."""

import copy
import io
import unittest

import torch
from torch import Tensor, nn

from geoops.geometry import Shapes, Sizes

from ._assertions import (
    assert_batch_independent,
    assert_padding_ignored,
    assert_permutation,
    assert_query_independent,
    evaluate,
    largest,
)
from ._shapes import shapes_for


class ModelSuite:
    """Inherited tests of a network; subclass it as ``TestMyNet`` and implement `build`.

    ```python
    class TestMyNet(ModelSuite):
        def build(self, sizes):
            return MyNet(sizes, hidden=16)
    ```
    """

    #: Channel counts that `build` receives.
    sizes = Sizes(dim=2, inputs=5, outputs=2, globals=1)

    #: Largest difference allowed by the float32 comparisons.
    atol = 1e-5

    #: Names of parameters that may have no gradient on first sight (for example behind a factor that starts at zero).
    no_gradient: tuple[str, ...] = ()

    def build(self, sizes: Sizes) -> nn.Module:
        """Returns a small network for these sizes."""
        raise NotImplementedError("implement build(self, sizes) and return a small network")

    def ready(self, count: int = 3, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Shapes]:
        """Returns the network in evaluation mode, with its statistics fitted, and some shapes."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = self.build(self.sizes).to(dtype)
        shapes = shapes_for(self.sizes, count, dtype=dtype)
        for stage in network.stages:
            network.begin_stage(stage, lambda: [shapes])
        return network.eval(), shapes

    def loss(self, network: nn.Module, stage: str, shapes: Shapes) -> Tensor:
        """Returns the loss of a stage with a smooth target at the nodes."""
        target = torch.sin(2 * shapes.pos.sum(-1, keepdim=True)).expand(-1, -1, self.sizes.outputs)

        def mean_square(prediction: Tensor, target: Tensor) -> Tensor:
            return (prediction - target)[shapes.mask].square().mean()

        return network.stage_loss(stage, shapes, shapes.pos, shapes.sdf, target, mean_square)

    def test_float32(self):
        """Keeps float32, with a value per query and output."""
        network, shapes = self.ready()
        field = network(shapes)
        assert field.dtype == torch.float32
        assert field.shape == (*shapes.pos.shape[:2], self.sizes.outputs)
        assert field[shapes.mask].isfinite().all()

    def test_float64_agrees_with_float32(self):
        """Computes the same function in both precisions."""
        low, shapes = self.ready()
        wide = evaluate(copy.deepcopy(low).double(), shapes.to(torch.float64))
        assert wide.dtype == torch.float64
        torch.testing.assert_close(evaluate(low, shapes)[shapes.mask], wide[shapes.mask].float(), atol=1e-3, rtol=1e-3)

    def test_forward_is_decode_of_encode(self):
        """Gives the same field in one call as by encoding and decoding."""
        network, shapes = self.ready()
        with torch.no_grad():
            whole = network(shapes)
        assert largest(whole[shapes.mask], evaluate(network, shapes)[shapes.mask]) <= self.atol

    def test_same_input_same_output(self):
        """Is deterministic in evaluation mode."""
        network, shapes = self.ready()
        assert torch.equal(evaluate(network, shapes), evaluate(network, shapes))

    def test_save_and_load(self):
        """Comes back from a file of plain tensors."""
        network, shapes = self.ready()
        file = io.BytesIO()
        torch.save(network.state_dict(), file)
        file.seek(0)
        other = self.build(self.sizes)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(evaluate(network, shapes), evaluate(other.eval(), shapes))

    def test_gradients_reach_every_parameter(self):
        """Trains each parameter in some stage, and no other parameter of that stage is left without a gradient."""
        network, shapes = self.ready()
        network.train()
        reached = set()
        names = {parameter: name for name, parameter in network.named_parameters()}
        for stage in network.stages:
            network.begin_stage(stage, lambda: [shapes])
            trained = network.stage_parameters(stage)
            network.zero_grad()
            self.loss(network, stage, shapes).backward()
            for parameter in trained:
                name = names[parameter]
                assert parameter.grad is not None, f"{name} has no gradient in stage {stage!r}"
                assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite in stage {stage!r}"
                if parameter.grad.abs().sum() > 0:
                    reached.add(name)
        wanted = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert not (left := wanted - reached - set(self.no_gradient)), f"no gradient reaches {sorted(left)}"

    def test_a_step_lowers_the_loss(self):
        """Lowers the loss of each stage in a few steps of AdamW."""
        network, shapes = self.ready()
        network.train()
        for stage in network.stages:
            network.begin_stage(stage, lambda: [shapes])
            optimiser = torch.optim.AdamW(network.stage_parameters(stage), lr=1e-3)
            history = []
            for _ in range(8):
                optimiser.zero_grad()
                loss = self.loss(network, stage, shapes)
                loss.backward()
                optimiser.step()
                network.after_step(stage)
                history.append(float(loss.detach()))
            assert min(history[4:]) < history[0], f"stage {stage!r} does not learn: {history}"

    def test_batch_independent(self):
        """Sees each shape of a batch as if it were alone."""
        assert_batch_independent(*self.ready(count=4), atol=self.atol)

    def test_query_independent(self):
        """Sees each query as if it were alone, also in chunks, and none at all."""
        assert_query_independent(*self.ready(), atol=self.atol)

    def test_padding_ignored(self):
        """Does not look at padding."""
        assert_padding_ignored(*self.ready(), atol=self.atol)

    def test_permutation(self):
        """Does not depend on the order of nodes and tokens."""
        assert_permutation(*self.ready(), atol=self.atol)

    def test_cuda(self):
        """Gives the same field on a GPU, where there is one."""
        if not torch.cuda.is_available():
            raise unittest.SkipTest("no CUDA device")
        network, shapes = self.ready()
        field = evaluate(network, shapes)
        there = evaluate(network.cuda(), shapes.to("cuda")).cpu()
        torch.testing.assert_close(field[shapes.mask], there[shapes.mask], atol=1e-3, rtol=1e-3)
