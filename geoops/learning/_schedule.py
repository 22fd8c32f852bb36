"""Learning rate and training stages over the budget."""

import math
from collections.abc import Mapping, Sequence


def warmup_cosine(progress: float, warmup: float, final: float = 0.0) -> float:
    r"""Returns the factor of the learning rate at a share of the budget.

    It rises linearly over the share `warmup` (from 1 %, so that the first step moves), then falls as
    $f + (1 - f)\,(1 + \cos \pi s)/2$ to `final`.
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    s = min((progress - warmup) / max(1.0 - warmup, 1e-12), 1.0)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * s))


def stage_ends(stages: Sequence[str], fractions: Mapping[str, float] | None) -> list[float]:
    """Returns the shares of the budget at which stages end; equal parts by default.

    Raises:
        ValueError: fractions for other stages than the network has, or not positive.
    """
    if fractions is None:
        fractions = dict.fromkeys(stages, 1.0)
    if set(fractions) != set(stages):
        raise ValueError(f"stages gives fractions for {sorted(fractions)}, the network has the stages {list(stages)}")
    if any(f <= 0 for f in fractions.values()):
        raise ValueError(f"fractions of stages must be positive, got {dict(fractions)}")
    total, ends, done = sum(fractions.values()), [], 0.0
    for stage in stages:
        done += fractions[stage] / total
        ends.append(done)
    ends[-1] = 1.0
    return ends


def stage_at(progress: float, ends: Sequence[float]) -> tuple[int, float]:
    """Returns the stage at a share of the budget and the share of that stage that is done."""
    index = next((i for i, end in enumerate(ends) if progress < end), len(ends) - 1)
    start = ends[index - 1] if index else 0.0
    return index, min((progress - start) / (ends[index] - start), 1.0)
