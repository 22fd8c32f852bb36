"""How far a predicted motion is from the true one; all in each frame after the seed frames."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from geoops import ops

from ._motion import Motion

SEEDS = 6  # frames that a prediction starts from, and that are no prediction


def motion_mse(
    prediction: Motion, truth: Motion, *, seeds: int = SEEDS, axes: Literal["mean", "sum"] = "mean"
) -> Float[Tensor, " frames"]:
    r"""Returns the mean square of the error of positions.

    $$\frac{1}{n d} \sum_{p=1}^n |x_p - \hat x_p|^2$$

    without the d where `axes` is `sum`.

    Args:
        prediction: a motion.
        truth: the motion to compare with, of the same particles in the same order, with as many frames of the same spacing.
        seeds: frames at the start that are given, not predicted, and do not count.
        axes: `mean` over the axes, as in most papers (Sanchez-Gonzalez et al. 2020), or `sum`.

    Raises:
        ValueError: particles, frames or spacings differ, there are no particles, or `seeds` is not one of their frames.
    """
    if axes not in ("mean", "sum"):
        raise ValueError(f"motion_mse: expected axes of mean or sum, got {axes!r}")
    a, b = _positions("motion_mse", prediction, truth, seeds)
    squares = (a - b).square().mean((1, 2))
    return squares * b.shape[2] if axes == "sum" else squares


def relative_displacement_error(prediction: Motion, truth: Motion, *, seeds: int = SEEDS) -> Float[Tensor, " frames"]:
    r"""Returns the error relative to how far all particles have moved, NaN where none has (so take means by `nanmean`).

    $$\sqrt{\sum_p |x_p - \hat x_p|^2 \Big/ \sum_p |x_p - X_p|^2}$$

    with the positions X in the first frame of the truth. Unlike an error relative to positions it does not depend on the origin.
    Arguments and errors as `motion_mse`.
    """
    a, b = _positions("relative_displacement_error", prediction, truth, seeds)
    moved = (b - truth.x[:1]).flatten(1).norm(dim=1)
    return (a - b).flatten(1).norm(dim=1) / moved.where(moved > 0, math.nan)


def chamfer_distance(prediction: Motion, truth: Motion, *, seeds: int = SEEDS) -> Float[Tensor, " frames"]:
    r"""Returns how far the clouds are apart, whichever particle is where.

    $$\frac1n \sum_p \min_q |x_p - \hat x_q|^2 + \frac1n \sum_q \min_p |x_p - \hat x_q|^2$$

    squared, both ways and of all particles; infinite where a prediction is not finite. Arguments and errors as `motion_mse`.
    """
    a, b = _positions("chamfer_distance", prediction, truth, seeds)

    def apart(x: Tensor, y: Tensor) -> Tensor:
        return (x - y[ops.nearest(x, y)]).square().sum(1).mean()

    pairs = zip(a, b, strict=True)
    return _stacked([apart(x, y) + apart(y, x) if x.isfinite().all() else x.new_tensor(math.inf) for x, y in pairs], b)


def earth_movers_distance(
    prediction: Motion, truth: Motion, *, seeds: int = SEEDS, points: int = 512, seed: int = 0
) -> Float[Tensor, " frames"]:
    r"""Returns the mean distance that particles have to go to make one cloud the other, by the best assignment.

    $$\min_\pi \frac1m \sum_p |x_p - \hat x_{\pi(p)}|$$

    over all permutations, exactly (Jonker and Volgenant, 1987); infinite where a prediction is not finite. It is at most the mean
    error of positions, and 0 where particles have only changed places.

    Args:
        prediction: as `motion_mse`.
        truth: likewise.
        seeds: likewise.
        points: m, particles that are looked at, the same in both motions and in all frames; all where there are fewer.
        seed: chooses them.

    Raises:
        ValueError: as `motion_mse`, or `points` is below 1.
    """
    from scipy.optimize import linear_sum_assignment

    a, b = _positions("earth_movers_distance", prediction, truth, seeds)
    if points < 1:
        raise ValueError(f"earth_movers_distance: expected points >= 1, got {points}")
    chosen = torch.randperm(b.shape[1], generator=torch.Generator().manual_seed(seed))[:points].to(b.device)
    means = []
    for x, y in zip(a[:, chosen], b[:, chosen], strict=True):
        if not x.isfinite().all():
            means.append(x.new_tensor(math.inf))
            continue
        rows, columns = linear_sum_assignment(torch.cdist(x.detach().double(), y.double()).cpu().numpy())
        means.append((x[torch.from_numpy(rows).to(x.device)] - y[torch.from_numpy(columns).to(y.device)]).norm(dim=1).mean())
    return _stacked(means, b)


def centre_of_mass_error(prediction: Motion, truth: Motion, *, seeds: int = SEEDS) -> Float[Tensor, " frames"]:
    """Returns the distance between the centres of mass of all particles, as if all had the same density.

    Arguments and errors as `motion_mse`.
    """
    a, b = _positions("centre_of_mass_error", prediction, truth, seeds)
    return torch.einsum("fpd,p->fd", a - b, truth.volume / truth.volume.sum()).norm(dim=1)


def kinetic_energy_error(prediction: Motion, truth: Motion, *, seeds: int = SEEDS) -> Float[Tensor, " frames"]:
    r"""Returns the error of the kinetic energy relative to the largest of the truth.

    $$\frac{|\hat E_t - E_t|}{\max_s E_s}, \qquad E_t = \tfrac12 \sum_p V_p \left|\frac{x_p(t) - x_p(t-1)}{\Delta t}\right|^2$$

    as if all particles had the same density; NaN if the truth never moves. Arguments and errors as `motion_mse`; at least the first
    frame is a seed, as it has no velocity.
    """
    _positions("kinetic_energy_error", prediction, truth, seeds)
    if seeds < 1:
        raise ValueError("kinetic_energy_error: expected seeds >= 1, as the first frame has no velocity, got 0")
    guess, true = (
        torch.einsum("fpd,p->f", (m.x.diff(dim=0) / m.spacing).square(), truth.volume.to(m.x)) / 2 for m in (prediction, truth)
    )
    largest = true.max() if len(true) else true.new_tensor(1.0)
    return ((guess - true) / largest.where(largest > 0, math.nan)).abs()[seeds - 1 :]


def outside_fraction(motion: Motion, *, slack: float = 0.0) -> Float[Tensor, " frames"]:
    """Returns the share of the particles beyond the walls (`Motion.bounds`) in each of all frames; what is not finite is outside.

    Args:
        motion: a motion.
        slack: how far beyond a particle may be.

    Raises:
        ValueError: there are no particles.
    """
    if motion.x.shape[1] == 0:
        raise ValueError("outside_fraction: expected at least one particle, got none")
    low, high = motion.bounds.unbind(1)
    inside = ((motion.x >= low - slack) & (motion.x <= high + slack)).all(2)
    return (~inside).to(motion.x.dtype).mean(1)


def frames_until(prediction: Motion, truth: Motion, *, share: float = 0.05, seeds: int = SEEDS) -> int:
    r"""Returns the first frame with $\frac1n \sum_p |x_p - \hat x_p| > \alpha L$, or the number of frames if there is none.

    L is the longest side of the box around all particles in the first frame of the truth. A prediction that is not finite is
    beyond any error.

    Args:
        prediction: as `motion_mse`.
        truth: likewise.
        share: alpha.
        seeds: as `motion_mse`; frames are counted from the start of the motion all the same.

    Raises:
        ValueError: as `motion_mse`, or `share` is not positive.
    """
    a, b = _positions("frames_until", prediction, truth, seeds)
    if not share > 0:
        raise ValueError(f"frames_until: expected share > 0, got {share}")
    size = (truth.x[0].amax(0) - truth.x[0].amin(0)).max()
    beyond = (~((a - b).norm(dim=2).mean(1) <= share * size)).nonzero()
    return seeds + int(beyond[0]) if len(beyond) else len(truth)


def _positions(who: str, prediction: Motion, truth: Motion, seeds: int) -> tuple[Tensor, Tensor]:
    """Returns the positions of both motions after the seed frames."""
    a, b = prediction.x, truth.x
    if a.shape[1:] != b.shape[1:] or b.shape[1] == 0:
        raise ValueError(
            f"{who}: expected the same particles, at least one, got {a.shape[1]} in {a.shape[2]} dimensions and "
            f"{b.shape[1]} in {b.shape[2]}"
        )
    if len(a) != len(b) or not math.isclose(prediction.spacing, truth.spacing, rel_tol=1e-6):
        raise ValueError(
            f"{who}: expected frames of the same times, got {len(a)} every {prediction.spacing:g} and {len(b)} every "
            f"{truth.spacing:g}; keep the frames that both have"
        )
    if not 0 <= seeds <= len(b):
        raise ValueError(f"{who}: expected seeds from 0 to the number of frames {len(b)}, got {seeds}")
    return a[seeds:].to(b), b[seeds:]


def _stacked(values: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(values) if values else like.new_empty(0)
