"""What trainings of steppers and decoders share: the network of a factory, its average, checkpoints and bundles."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from geoops.physics import Motion

from ._network_fit import NetworkFit
from ._network_options import build
from ._optimizers import build_optimizer
from ._particle_bundle import export_particles
from ._schedule import warmup_cosine


class ParticleFit(NetworkFit):
    """Trains a network for particles; batches come from the trainer's `ParticleData`.

    Args:
        network: builds the network from what the data fixes.
        base: class that it must have.
        options: of `NetworkFit`.
    """

    def __init__(
        self,
        network: Callable[[Any], nn.Module],
        base: type[nn.Module],
        **options: Any,
    ):
        super().__init__(**options)
        if isinstance(network, nn.Module):
            kind = type(network).__name__
            raise TypeError(f"network: expected what builds a network, such as its class or a partial of it, got a {kind}")
        self._factory, self._base = network, base

    # Building

    @abstractmethod
    def sizes(self) -> Any:
        """Returns what the data fixes and the factory needs."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Returns the loss of a batch."""

    @abstractmethod
    def data_facts(self) -> dict[str, Any]:
        """Returns what users of the network must know of the data."""

    def setup(self, stage: str) -> None:
        """Builds the network for the data."""
        data = self.trainer.datamodule
        if data is None:
            raise ValueError(f"{type(self).__name__} needs a ParticleData as datamodule: trainer.fit(fit, datamodule=data)")
        if self.network is None:
            # The weights depend on the seed only, not on what drew random numbers before.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(data.seed)
                self.adopt(*build(self._factory, self.sizes(), self._base))
            self.begin()
        if stage == "fit":
            self._check_budget()

    def begin(self) -> None:
        """Called once with a new network, for statistics of the training data."""

    def configure_optimizers(self) -> Optimizer:
        """Builds the optimiser."""
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError(f"{type(self.network).__name__} has no parameters to train: evaluate it with geoops test")
        return build_optimizer(
            self._optimizer, [(parameters, {})], lr=self._lr, weight_decay=self._weight_decay, betas=self._betas, momentum=0.95
        )

    # Training

    def on_train_start(self) -> None:
        """Starts the clock and the average."""
        super().on_train_start()
        if self.average.weights:
            self.average.follow(self.network, self.network.parameters())
        else:
            self.average.start(self.network, self.network.parameters())

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Sets learning rate and random state of the step."""
        self._agree()
        rate = self._lr * warmup_cosine(self.progress, self._warmup, self._final_lr)
        for group in self.optimizers().param_groups:
            group["lr"] = rate
        self._seed_step()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Returns the loss of a batch.

        Raises:
            FloatingPointError: it is not finite.
        """
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss of step {self.trainer.global_step} is {float(loss.detach())}: lower the learning rate, "
                "or unroll fewer steps"
            )
        self._count(loss)
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:
            self.log_dict({"train/loss": loss, "train/lr": self.optimizers().param_groups[0]["lr"]}, batch_size=1)
        return loss

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Steps, then lets the average follow."""
        optimizer.step(closure=optimizer_closure)
        self.average.update(self.network)

    # Evaluation

    def begin_evaluation(self) -> None:
        """Forgets the errors of the last evaluation."""
        self.network.eval()
        self._errors: dict[str, dict[int, list[float]]] = {}

    def end_evaluation(self, prefix: str) -> None:
        """Takes means of what was noted, and the means over motions of the best and the worst choice of samples."""
        self.metrics = {}
        for name, by_sample in self._errors.items():
            # A motion at rest has no displacement that an error could be relative to.
            known = [[e for e in v if not math.isnan(e)] for v in by_sample.values()]
            means = [sum(v) / len(v) if v else math.nan for v in known]
            self.metrics[f"{prefix}/{name}"] = sum(means) / len(means)
            if len(means) > 1:
                self.metrics |= {f"{prefix}/{name}_low": min(means), f"{prefix}/{name}_high": max(means)}
        self.log_dict(self.metrics, sync_dist=self.trainer.world_size > 1, batch_size=1)

    def motion(self, split: str, number: int) -> Motion:
        """Returns a motion of the data on the device of the network."""
        return self.trainer.datamodule.motions(split)[number].to(self.device)

    def note(self, sample: int, errors: Mapping[str, float]) -> None:
        """Keeps errors of one motion with one choice of its samples."""
        for name, value in errors.items():
            self._errors.setdefault(name, {}).setdefault(sample, []).append(float(value))

    # Files

    def export(self, path: Path, training: dict[str, Any], results: dict[str, float]) -> Path:
        """Writes the bundle with the averaged weights."""
        return export_particles(
            path,
            self.network,
            options=self.options,
            data=self.data_facts(),
            weights=self.averaged_weights(),
            training=training,
            results=results,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds how motions are sampled."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["geoops"]["data"] = self.data_facts()
