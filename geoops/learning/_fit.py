"""What progress bars, records and the command line ask of every training."""

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import LightningModule


class Fit(LightningModule, ABC):
    """A training with a clock, a budget and a history."""

    #: What differs from the defaults of the command line's trainer.
    trainer_defaults: ClassVar[dict[str, Any]] = {}
    #: Metric of the validation that the best checkpoint has least of.
    monitor: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        #: One row per validation: step, elapsed seconds, share of the budget, losses and errors.
        self.history: list[dict[str, Any]] = []
        #: Last evaluation, by metric name.
        self.metrics: dict[str, float] = {}
        self._elapsed, self._started = 0.0, None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, over all resumed parts, validation included."""
        return self._elapsed + (time.monotonic() - self._started if self._started is not None else 0.0)

    @property
    @abstractmethod
    def progress(self) -> float:
        """Share of the budget that is spent, in [0, 1]."""

    @abstractmethod
    def headline(self, metrics: dict[str, Any]) -> str:
        """Returns words about an evaluation."""

    @abstractmethod
    def export(self, path: Path, training: dict[str, Any], results: dict[str, float]) -> Path:
        """Writes the bundle of what was trained."""

    @abstractmethod
    def restore(self, path: Path) -> None:
        """Takes what a bundle holds; the data module gets the statistics that belong to it."""

    def on_train_start(self) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_train_end(self) -> None:
        """Stops the clock."""
        self._elapsed, self._started = self.elapsed, None
