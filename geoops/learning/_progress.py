"""Progress of a fit: a bar on a terminal, lines in a log."""

import math
from datetime import timedelta
from typing import Any, final

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from torch import Tensor

from ._fit import Fit


@final
class FitProgress(ProgressBar):
    """Shows share of the budget, loss, validation error, elapsed and remaining time.

    Args:
        interval: seconds between lines where the output is no terminal.
    """

    def __init__(self, interval: float = 30.0):
        super().__init__()
        self._interval, self._enabled = interval, True
        self._bar: Progress | None = None
        self._task: Any = None
        self._shown = -math.inf
        self._loss: Tensor | None = None
        self.console = Console(stderr=True)

    def disable(self) -> None:
        """Shows nothing (Lightning calls this on all processes but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Shows progress."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the bar."""
        if self._enabled and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[words]}"),
            )
            self._bar = Progress(*columns, console=self.console)
            self._task = self._bar.add_task("fit", total=1.0, words="")
            self._bar.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Refreshes the bar every half second, or writes a line."""
        if not self._enabled or not isinstance(pl_module, Fit):
            return
        self._loss, elapsed = outputs["loss"], pl_module.elapsed  # read only where it is shown: reading waits for the device
        if elapsed - self._shown < (0.5 if self._bar else self._interval):
            return
        self._shown = elapsed
        self._show(pl_module)

    def _show(self, module: Fit) -> None:
        progress, elapsed = module.progress, module.elapsed
        words = [f"step {module.trainer.global_step}"]
        if self._loss is not None:
            words.append(f"loss {self._loss.item():.4g}")
        if module.history and (headline := module.headline(module.history[-1])):
            words.append(headline)
        words.append(_clock(elapsed))
        if progress > 0.01:
            words.append(f"{_clock(elapsed / progress - elapsed)} left")
        if self._bar:
            self._bar.update(self._task, completed=progress, words=" · ".join(words))
        else:
            self.console.print(f"fit {100 * progress:3.0f} % · {' · '.join(words)}", highlight=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the new validation error."""
        if self._enabled and isinstance(pl_module, Fit) and trainer.state.fn == "fit" and pl_module.history:
            self._show(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the bar."""
        if self._enabled and isinstance(pl_module, Fit):
            self._show(pl_module)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bar, so that the message stands below it."""
        self._close()

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
