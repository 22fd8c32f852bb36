"""What trainings of steppers and decoders share: the network of a factory, its average, checkpoints and bundles."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from geoops.physics import Motion

from ._budget import BudgetFit
from ._ema import Average
from ._network_options import build, plain_options
from ._optimizers import build_optimizer
from ._particle_bundle import export_particles
from ._schedule import warmup_cosine

CHECKPOINT_FORMAT = 1


class ParticleFit(BudgetFit):
    """Trains a network for particles; batches come from the trainer's `ParticleData`.

    The budget is `max_steps` of the trainer, or `max_time` where that alone is given. With `max_steps` a run is a function of
    seed and data, and a resumed run ends with the same bits. Evaluation and export use the averaged weights.

    Args:
        network: builds the network from what the data fixes.
        base: class that it must have.
        optimizer: `adamw`, or `muon` for hidden matrices with AdamW for the rest.
        lr: highest learning rate.
        weight_decay: of matrices; biases and norms have none.
        betas: of AdamW.
        warmup: share of the budget in which the learning rate rises.
        final_lr: share of `lr` that the cosine ends with.
        ema: decay of the averaged weights; 0 for none.
    """

    network: Any

    def __init__(
        self,
        network: Callable[[Any], nn.Module],
        base: type[nn.Module],
        *,
        optimizer: Literal["adamw", "muon"],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        warmup: float,
        final_lr: float,
        ema: float,
    ):
        super().__init__()
        if not lr > 0:
            raise ValueError(f"lr must be positive, got {lr}")
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup is a share of the budget in [0, 1), got {warmup}")
        if optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer must be 'adamw' or 'muon', got {optimizer!r}")
        self._optimizer: Literal["adamw", "muon"] = optimizer
        self._factory, self._base = network, base
        self._lr, self._weight_decay, self._betas = lr, weight_decay, (betas[0], betas[1])
        self._warmup, self._final_lr = warmup, final_lr
        self.network = None
        self.options: dict[str, Any] = {}
        self.average = Average(ema)

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

    def adopt(self, network: nn.Module, options: dict[str, Any]) -> None:
        """Takes a network that was built already."""
        self.network, self.options = network, plain_options(network, options)

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

    def on_validation_epoch_start(self) -> None:
        """Takes the averaged weights."""
        self._begin_evaluation()

    def on_test_epoch_start(self) -> None:
        """Takes the averaged weights."""
        self._begin_evaluation()

    def on_validation_epoch_end(self) -> None:
        """Reports, and takes the training weights again."""
        self._end_evaluation()
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            row = {
                "step": self.trainer.global_step,
                "elapsed": round(self.elapsed, 3),
                "progress": self.progress,
                "train_loss": self._mean_loss(),
            }
            self.history.append({**row, **self.metrics})

    def on_test_epoch_end(self) -> None:
        """Reports, and takes the training weights again."""
        self._end_evaluation()

    def _begin_evaluation(self) -> None:
        self.network.eval()
        self.average.swap(self.network, averaged=True)
        self._errors: dict[str, dict[int, list[float]]] = {}

    def _end_evaluation(self) -> None:
        self.average.swap(self.network, averaged=False)
        self.metrics = self.summary()
        self.log_dict(self.metrics, sync_dist=self.trainer.world_size > 1, batch_size=1)

    def motion(self, split: str, number: int) -> Motion:
        """Returns a motion of the data on the device of the network."""
        return self.trainer.datamodule.motions(split)[number].to(self.device)

    def note(self, sample: int, errors: Mapping[str, float]) -> None:
        """Keeps errors of one motion with one choice of its samples."""
        for name, value in errors.items():
            self._errors.setdefault(name, {}).setdefault(sample, []).append(float(value))

    def summary(self) -> dict[str, float]:
        """Returns means of what was noted, and the means over motions of the best and the worst choice of samples."""
        prefix = "val" if self.trainer.state.fn in ("fit", "validate") else "test"
        out = {}
        for name, by_sample in self._errors.items():
            means = [sum(v) / len(v) for v in by_sample.values()]
            out[f"{prefix}/{name}"] = sum(means) / len(means)
            if len(means) > 1:
                out |= {f"{prefix}/{name}_low": min(means), f"{prefix}/{name}_high": max(means)}
        return out

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

    def averaged_weights(self) -> dict[str, Tensor]:
        """Returns the weights that evaluation and export use."""
        self.average.swap(self.network, averaged=False)
        return {name: p.detach() for name, p in self.network.named_parameters()} | self.average.weights

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what resuming and evaluating need, in plain types."""
        checkpoint["geoops"] = {
            "format": CHECKPOINT_FORMAT,
            "network": type(self.network).__name__,
            "options": self.options,
            "data": self.data_facts(),
            "average": self.average.state_dict(),
            "elapsed": self.elapsed,
            "history": self.history,
            "loss": [float(self._loss_sum), self._loss_count],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores; the state of optimisers and loops is Lightning's.

        Raises:
            ValueError: a checkpoint of another program, version or network.
        """
        state = checkpoint.get("geoops")
        if state is None or state.get("format") != CHECKPOINT_FORMAT or "average" not in state or "data" not in state:
            raise ValueError("the checkpoint is not of the training of a stepper or decoder by this geoops: train again")
        for key, value in {"network": type(self.network).__name__, "options": self.options}.items():
            if state[key] != value:
                raise ValueError(
                    f"the checkpoint is of another model: its {key} is {state[key]}, this run has {value}; "
                    "use the recipe it was trained with"
                )
        self.average.load_state_dict(state["average"])
        self._elapsed, self.history = float(state["elapsed"]), list(state["history"])
        self._loss_sum, self._loss_count = torch.tensor(state["loss"][0], dtype=torch.double), int(state["loss"][1])
