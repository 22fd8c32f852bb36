"""What a run leaves behind for tables and plots."""

import os
import platform
import sys
from pathlib import Path
from typing import Any, final

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ._fit import Fit
from ._json import write_json


@final
class HistoryWriter(Callback):
    """Writes `metrics.json` after every validation: rows of step, elapsed seconds, losses and errors.

    Args:
        path: of the file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the rows so far."""
        if trainer.is_global_zero and isinstance(pl_module, Fit) and trainer.state.fn == "fit":
            write_json(self.path, {"history": pl_module.history})


def provenance(fit: Fit, trainer: Trainer, command: str) -> dict[str, Any]:
    """Returns how something was trained: command, seed, steps, wall clock, hardware, threads, versions."""
    import lightning

    return {
        "command": command,
        "seed": trainer.datamodule.seed,
        "steps": trainer.global_step,
        "seconds": round(fit.elapsed, 1),
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "hardware": hardware(),
        **trainer.datamodule.facts(),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "lightning": lightning.__version__,
        },
    }


def hardware() -> str:
    """Returns one line about processor, memory and accelerators."""
    name = platform.processor() or platform.machine()
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    words = [f"{name}, {os.cpu_count()} cores"]
    if hasattr(os, "sysconf"):
        words.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    words += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(words)
