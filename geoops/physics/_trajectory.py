"""A motion: the states of the particles of one scene at chosen steps."""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ._motion import Motion
from ._mpm_state import Box, Particles


@final
@dataclass(frozen=True)
class Trajectory:
    """States of one scene.

    Args:
        frames: states; x, v, C and F have the frames in front, mass and volume are those of all frames.
        steps: the step after which each frame was taken, ascending; 0 is the start.
        box: box of the scene.
        dt: time step.
        material: for each particle a place in `names`.
        names: names of the materials.
        scene: the scene as YAML text, empty if it is not known.

    Raises:
        ValueError: numbers of frames, particles or materials do not fit.
    """

    frames: Particles
    steps: Int[Tensor, " frames"]
    box: Box
    dt: float
    material: Int[Tensor, " particles"]
    names: tuple[str, ...]
    scene: str = ""

    def __post_init__(self) -> None:
        x, n = self.frames.x, len(self.material)
        if x.ndim != 3 or x.shape[0] != len(self.steps) or x.shape[1] != n:
            raise ValueError(
                f"Trajectory: {len(self.steps)} steps of {n} particles need x of shape ({len(self.steps)}, {n}, d), "
                f"got {tuple(x.shape)}"
            )
        if self.frames.mass.shape != (n,) or self.frames.volume.shape != (n,):
            raise ValueError(f"Trajectory: expected mass and volume of shape ({n},), got {tuple(self.frames.mass.shape)}")
        if n and not 0 <= int(self.material.min()) <= int(self.material.max()) < len(self.names):
            raise ValueError(f"Trajectory: material points beyond the {len(self.names)} names")

    @property
    def times(self) -> Float[Tensor, " frames"]:
        """Time of each frame."""
        return self.steps.to(self.frames.x.dtype) * self.dt

    def to(self, *args, **kwargs) -> "Trajectory":
        """Returns the motion on another device, or with states of another dtype."""
        frames = self.frames.to(*args, **kwargs)
        return replace(self, frames=frames, steps=self.steps.to(frames.x.device), material=self.material.to(frames.x.device))

    def motion(self) -> Motion:
        """Returns the positions.

        Raises:
            ValueError: the frames are not at even times.
        """
        gaps = self.steps.diff().unique()
        if len(gaps) > 1:
            raise ValueError(f"a motion needs frames at even times, got {_span(self)}")
        gap = int(gaps[0]) if len(gaps) else 1
        return Motion(self.frames.x, self.dt * gap, self.box, self.material, self.names, self.frames.volume, self.scene)

    def frame(self, i: int) -> Particles:
        """Returns the state of frame i."""
        f = self.frames
        return Particles(f.x[i], f.v[i], f.C[i], f.F[i], f.mass, f.volume)


def position_mse(prediction: Trajectory, truth: Trajectory) -> Float[Tensor, " frames"]:
    r"""Returns the mean square of the error of the positions in each frame.

    $$\frac{1}{n d} \sum_{p=1}^n |x_p - \hat x_p|^2$$

    Args:
        prediction: a motion.
        truth: the motion to compare with, of the same particles in the same order and with frames of the same times.

    Raises:
        ValueError: particles or times differ.
    """
    a, b = prediction.frames.x, truth.frames.x
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(
            f"position_mse: expected the same particles, got {a.shape[1]} in {a.shape[2]} dimensions and "
            f"{b.shape[1]} in {b.shape[2]}"
        )
    times = (prediction.times.double(), truth.times.double())
    if len(a) != len(b) or not torch.allclose(*times, rtol=1e-6, atol=0.0):
        raise ValueError(
            f"position_mse: expected frames of the same times, got {_span(prediction)} and {_span(truth)}; "
            "keep the frames that both have"
        )
    return (a - b).square().mean((1, 2))


def mean_position_mse(prediction: Trajectory, truth: Trajectory, every: int = 5) -> Float[Tensor, ""]:
    """Returns the mean of `position_mse` over every fifth step from step 0, the metric of NCLaw (Ma et al. 2023).

    Args:
        prediction: a motion.
        truth: the motion to compare with.
        every: how many steps lie between the frames that count; both motions must have all of these frames.

    Raises:
        ValueError: particles or times differ, or frames that count are missing.
    """
    errors, steps = position_mse(prediction, truth), truth.steps.cpu()
    if every < 1:
        raise ValueError(f"mean_position_mse: expected every >= 1, got {every}")
    chosen = steps % every == 0
    wanted = torch.arange(0, int(steps.max()) + 1 if len(steps) else 1, every)
    if not torch.equal(steps[chosen].long(), wanted):
        raise ValueError(
            f"mean_position_mse: expected frames of steps 0, {every}, {2 * every}, ..., got {_span(truth)}; "
            "keep these frames in the simulation, or take a larger every"
        )
    return errors[chosen.to(errors.device)].mean()


def _span(trajectory: Trajectory) -> str:
    steps = trajectory.steps.tolist()
    shown = ", ".join(map(str, steps)) if len(steps) < 5 else f"{steps[0]}, {steps[1]}, ..., {steps[-1]}"
    return f"{len(steps)} frames at steps {shown} of dt = {trajectory.dt:g}"
