"""What trainings of one network share: budget, optimiser, averaged weights, evaluation and checkpoints."""

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn

from ._ema import Average
from ._fit import Fit
from ._network_options import plain_options

CHECKPOINT_FORMAT = 1


class NetworkFit(Fit):
    """A training whose learning rate follows the share of its budget: `max_steps` of the trainer, or else `max_time`.

    With `max_steps` a run is a function of seed and data, and a resumed run ends with the same bits. Evaluation and export use
    the averaged weights.

    Args:
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
        *,
        optimizer: Literal["adamw", "muon"],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        warmup: float,
        final_lr: float,
        ema: float,
    ) -> None:
        super().__init__()
        if optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer must be 'adamw' or 'muon', got {optimizer!r}")
        if not lr > 0:
            raise ValueError(f"lr must be positive, got {lr}")
        if not 0 <= warmup < 1:
            raise ValueError(f"warmup is a share of the budget in [0, 1), got {warmup}")
        self._optimizer: Literal["adamw", "muon"] = optimizer
        self._lr, self._weight_decay, self._betas = lr, weight_decay, (betas[0], betas[1])
        self._warmup, self._final_lr = warmup, final_lr
        self.network = None
        self.options: dict[str, Any] = {}
        self.average = Average(ema)
        self._agreed = 0.0
        self._loss_sum, self._loss_count = torch.zeros((), dtype=torch.double), 0

    def _check_budget(self) -> None:
        trainer = self.trainer
        if trainer.max_steps == -1 and self._timer() is None:
            raise ValueError(
                "training has no end: give trainer.max_steps or trainer.max_time (batches are counted in steps, not in epochs)"
            )
        if trainer.world_size > 1 and trainer._val_check_time_interval is not None:
            raise ValueError(
                "several processes cannot agree on the clock: validate by steps, for example --trainer.val_check_interval 500"
            )

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, in [0, 1]; with several processes that of the first one, at the last step."""
        if self.trainer.max_steps > 0:
            return min(self.trainer.global_step / self.trainer.max_steps, 1.0)
        return self._agreed if self.trainer.world_size > 1 else self._clock()

    def _clock(self) -> float:
        """Returns the share of the time that is spent."""
        timer = self._timer()
        assert timer is not None
        done = timer.time_elapsed()
        total = done + (timer.time_remaining() or 0.0)
        return min(done / total, 1.0)

    def _timer(self) -> Timer | None:
        timers = (c for c in self.trainer.callbacks if isinstance(c, Timer))
        return next((t for t in timers if t.time_remaining() is not None), None)

    def _agree(self) -> None:
        """Lets processes agree on the share of the time that is spent; all of them must be asked."""
        if self.trainer.world_size > 1 and self.trainer.max_steps <= 0:
            self._agreed = self.trainer.strategy.broadcast(self._clock())

    def _seed_step(self) -> None:
        """Makes the random state one of seed, step and process."""
        step = self.trainer.fit_loop.total_batch_idx
        words = np.random.SeedSequence([self.trainer.datamodule.seed, 2, step, self.global_rank]).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0] >> np.uint64(1)))

    def _count(self, loss: Tensor) -> None:
        self._loss_sum = self._loss_sum.to(loss.device) + loss.detach()
        self._loss_count += 1

    def _mean_loss(self) -> float:
        """Returns the mean loss since the last call, over all processes, and starts anew."""
        mean = self._loss_sum / max(self._loss_count, 1)
        if self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(mean, reduce_op="mean")
        self._loss_sum, self._loss_count = torch.zeros((), dtype=torch.double), 0
        return float(mean)

    # Evaluation

    @abstractmethod
    def begin_evaluation(self) -> None:
        """Forgets the errors of the last evaluation."""

    @abstractmethod
    def end_evaluation(self, prefix: str) -> None:
        """Sets `metrics`, whose names begin with `val` or `test`."""

    def row(self) -> dict[str, Any]:
        """Returns what a row of `history` has besides errors."""
        return {
            "step": self.trainer.global_step,
            "elapsed": round(self.elapsed, 3),
            "progress": self.progress,
            "train_loss": self._mean_loss(),
        }

    def on_validation_epoch_start(self) -> None:
        """Takes the averaged weights."""
        self.average.swap(self.network, averaged=True)
        self.begin_evaluation()

    def on_test_epoch_start(self) -> None:
        """Takes the averaged weights."""
        self.on_validation_epoch_start()

    def on_validation_epoch_end(self) -> None:
        """Reports, and takes the training weights again."""
        self.average.swap(self.network, averaged=False)
        self.end_evaluation("val")
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.history.append({**self.row(), **self.metrics})

    def on_test_epoch_end(self) -> None:
        """Reports, and takes the training weights again."""
        self.average.swap(self.network, averaged=False)
        self.end_evaluation("test")

    # Files

    def adopt(self, network: nn.Module, options: dict[str, Any]) -> None:
        """Takes a network that was built already, for example that of a bundle.

        Raises:
            ValueError: options that a file cannot hold.
        """
        self.network, self.options = network, plain_options(network, options)

    def averaged_weights(self) -> dict[str, Tensor]:
        """Returns the weights that evaluation and export use."""
        self.average.swap(self.network, averaged=False)
        return {name: p.detach() for name, p in self.network.named_parameters()} | self.average.weights

    def identity(self) -> dict[str, Any]:
        """Returns what a resumed run and its checkpoint have in common."""
        return {"network": type(self.network).__name__, "options": self.options}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what resuming and evaluating need, in plain types."""
        checkpoint["geoops"] = {
            "format": CHECKPOINT_FORMAT,
            **self.identity(),
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
        state, here = checkpoint.get("geoops") or {}, self.identity()
        if state.get("format") != CHECKPOINT_FORMAT or not {"average", *here} <= set(state):
            raise ValueError(
                f"the checkpoint is not one of {type(self).__name__}, or has another format than this geoops reads "
                f"({state.get('format')} instead of {CHECKPOINT_FORMAT}): train again"
            )
        for key, value in here.items():
            if state[key] != value:
                raise ValueError(
                    f"the checkpoint is of another model: its {key} is {state[key]}, this run has {value}; "
                    "use the recipe it was trained with"
                )
        self.average.load_state_dict(state["average"])
        self._elapsed, self.history = float(state["elapsed"]), list(state["history"])
        self._loss_sum, self._loss_count = torch.tensor(state["loss"][0], dtype=torch.double), int(state["loss"][1])
