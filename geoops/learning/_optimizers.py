"""Optimisers: AdamW, and Muon for hidden matrices with AdamW for the rest."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

#: Matrices with fewer rows or columns read or write data channels and are left to AdamW.
HIDDEN = 16
#: Odd polynomial of the Newton-Schulz iteration, and how often it is applied; as in torch.
COEFFICIENTS, ITERATIONS = (3.4445, -4.775, 2.0315), 5


@final
class BatchedMuon(Optimizer):
    r"""Muon, with all matrices of one shape orthogonalised together: the steps of torch's Muon in two thirds of the time.

    With the momentum $M \leftarrow \mu M + (1 - \mu) G$ and Nesterov's $N = \mu M + (1 - \mu) G$ it makes the step
    $-0.2\, \eta \sqrt{\max(m, n)}\; U V^\top$ with the singular vectors of $N = U S V^\top$ (m, n), found in bfloat16 by five
    iterations of Newton and Schulz. The factor gives steps the size of AdamW's ("match_rms_adamw").

    K. Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024.

    Args:
        params: matrices, or groups of them.
        lr: learning rate $\eta$.
        weight_decay: decoupled, times lr.
        momentum: $\mu$.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.01, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Makes one step."""
        alike: dict[tuple[Any, ...], list[tuple[nn.Parameter, Tensor, float]]] = {}
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for p in parameters:
                if not self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p.grad)
            buffers, gradients = [self.state[p]["momentum_buffer"] for p in parameters], [p.grad for p in parameters]
            torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
            updates = torch._foreach_lerp(gradients, buffers, group["momentum"])
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            for p, update in zip(parameters, updates, strict=True):
                flat = update if p.shape[0] <= p.shape[1] else update.T
                alike.setdefault((flat.shape, p.dtype, p.device), []).append((p, flat, group["lr"]))
        for (shape, dtype, _), members in alike.items():
            steps = orthogonalised(torch.stack([flat for _, flat, _ in members])).to(dtype)
            for (p, _, lr), step in zip(members, steps, strict=True):
                p.add_(step if p.shape == shape else step.T, alpha=-0.2 * lr * max(shape) ** 0.5)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Returns matrices (k, m, n), m <= n, with their singular values near one, in bfloat16."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    x = x / x.flatten(1).norm(dim=1)[:, None, None].clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


@final
class MuonAdamW(Optimizer):
    """Muon (orthogonalised momentum) and AdamW as one optimiser with one state.

    Groups with `muon=True` must hold matrices. Their steps have the size of AdamW's, so that one learning rate serves both.

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
            self._parts.append(BatchedMuon(matrices, momentum=self._options["momentum"]))
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
