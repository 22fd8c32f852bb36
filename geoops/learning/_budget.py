"""Trainings that end after a number of steps or after a time."""

import numpy as np
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor

from ._fit import Fit


class BudgetFit(Fit):
    """A training whose learning rate follows the share of its budget: `max_steps` of the trainer, or else `max_time`."""

    def __init__(self) -> None:
        super().__init__()
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
