"""Optimisers: AdamW, and Muon for hidden matrices with AdamW for the rest."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, final

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

#: Matrices with fewer rows or columns read or write data channels and are left to AdamW.
HIDDEN = 16


@final
class MuonAdamW(Optimizer):
    """Muon (orthogonalised momentum) and AdamW as one optimiser with one state.

    Groups with `muon=True` must hold matrices. Their steps are scaled to the size of AdamW's ("match_rms_adamw"), so
    that one learning rate serves both.

    Args:
        groups: parameter groups, each with a key `muon`.
        lr, betas, weight_decay: of AdamW; Muon takes `lr` and `weight_decay` too.
        momentum: of Muon.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.01,
        momentum: float = 0.95,
    ):
        self._options = {"betas": betas, "momentum": momentum}
        super().__init__(list(groups), {"lr": lr, "weight_decay": weight_decay, "muon": False})
        self._bind()

    def _bind(self) -> None:
        # The two parts share the groups and the state of this object, which is therefore all there is to save.
        self._parts: list[Optimizer] = []
        if matrices := [g for g in self.param_groups if g["muon"]]:
            self._parts.append(Muon(matrices, momentum=self._options["momentum"], adjust_lr_fn="match_rms_adamw"))
        if rest := [g for g in self.param_groups if not g["muon"]]:
            self._parts.append(AdamW(rest, betas=self._options["betas"], fused=True))
        for part in self._parts:
            part.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes one step of both parts."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores groups and state."""
        super().load_state_dict(state_dict)
        self._bind()


def build_optimizer(
    kind: Literal["adamw", "muon"],
    groups: Sequence[tuple[Sequence[nn.Parameter], dict[str, Any]]],
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    momentum: float,
) -> Optimizer:
    """Builds an optimiser for groups of parameters with marks of the caller.

    Vectors and scalars (biases, norms, step sizes) get no weight decay.
    """

    def kind_of(p: nn.Parameter) -> str:
        if kind == "muon" and p.ndim == 2 and min(p.shape) >= HIDDEN:
            return "muon"
        return "decay" if p.ndim >= 2 else "plain"

    split: list[dict[str, Any]] = []
    for parameters, marks in groups:
        for name in ("muon", "decay", "plain"):
            if chosen := [p for p in parameters if kind_of(p) == name]:
                decay = 0.0 if name == "plain" else weight_decay
                split.append({"params": chosen, "weight_decay": decay, "muon": name == "muon", **marks})
    if kind == "muon":
        return MuonAdamW(split, lr=lr, betas=betas, weight_decay=weight_decay, momentum=momentum)
    return AdamW(split, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
