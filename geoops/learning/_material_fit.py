"""Training of a material through the simulator: the LightningModule."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from geoops.data import Labels, materials_of, resolve_material
from geoops.physics import MPM, ByMaterial, Law, Material, Trajectory, material

from ._bundle import read_meta
from ._fit import Fit
from ._material_bundle import export_material, law_facts, read_material
from ._restarts import Segments, cut, observed_states, position_loss, restart_length
from ._rollout import rollout_mse
from ._weak_form import weak_form_loss

CHECKPOINT_FORMAT = 1
LOSS_SCALE = 1e4
WEAK_STEPS = 10  # steps of the optimiser in an epoch of the weak form


@final
class MaterialFit(Fit):
    """Learns the material of an observed motion; motion and tests come from the trainer's `MotionData`.

    Epochs, of which `trainer.max_epochs` are made, belong to phases in this order: `labelled` ones see stresses and return
    maps of the true material; those of the weak form test the balance of momentum on windows of the motion and unroll
    nothing; all others run the whole motion in segments which begin at observed states, grow over the training (a cosine)
    and run side by side, with one step of the optimiser for each epoch, as NCLaw does. Learning rates fall to zero by a
    cosine in every phase. Random draws of an epoch derive from seed and epoch alone, so that a killed run resumes to the
    same result.

    Args:
        elastic: the stress law to be learned.
        plastic: the return map to be learned; none for elastic materials.
        formula: name of a material of `geoops.physics.material` whose constants are unknown, in place of laws.
        unknown: the unknown constants of the formula by name, such as `elastic.log_young`, and the values to start from.
        lr: learning rates by beginnings of parameter names, such as `elastic` or `plastic.root`; the longest that fits counts.
        betas: of Adam.
        clip: most that the norm of the gradient of each law can be; none for no limit.
        restarts: longest segment in steps at the beginning and at the end.
        restart_lr: factor of the learning rates in the epochs through the simulator.
        weak_form: epochs of the weak form.
        weak_frames: frames of a window of the weak form; 1 suits motion without noise, 26 averages noise out.
        weak_batch: frames in a step of the weak form.
        labelled: epochs that see stresses and return maps of the material of this motion.
        velocity_weight: weight of the squared error of velocities beside that of positions, in seconds squared.
        relax: share, in units of the learning rate, by which laws that can `relax` go back in every step to the simplest law
            (no network, no yield), as decoupled weight decay does, in the second half of a phase; what the motion holds stays.
        position_only: only positions of the motion count as observed; restarts take velocities from differences and
            deformations from the law that is learned.
        states_per_pass: most states of particles that a backward pass keeps.

    Source: Ma et al. 2023, "Learning neural constitutive laws from motion observations", arXiv 2304.14369.
    """

    monitor: ClassVar[str] = "reconstruction"
    trainer_defaults: ClassVar[dict[str, Any]] = {
        "gradient_clip_val": None,  # laws have norms of their own
        "check_val_every_n_epoch": 20,
        "val_check_interval": None,
        "log_every_n_steps": 1,
    }

    def __init__(
        self,
        elastic: Law | None = None,
        plastic: Law | None = None,
        *,
        formula: str | None = None,
        unknown: dict[str, float] | None = None,
        lr: dict[str, float],
        betas: tuple[float, float] = (0.9, 0.999),
        clip: float | None = 0.1,
        restarts: tuple[int, int] = (25, 200),
        restart_lr: float = 1.0,
        weak_form: int = 0,
        weak_frames: int = 1,
        weak_batch: int = 8,
        labelled: int = 0,
        velocity_weight: float = 0.0,
        relax: float = 3.0,
        position_only: bool = False,
        states_per_pass: int = 200_000,
    ):
        super().__init__()
        if (elastic is None) == (formula is None):
            raise ValueError("MaterialFit: give a law as `elastic`, or the name of a material as `formula`")
        if not 1 <= restarts[0] <= restarts[1]:
            raise ValueError(f"MaterialFit: expected restarts of lengths 1 <= first <= last, got {restarts}")
        if min(weak_form, labelled) < 0 or weak_frames < 1 or weak_batch < weak_frames:
            raise ValueError(
                "MaterialFit: expected weak_form >= 0, labelled >= 0 and weak_batch >= weak_frames >= 1, "
                f"got {weak_form}, {labelled}, {weak_batch} and {weak_frames}"
            )
        self.material = Material(elastic, plastic) if elastic is not None else material(str(formula))
        self.facts = {"formula": formula} if formula else {"elastic": law_facts(elastic), "plastic": law_facts(plastic)}
        if formula:
            _release(self.material, unknown or {})
        learned = [name for name, p in self.material.named_parameters() if p.requires_grad]
        self._rates = {name: _rate(name, lr) for name in learned}
        names = [name for name, _ in self.material.named_parameters()]
        if unused := [key for key in lr if key not in ("elastic", "plastic") and not any(_begins(name, key) for name in names)]:
            raise ValueError(f"MaterialFit: lr names {unused[0]!r}, which is no parameter; there are {', '.join(names)}")
        if not self._rates:
            raise ValueError("MaterialFit: the laws have no parameters to learn")
        self.automatic_optimization = False
        self._betas, self._clip, self._restarts, self._restart_lr = betas, clip, restarts, restart_lr
        self._weak_form, self._weak_frames, self._weak_batch, self._labelled = weak_form, weak_frames, weak_batch, labelled
        self._velocity_weight, self._position_only, self._states_per_pass = velocity_weight, position_only, states_per_pass
        self._relax = relax
        self._loss = math.nan
        self._motion: Trajectory | None = None
        self._labels: Labels | None = None

    # Building

    @property
    def motion(self) -> Trajectory:
        """The observed motion."""
        motion = self._motion
        if motion is None:
            motion = self._motion = self.trainer.datamodule.observed.to(self.device)
        return motion

    def simulator(self, of: Trajectory, learned: Material | None = None) -> MPM:
        """Returns the simulator of a motion with the law that is learned, and the true laws of its other materials.

        Args:
            of: the motion.
            learned: what takes the place of the learned material; the one of this training unless given.

        Raises:
            ValueError: the motion has no material of the name of the learned one.
        """
        name, learned = self.trainer.datamodule.learned, learned or self.material
        if name not in of.names:
            raise ValueError(
                f"the motion has the materials {', '.join(of.names)}, none of them is {name!r}, which is learned: "
                "give the material the same name in all scenes"
            )
        laws = [
            learned if other == name else resolve_material(spec).requires_grad_(False) for other, spec in materials_of(of).items()
        ]
        elastic = ByMaterial([law.elastic for law in laws], of.material)
        plastic = ByMaterial([law.plastic for law in laws], of.material)
        return MPM(of.box, of.dt, elastic, plastic).to(self.device)

    def configure_optimizers(self) -> Optimizer:
        """Builds Adam with a group for each parameter."""
        groups = [
            {"params": [self.material.get_parameter(name)], "lr": lr, "rate": lr, "role": name.partition(".")[0]}
            for name, lr in self._rates.items()
        ]
        return Adam(groups, betas=self._betas)

    # Training

    def on_fit_start(self) -> None:
        """Finds mistakes in the tests before the first epoch."""
        self.trainer.datamodule.check()

    @property
    def progress(self) -> float:
        """Share of the epochs that is done."""
        return min(self.trainer.current_epoch / max(self.trainer.max_epochs or 1, 1), 1.0)

    def phase(self, epoch: int) -> tuple[str, float]:
        """Returns the phase of an epoch, and which share of that phase is over."""
        total, begin = self.trainer.max_epochs or 1, 0
        rest = max(total - self._labelled - self._weak_form, 1)
        for name, count in (("labelled", self._labelled), ("weak", self._weak_form), ("restarts", rest)):
            if epoch < begin + count:
                return name, (epoch - begin) / count
            begin += count
        return "restarts", 1.0

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Makes an epoch."""
        epoch = self.trainer.current_epoch
        words = np.random.SeedSequence([self.trainer.datamodule.seed, 3, epoch]).generate_state(1, np.uint64)
        draw = torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))
        name, share = self.phase(epoch)
        run = {"labelled": self._labelled_epoch, "weak": self._weak_epoch, "restarts": self._restart_epoch}[name]
        advice = "lower the learning rates, or shorten `restarts`"
        try:
            loss = run(share, draw)
        except RuntimeError as error:
            if "norm" not in str(error):  # of gradients that are not finite
                raise
            raise FloatingPointError(f"epoch {epoch}: {error}; {advice}") from error
        except ValueError as error:
            if "outside the box" not in str(error):
                raise
            raise FloatingPointError(f"the simulation of epoch {epoch} broke down ({error}): {advice}") from error
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss of epoch {epoch} is {loss}: {advice}")
        self._loss = loss
        self.log("train/loss", loss, batch_size=1)
        return {"loss": torch.tensor(loss)}

    def _restart_epoch(self, share: float, draw: torch.Generator) -> float:
        motion = self.motion
        mpm, every, intervals = self.simulator(motion), _every(motion), len(motion.steps) - 1
        segments = cut(intervals, restart_length(share, *map(float, self._restarts)) / every)
        states = observed_states(mpm, motion.frames, every) if self._position_only else motion.frames
        observed = replace(motion.frames, v=states.v)  # velocities are differences of positions if only those are observed
        scale = LOSS_SCALE * len(segments.begin) / intervals
        most = max(self._states_per_pass // (len(motion.material) * every * int(segments.length.max())), 1)
        optimizer = self._begin(share, self._restart_lr)
        total = 0.0
        for part in zip(segments.begin.split(most), segments.length.split(most), strict=True):
            loss = scale * position_loss(mpm, states, observed, Segments(*part), every, self._velocity_weight)
            self.manual_backward(loss)
            total += float(loss.detach())
        self._step(optimizer, total)
        return total

    def _weak_epoch(self, share: float, draw: torch.Generator) -> float:
        motion, frames = self.motion, self._weak_frames
        mpm, every = self.simulator(motion), _every(motion)
        states = observed_states(mpm, motion.frames, every) if self._position_only else motion.frames
        last, total = len(motion.steps) - 1 - frames, 0.0
        if last < 0:
            raise ValueError(f"MaterialFit: weak_frames is {frames}, the motion has {len(motion.steps)} frames")
        for i in range(WEAK_STEPS):
            optimizer = self._begin(share + i / WEAK_STEPS / self._weak_form)
            begin = torch.randint(last + 1, (self._weak_batch // frames,), generator=draw)
            loss = weak_form_loss(mpm, states, states, begin, frames, every, deformation=not self._position_only)
            self.manual_backward(loss)
            total += float(loss.detach()) / WEAK_STEPS
            self._step(optimizer, total)
        return total

    def _labelled_epoch(self, share: float, draw: torch.Generator) -> float:
        if self._labels is None:
            self._labels = self.trainer.datamodule.labels(self.motion)
        labels = self._labels
        order = torch.randperm(len(labels.F), generator=draw).split(1000)
        total = 0.0
        for i, rows in enumerate(order):
            optimizer = self._begin(share + i / len(order) / self._labelled)
            stress = (self.material.elastic(labels.F[rows]) - labels.tau[rows]).square().mean() / labels.tau_square
            mapped = (self.material.plastic(labels.trial[rows]) - labels.mapped[rows]).square().mean() / labels.mapped_square
            loss = stress + mapped
            if loss.requires_grad:
                self.manual_backward(loss)
            total += float(loss.detach()) / len(order)
            self._step(optimizer, total)
        return total

    def _begin(self, share: float, scale: float = 1.0) -> Any:
        optimizer, self._late = self.optimizers(), share > 0.5
        for group in optimizer.param_groups:
            group["lr"] = scale * group["rate"] * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
        optimizer.zero_grad()
        return optimizer

    def _step(self, optimizer: Any, loss: float) -> None:
        seen = set[int]()  # return maps of formulas share constants with the stress
        for law in (self.material.elastic, self.material.plastic):
            parameters = [p for p in law.parameters() if p.grad is not None and id(p) not in seen]
            seen.update(map(id, parameters))
            if parameters:
                limit = math.inf if self._clip is None else self._clip
                nn.utils.clip_grad_norm_(parameters, limit, error_if_nonfinite=math.isfinite(loss))
        optimizer.step()
        for role in ("elastic", "plastic"):
            law, rates = getattr(self.material, role), [group["lr"] for group in optimizer.param_groups if group["role"] == role]
            if hasattr(law, "relax") and rates:
                law.relax(self._relax * min(rates) * self._late)

    # Evaluation

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Runs the observed motion from its start."""
        self.metrics = {"reconstruction": self.error(self.motion)}

    def on_validation_epoch_end(self) -> None:
        """Reports."""
        self.log_dict(self.metrics)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            row = {
                "step": self.trainer.global_step,
                "epoch": self.trainer.current_epoch + 1,
                "elapsed": round(self.elapsed, 3),
                "progress": self.progress,
                "phase": self.phase(self.trainer.current_epoch)[0],
                "train_loss": self._loss,
            }
            self.history.append({**row, **self.metrics})

    def on_test_epoch_start(self) -> None:
        """Reads the materials to compare with."""
        self.metrics = {}
        self._others = {name: read_material(path).to(self.device) for name, path in _names(self.trainer.datamodule.against).items()}

    def test_step(self, batch: str, batch_idx: int) -> None:
        """Runs a test from its start."""
        truth = self.trainer.datamodule.test(batch).to(self.device)
        self.metrics[f"test/{batch}"] = self.error(truth)
        for name, other in self._others.items():
            self.metrics[f"{name}/{batch}"] = self.error(truth, other)

    def on_test_epoch_end(self) -> None:
        """Reports."""
        self.log_dict(self.metrics)

    def error(self, truth: Trajectory, material: Material | None = None) -> float:
        """Returns the mean squared error of positions over a motion, infinite where the simulation breaks down.

        Materials of the motion other than the one that is learned stay as they are.

        Args:
            truth: the true motion.
            material: what takes the place of the learned one in it; the one of this training unless given.
        """
        return rollout_mse(self.simulator(truth, material), truth)

    def headline(self, metrics: dict[str, Any]) -> str:
        """Returns the error of the reconstruction in words."""
        return f"position MSE {metrics['reconstruction']:.2e}" if "reconstruction" in metrics else ""

    def export(self, path: Path, training: dict[str, Any], results: dict[str, float]) -> Path:
        """Writes the material."""
        return export_material(path, self.material, self.facts, training=training, results=results)

    def restore(self, path: Path) -> None:
        """Takes the weights of a material.

        Raises:
            ValueError: the file holds other laws.
        """
        facts = read_meta(path).get("material")
        if facts != self.facts:
            raise ValueError(f"{path} holds {facts}, the recipe has {self.facts}")
        laws = (law for law in (self.material.elastic, self.material.plastic) if isinstance(law, Law))
        self.material.load_state_dict(read_material(path, *map(type, laws)).state_dict())

    # Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what resuming needs, in plain types."""
        checkpoint["geoops"] = {
            "format": CHECKPOINT_FORMAT,
            "material": self.facts,
            "motion": self._of_motion(),
            "elapsed": self.elapsed,
            "history": self.history,
        }

    def _of_motion(self) -> dict[str, Any]:
        data = self.trainer.datamodule
        return {"learned": data.learned, **data.facts()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores.

        Raises:
            ValueError: a checkpoint of another program, version or law.
        """
        state = checkpoint.get("geoops")
        if state is None or state.get("format") != CHECKPOINT_FORMAT or not {"material", "motion"} <= set(state):
            raise ValueError("the checkpoint is not of the training of a material by this geoops: train again")
        if state["material"] != self.facts:
            raise ValueError(
                f"the checkpoint is of another law: {state['material']}, this run has {self.facts}; "
                "use the recipe it was trained with"
            )
        if self.trainer.state.fn == "fit" and state["motion"] != self._of_motion():
            raise ValueError(
                f"the checkpoint was trained on {state['motion']}, this run has {self._of_motion()}; choose another --name"
            )
        self._elapsed, self.history = float(state["elapsed"]), list(state["history"])


def _every(motion: Trajectory) -> int:
    """Returns the steps between frames, which must be the same for all."""
    gaps = motion.steps.diff()
    if len(gaps) == 0 or int(gaps.min()) != int(gaps.max()):
        raise ValueError(f"a motion to learn from needs frames at equal distances, got steps {motion.steps.tolist()[:5]} ...")
    return int(gaps[0])


def _begins(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def _names(paths: list[str]) -> dict[str, str]:
    """Returns files by their stems, or by the folder of the run for the bundle of a run."""
    found: dict[str, str] = {}
    for path in paths:
        name = Path(path).stem
        name = Path(path).resolve().parent.name if name == "model" else name
        if name in found or name == "test":
            other = f"{found[name]} has it too" if name in found else "the law that is tested has it"
            raise ValueError(f"data.against: {path} would be called {name!r}, but {other}; rename the file or its folder")
        found[name] = path
    return found


def _release(of: Material, unknown: Mapping[str, float]) -> None:
    """Makes unknowns of constants and gives them their first guess."""
    constants = dict(of.named_parameters())
    for name, value in unknown.items():
        if name not in constants:
            raise ValueError(f"MaterialFit: unknown {name!r} is not among the constants {', '.join(constants)}")
        constants[name].requires_grad_()
        with torch.no_grad():
            constants[name].fill_(value)


def _rate(name: str, lr: Mapping[str, float]) -> float:
    fits = [key for key in lr if _begins(name, key)]
    if not fits:
        raise ValueError(f"MaterialFit: lr has no rate for {name}; give one for elastic and one for plastic")
    return float(lr[max(fits, key=len)])
