"""Exponential moving average of weights."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn


@final
class Average:
    r"""Keeps $\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta$, $d = \min(\text{decay}, (1 + t)/(10 + t))$.

    The short memory at the beginning forgets the random start. With `decay=0` the average is the weights.
    """

    def __init__(self, decay: float):
        if not 0 <= decay < 1:
            raise ValueError(f"ema must lie in [0, 1), got {decay}")
        self.decay = decay
        self.steps = 0
        self.weights: dict[str, Tensor] = {}
        self._active: list[str] = []
        self._swapped = False

    def start(self, module: nn.Module, active: Iterable[nn.Parameter]) -> None:
        """Begins to average the parameters `active` from their present values; the others are copied as they are."""
        self.weights = {name: p.detach().clone() for name, p in module.named_parameters()}
        self.steps = 0
        self.follow(module, active)

    def follow(self, module: nn.Module, active: Iterable[nn.Parameter]) -> None:
        """Sets which parameters change."""
        wanted = {id(p) for p in active}
        self._active = [name for name, p in module.named_parameters() if id(p) in wanted]
        self.weights = {name: self.weights[name].to(p.device) for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Takes in the weights after an optimiser step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        parameters = dict(module.named_parameters())
        torch._foreach_lerp_([self.weights[n] for n in self._active], [parameters[n].detach() for n in self._active], 1 - decay)

    @torch.no_grad()
    def keep(self, module: nn.Module) -> None:
        """Makes the average the weights for good."""
        for name, p in module.named_parameters():
            p.copy_(self.weights[name])

    def swap(self, module: nn.Module, averaged: bool) -> None:
        """Puts the average (or the weights again) into the module; doing so twice changes nothing."""
        if averaged == self._swapped or not self.weights:
            return
        for name, p in module.named_parameters():
            p.data, self.weights[name] = self.weights[name].to(p.device), p.data
        self._swapped = averaged

    def state_dict(self) -> dict[str, Any]:
        """Returns steps and averaged weights."""
        return {"steps": self.steps, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores steps and averaged weights."""
        self.steps = int(state["steps"])
        self.weights = {name: w.clone() for name, w in state["weights"].items()}
        self._swapped = False
