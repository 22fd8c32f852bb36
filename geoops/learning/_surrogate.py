"""Training of any network on any folder: the LightningModule."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, final

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from geoops.data import FieldBatch, Normalizer
from geoops.geometry import Sizes
from geoops.models import Network

from ._bundle import export_bundle, read_bundle
from ._evaluate import Evaluation
from ._losses import FieldScale, mse, rel_l2
from ._metrics import MetricRegion
from ._network_fit import NetworkFit
from ._network_options import build
from ._optimizers import build_optimizer
from ._schedule import stage_at, stage_ends, warmup_cosine


@final
class Surrogate(NetworkFit):
    """Trains and evaluates a network; sizes, normaliser and batches come from the trainer's `MeshData`.

    The budget is `max_steps` of the trainer, or `max_time` where that alone is given: the learning rate and the stages
    follow elapsed / max_time then, which no second run repeats bit for bit. With `max_steps` a run is a function of
    seed and data: batch i, its random draws and the global random state of step i derive from (seed, i) alone, and a
    resumed run ends with the same bits. Evaluation and export use the averaged weights.

    Args:
        network: builds the network from the sizes of the data.
        loss: `rel_l2`, the relative L2 error of each shape in physical units, or `mse` in normalised units.
        optimizer: `adamw`, or `muon` for hidden matrices with AdamW for the rest.
        lr: highest learning rate.
        weight_decay: of matrices; biases and norms have none.
        betas: of AdamW.
        momentum: of Muon.
        warmup: share of each stage in which the learning rate rises.
        final_lr: share of `lr` that the cosine ends with.
        ema: decay of the averaged weights; 0 for none.
        stages: share of the budget for each stage of the network; equal by default.
        stage_lr_scale: factor of the learning rate in stages.
        regions: parts of the domain with a metric of their own.
        decode_chunk: most query points in one decoding at evaluation.
    """

    monitor: ClassVar[str] = "val/rel_l2"
    network: Network

    def __init__(
        self,
        network: Callable[[Sizes], Network],
        *,
        loss: Literal["rel_l2", "mse"] = "rel_l2",
        optimizer: Literal["adamw", "muon"] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        warmup: float = 0.03,
        final_lr: float = 0.0,
        ema: float = 0.999,
        stages: dict[str, float] | None = None,
        stage_lr_scale: dict[str, float] | None = None,
        regions: list[MetricRegion] | None = None,
        decode_chunk: int = 65536,
    ):
        super().__init__(
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            betas=betas,
            warmup=warmup,
            final_lr=final_lr,
            ema=ema,
        )
        if loss not in ("rel_l2", "mse"):
            raise ValueError(f"loss must be 'rel_l2' or 'mse', got {loss!r}")
        self._factory, self._momentum = network, momentum
        self._loss: Literal["rel_l2", "mse"] = loss
        self._stage_shares, self._stage_lr_scale = stages, dict(stage_lr_scale or {})
        self._regions, self._decode_chunk = list(regions or ()), decode_chunk
        self._stage = -1

    # Building

    def setup(self, stage: str) -> None:
        """Builds the network for the data."""
        data = self.trainer.datamodule
        if data is None:
            raise ValueError("Surrogate needs a MeshData as datamodule: trainer.fit(surrogate, datamodule=data)")
        if self.network is None:
            # The weights depend on the seed only, not on what drew random numbers before.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(data.seed)
                self.adopt(*build(self._factory, data.sizes, Network))
        data.with_nodes, data.phases = self.network.uses_nodes, self.network.boundary_phases
        self._scale = FieldScale.of(data.normalizer)
        if stage == "fit":
            self._check_budget()

    def adopt(self, network: Network, options: dict[str, Any]) -> None:
        """Takes a network that was built already, for example that of a bundle.

        Raises:
            ValueError: stages, or options that a file cannot hold.
        """
        if unknown := set(self._stage_lr_scale) - set(network.stages):
            raise ValueError(f"stage_lr_scale names {sorted(unknown)}, the network has {list(network.stages)}")
        self._ends = stage_ends(network.stages, self._stage_shares)
        self._stage_parameters = [network.stage_parameters(stage) for stage in network.stages]
        super().adopt(network, options)

    def _check_budget(self) -> None:
        super()._check_budget()
        trainer = self.trainer
        staged = len(self.network.stages) > 1 and isinstance(trainer.strategy, DDPStrategy)
        if staged and not trainer.strategy._ddp_kwargs.get("find_unused_parameters"):
            raise ValueError(
                f"{type(self.network).__name__} trains in stages: use --trainer.strategy ddp_find_unused_parameters_true"
            )

    def configure_optimizers(self) -> Optimizer:
        """Builds one optimiser whose groups remember the stages they belong to."""
        members: dict[tuple[int, ...], list[nn.Parameter]] = {}
        chosen = [{id(p) for p in parameters} for parameters in self._stage_parameters]
        for p in self.network.parameters():
            if stages := tuple(i for i, ids in enumerate(chosen) if id(p) in ids):
                members.setdefault(stages, []).append(p)
        return build_optimizer(
            self._optimizer,
            [(parameters, {"stages": list(stages)}) for stages, parameters in members.items()],
            lr=self._lr,
            weight_decay=self._weight_decay,
            betas=self._betas,
            momentum=self._momentum,
        )

    # Training

    def on_train_start(self) -> None:
        """Starts the clock; a fresh run enters its first stage at the first batch."""
        super().on_train_start()
        if self._stage >= 0:
            self._activate(self._stage)
            self.average.follow(self.network, self._stage_parameters[self._stage])

    def on_train_batch_start(self, batch: FieldBatch, batch_idx: int) -> None:
        """Sets stage, learning rate and the random state of the step."""
        self._agree()
        progress = self.progress
        wanted, local = stage_at(progress, self._ends)
        while self._stage < wanted:
            self._enter(self._stage + 1)
        name = self.network.stages[self._stage]
        factor = warmup_cosine(local, self._warmup, self._final_lr) * self._stage_lr_scale.get(
            name, self.network.stage_lr_scale(name)
        )
        for group in self.optimizers().param_groups:
            group["lr"] = self._lr * factor if self._stage in group["stages"] else 0.0
        self._seed_step()

    def _enter(self, stage: int) -> None:
        if stage > 0:
            # The next stage builds on what evaluation will see.
            self.average.keep(self.network)
        self._activate(stage)
        self._stage = stage
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.trainer.datamodule.seed)
            self.network.begin_stage(self.network.stages[stage], self._train_shapes)
        self.average.start(self.network, self._stage_parameters[stage])

    def _train_shapes(self):
        return (shapes.to(self.device) for shapes in self.trainer.datamodule.train_shapes())

    def _activate(self, stage: int) -> None:
        active = {id(p) for p in self._stage_parameters[stage]}
        for parameters in self._stage_parameters:
            for p in parameters:
                p.requires_grad_(id(p) in active)
                if id(p) not in active:
                    p.grad = None

    def training_step(self, batch: FieldBatch, batch_idx: int) -> Tensor:
        """Returns the loss of the present stage."""
        loss = self._stage_loss(batch)
        self._count(loss)
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:
            rates = [group["lr"] for group in self.optimizers().param_groups]
            self.log_dict({"train/loss": loss, "train/lr": max(rates)}, batch_size=len(batch.shapes))
        return loss

    def _stage_loss(self, batch: FieldBatch) -> Tensor:
        shapes, pos, sdf, target, mask = batch

        def loss(prediction: Tensor, wanted: Tensor) -> Tensor:
            prediction = prediction.to(wanted.dtype)
            if self._loss == "mse":
                return mse(prediction, wanted, mask)
            return rel_l2(prediction, wanted, self._scale, mask)

        return self.network.stage_loss(self.network.stages[self._stage], shapes, pos, sdf, target, loss)

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """Steps, then lets the network and the average follow."""
        optimizer.step(closure=optimizer_closure)
        with torch.no_grad():
            self.network.after_step(self.network.stages[self._stage])
        self.average.update(self.network)

    # Evaluation

    def begin_evaluation(self) -> None:
        """Forgets the errors of the last evaluation."""
        self._evaluation = Evaluation(self._normalizer, self._scale, self._regions, self._decode_chunk)

    def validation_step(self, batch: FieldBatch, batch_idx: int) -> None:
        """Collects the errors of the shapes."""
        self._evaluation.add(self.network, batch)

    def test_step(self, batch: FieldBatch, batch_idx: int) -> None:
        """Collects the errors of the shapes."""
        self._evaluation.add(self.network, batch)

    def end_evaluation(self, prefix: str) -> None:
        """Takes the errors of all shapes together."""
        self.metrics = self._evaluation.result(prefix, self.trainer.strategy)
        self.log_dict(self.metrics, sync_dist=self.trainer.world_size > 1)

    def row(self) -> dict[str, Any]:
        """Returns what a row of `history` has besides errors."""
        return {**super().row(), "stage": self.network.stages[max(self._stage, 0)]}

    @property
    def _normalizer(self) -> Normalizer:
        return self.trainer.datamodule.normalizer

    def headline(self, metrics: dict[str, Any]) -> str:
        """Returns the validation error in words."""
        return f"val rel L2 {100 * metrics['val/rel_l2']:.2f} %" if "val/rel_l2" in metrics else ""

    def export(self, path: Path, training: dict[str, Any], results: dict[str, float]) -> Path:
        """Writes the bundle with the averaged weights."""
        return export_bundle(
            path,
            self.network,
            self._normalizer,
            options=self.options,
            weights=self.averaged_weights(),
            training=training,
            results=results,
        )

    def restore(self, path: Path) -> None:
        """Takes the network of a bundle; `MeshData` gets its normaliser."""
        bundle = read_bundle(path)
        self.adopt(bundle.network, bundle.meta["options"])

    # Checkpoints

    def identity(self) -> dict[str, Any]:
        """Returns what a resumed run and its checkpoint have in common."""
        return {**super().identity(), "sizes": asdict(self.network.sizes)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the stage."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["geoops"]["stage"] = self._stage

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the stage, too.

        Raises:
            ValueError: a checkpoint of another program, version or network.
        """
        super().on_load_checkpoint(checkpoint)
        self._stage = int(checkpoint["geoops"]["stage"])
