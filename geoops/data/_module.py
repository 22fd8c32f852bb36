"""Training, validation and test batches of a folder of meshes, for Lightning."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, final

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from geoops.geometry import Shapes, Sizes

from ._batch import EvalBatches, Reflection, StepBatches, Stream
from ._folder import MeshFolder, split_files
from ._normalizer import Normalizer
from ._pack import Pack
from ._prepare import Prepared, prepare
from ._task import Task


@final
class MeshData(LightningDataModule):
    """Batches of a folder of meshes. Statistics come from the training files alone.

    Args:
        root: folder with sub-folders train, val and test, or with files that are split by the fractions; see
            `split_files`.
        inputs: point fields given with the geometry.
        targets: point fields to predict.
        globals: per-mesh parameters (field data).
        batch_size: shapes in a training batch, over all processes.
        points_per_step: random nodes of each shape that a training step asks for; null for all.
        encode_points: random nodes of each shape that the encoder sees in training; null for all.
        reflect: axes along which training shapes are mirrored at random (only where the problem allows).
        reflect_signs: signs that the channels of a field take under a mirror, for example `{displacement: [-1, 1]}`;
            a list of such lists, one for each axis, where `reflect` has several. Scalars keep their sign by default.
        target_mode: `standard` removes the mean of targets and divides by the deviation, `scale` only divides.
        globals_mode: `standard` removes the mean of globals and divides each channel by its deviation; `scale` divides the
            channels of a vector by their common size, so that it keeps its direction.
        max_tokens: most boundary tokens per shape.
        limit_train: use only this many training files (the first ones).
        val_fraction: share of files for validation where there is no folder for it.
        test_fraction: share of files for testing where there is no folder for it.
        test_split: sub-folder that `geoops test` reads.
        eval_batch_size: most shapes in an evaluation batch.
        cache_dir: folder for prepared samples, which later runs read instead of the meshes.
        processes: processes that read files; null for one per core.
        workers: processes that build batches.
        seed: of splits, order and draws; null for `seed_everything`.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        inputs: list[str],
        targets: list[str],
        globals: list[str] | None = None,
        batch_size: int = 8,
        points_per_step: int | None = 256,
        encode_points: int | None = None,
        reflect: list[int] | None = None,
        reflect_signs: dict[str, list[int] | list[list[int]]] | None = None,
        target_mode: Literal["standard", "scale"] = "standard",
        globals_mode: Literal["standard", "scale"] = "standard",
        max_tokens: int = 512,
        limit_train: int | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        test_split: str = "test",
        eval_batch_size: int = 8,
        cache_dir: Path | str | None = None,
        processes: int | None = None,
        workers: int = 0,
        seed: int | None = None,
    ):
        super().__init__()
        for name in ("batch_size", "points_per_step", "encode_points", "max_tokens", "limit_train", "eval_batch_size"):
            if (value := locals()[name]) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.root = Path(root)
        self.task = Task(inputs, targets, globals or ())
        self.batch_size, self.points_per_step, self.encode_points = batch_size, points_per_step, encode_points
        self.reflect, self.reflect_signs = list(reflect or ()), dict(reflect_signs or {})
        if unknown := set(self.reflect_signs) - {*self.task.inputs, *self.task.targets, *self.task.globals}:
            raise ValueError(f"reflect_signs names {sorted(unknown)}, which the task does not use")
        self.target_mode: Literal["standard", "scale"] = target_mode
        self.globals_mode: Literal["standard", "scale"] = globals_mode
        self.max_tokens, self.limit_train = max_tokens, limit_train
        self.val_fraction, self.test_fraction, self.test_split = val_fraction, test_fraction, test_split
        self.eval_batch_size, self.workers = eval_batch_size, workers
        self.cache_dir = Path(cache_dir) if cache_dir else None
        self.processes = processes or os.cpu_count() or 1
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        #: Whether networks read the nodes; a network that does not (`uses_nodes = False`) spares their copies.
        self.with_nodes = True
        #: How many ways to cut the boundary a training set holds; networks say how many they want (`boundary_phases`).
        self.phases = 1
        self._normalizer: Normalizer | None = None
        self._prepared: dict[str, Prepared] = {}
        self._packs: dict[tuple[str, int], Pack] = {}

    def setup(self, stage: str | None = None) -> None:
        """Reads what a stage (fit, validate, test) needs, and fits the normaliser on the training files."""
        needed = {"fit": ["train", "val"], "validate": ["val"], "test": ["test"]}.get(stage or "", ["train", "val", "test"])
        if self._normalizer is None:
            prepared = self._read("train")
            self._normalizer = Normalizer.fit_raw(
                prepared.raws,
                self.task,
                mode=self.target_mode,
                globals_mode=self.globals_mode,
                max_tokens=self.max_tokens,
                units=prepared.units,
            )
            self._check_axes()
        for split in needed:
            self._read(split)

    @property
    def normalizer(self) -> Normalizer:
        """Statistics of the training files, or those of the checkpoint that was loaded."""
        if self._normalizer is None:
            self.setup("fit")
        assert self._normalizer is not None
        return self._normalizer

    @property
    def sizes(self) -> Sizes:
        """Channels that networks are built for."""
        return self.normalizer.sizes

    def files(self, split: str) -> list[Path]:
        """Returns the files of a split."""
        kwargs = {"val_fraction": self.val_fraction, "test_fraction": self.test_fraction, "seed": self.seed}
        if split == "test" and self.test_split != "test":
            names = {"inputs": self.task.inputs, "targets": self.task.targets, "globals": self.task.globals}
            return MeshFolder(self.root, split=self.test_split, **names, **kwargs).files
        files = split_files(self.root, **kwargs)[split]
        return files[: self.limit_train] if split == "train" else files

    def train_dataloader(self) -> DataLoader:
        """Returns endless training batches (`FieldBatch`) that go on at the step of the trainer."""
        batches = self.step_batches(start=self._batches_done(), **self._share())
        return self._loader(batches, self.workers)

    def val_dataloader(self) -> DataLoader | list:
        """Returns the validation shapes with all nodes; nothing where there are no files."""
        return self._evaluation("val")

    def test_dataloader(self) -> DataLoader | list:
        """Returns the test shapes with all nodes.

        Raises:
            FileNotFoundError: there are no test files.
        """
        if not self._read("test").raws:
            raise FileNotFoundError(f"no test files in {self.root}: add a folder 'test' or set test_fraction")
        return self._evaluation("test")

    def step_batches(self, start: int = 0, rank: int = 0, world: int = 1) -> StepBatches:
        """Returns the training batches by step; `[i]` is the batch of step i."""
        reflections = [
            Reflection.build(axis, place, len(self.reflect), self.normalizer, self.reflect_signs)
            for place, axis in enumerate(self.reflect)
        ]
        return StepBatches(
            self.pack("train"),
            batch_size=self.batch_size,
            points=self.points_per_step,
            encode_points=self.encode_points,
            reflections=reflections,
            seed=self.seed,
            start=start,
            rank=rank,
            world=world,
            with_nodes=self.with_nodes,
        )

    def train_shapes(self) -> Iterator[Shapes]:
        """Iterates once over batches of all training shapes (and their mirror images), for statistics of codes."""
        batches, pack = self.step_batches(), self.pack("train")
        for which in torch.arange(len(pack)).split(self.eval_batch_size):
            for bits in range(1 << len(self.reflect)):
                yield batches.mirrored(which, bits)

    def pack(self, split: str) -> Pack:
        """Returns the normalised samples of a split."""
        phases = self.phases if split == "train" else 1
        if (split, phases) not in self._packs:
            before = [s for s in ("train", "val", "test") if s != split][: ("train", "val", "test").index(split)]
            # Keys of different splits differ, since networks may cache codes by key.
            first = sum(len(self.files(s)) for s in before)
            normalizer, files = self.normalizer, self.files(split)
            raws = enumerate(self._read(split).raws)
            samples = [normalizer.encode(raw, first + i, str(files[i]), phases=phases) for i, raw in raws]
            self._packs[split, phases] = Pack(samples, variants=max(2, 1 << len(self.reflect)), phases=phases)
        return self._packs[split, phases]

    def facts(self) -> dict[str, Any]:
        """Returns what a record of a training says of its data."""
        return {"train_files": len(self.pack("train"))}

    def state_dict(self) -> dict[str, Any]:
        """Returns the normaliser, for checkpoints."""
        return {"normalizer": self.normalizer.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the normaliser of a checkpoint.

        Raises:
            ValueError: the checkpoint answers another task.
        """
        normalizer = Normalizer.from_state_dict(state_dict["normalizer"])
        if normalizer.task != self.task:
            raise ValueError(f"the checkpoint was trained for {normalizer.task}, this run asks for {self.task}")
        if normalizer != self._normalizer:
            self._normalizer = normalizer
            self._packs.clear()

    def _read(self, split: str) -> Prepared:
        if split not in self._prepared:
            rank_zero = self.trainer is None or self.trainer.is_global_zero
            self._prepared[split] = prepare(
                self.files(split),
                self.task,
                processes=self.processes,
                cache_dir=self.cache_dir,
                progress=f"reading {split} files" if rank_zero else None,
            )
        return self._prepared[split]

    def _check_axes(self) -> None:
        dim = self.normalizer.sizes.dim
        if bad := [axis for axis in self.reflect if not 0 <= axis < dim]:
            raise ValueError(f"reflect axes must lie in 0..{dim - 1} for {dim}D shapes, got {bad}")

    def _evaluation(self, split: str) -> DataLoader | list:
        if not self._read(split).raws:
            return []
        batches = EvalBatches(self.pack(split), batch_size=self.eval_batch_size, with_nodes=self.with_nodes, **self._share())
        return self._loader(batches, 0)

    def _share(self) -> dict[str, int]:
        trainer = self.trainer
        return {} if trainer is None else {"rank": trainer.global_rank, "world": trainer.world_size}

    def _batches_done(self) -> int:
        # Lightning restores its loops before it asks for loaders, so that a resumed run goes on where it was.
        return 0 if self.trainer is None else self.trainer.fit_loop.epoch_loop.batch_progress.total.processed

    def _loader(self, batches: StepBatches | EvalBatches, workers: int) -> DataLoader:
        return DataLoader(Stream(batches), batch_size=None, num_workers=workers, persistent_workers=workers > 0)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves a batch; on the CPU it is there already."""
        if device.type == "cpu":
            return batch
        return type(batch)(*(part.to(device) for part in batch))
