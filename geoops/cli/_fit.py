"""fit, validate and test by recipes, on top of LightningCLI."""

import logging
import os
import shlex
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Column, Table

from geoops import configs
from geoops.data import MeshData, MotionData, ParticleData
from geoops.learning import (
    AtomicCheckpointIO,
    DecoderFit,
    Fit,
    FitProgress,
    HistoryWriter,
    MaterialFit,
    StepperFit,
    Surrogate,
    provenance,
    read_checkpoint,
    read_meta,
    write_json,
)

#: Lightning's advice that does not apply: batches come from memory, one endless epoch, steps that follow (seed, step).
SILENT = (
    ".*does not have many workers.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*You're resuming from a checkpoint that ended before the epoch ended.*",
    ".*`max_epochs` was not set.*",
    ".*callbacks used to create the checkpoint need to be provided.*",
    ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
    ".*The `srun` command is available.*",
    ".*but there is no lr scheduler.*",
    ".*LightningCLI's args parameter is intended to run from within Python.*",
    ".*GPU available but not used.*",
    ".*The dirpath has changed from.*",
)

TRAINER_DEFAULTS: dict[str, Any] = {
    "check_val_every_n_epoch": None,
    "enable_model_summary": False,
    "gradient_clip_val": 1.0,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
    "val_check_interval": "00:00:01:00",
}


def run_fit(args: list[str]) -> int:
    """Runs `fit`, `validate` or `test` with the rest of a command line."""
    # Lightning calls jsonargparse in ways that newer versions deprecate; that is not the user's affair.
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in SILENT:
        warnings.filterwarnings("ignore", message=message)
    command = shlex.join(["geoops", *args])
    resolved, name = resolve_recipes(args)
    try:
        FitCLI(resolved, name=name, command=command)
    except ArgumentError as error:
        sys.stderr.write(f"geoops: error: {' '.join(str(error).split())}\n")
        return 2
    return 0


def resolve_recipes(args: list[str]) -> tuple[list[str], str]:
    """Returns the command line with recipes as paths, and a name for the run: that of the first recipe and its overlays.

    The first word after the command may be a recipe without `--config`.
    """
    command, *rest = args
    if rest and not rest[0].startswith("-"):
        rest = ["--config", *rest]
    out, names = [command], list[str]()
    i = 0
    while i < len(rest):
        word = rest[i]
        flag, _, value = word.partition("=")
        if flag in ("--config", "-c"):
            if not value:
                if i + 1 == len(rest):
                    raise ValueError("--config needs a recipe: a YAML file or one of " + ", ".join(configs.names()))
                i += 1
                value = rest[i]
            path = configs.find(value)
            packaged = path.is_relative_to(configs.ROOT)
            whole = path.relative_to(configs.ROOT).with_suffix("").as_posix() if packaged else path.stem
            names.append(path.stem if names else whole)
            out += ["--config", str(path)]
        else:
            out.append(word)
        i += 1
    return out, "-".join(names) or "run"


EPILOG = "Options depend on the recipe: geoops fit unit-cell/enf2enf --help, geoops fit nclaw/jelly --help."


class FitCLI(LightningCLI):
    """LightningCLI with runs in folders, checkpoints that survive a kill, and a bundle at the end."""

    def __init__(self, args: list[str], *, name: str, command: str):
        self._default_name, self._command = name, command
        fit, data = _kind(args)
        quiet = {"exit_on_error": False, "allow_abbrev": False, "epilog": EPILOG}
        super().__init__(
            fit,
            data,
            args=args,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS | fit.trainer_defaults,
            auto_configure_optimizers=False,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={**quiet, **{c: quiet for c in self.subcommands()}},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Returns the commands and the arguments of the trainer's methods that are not options."""
        common = {"model", "datamodule", "weights_only", "ckpt_path"}
        return {
            "fit": common | {"train_dataloaders", "val_dataloaders"},
            "validate": common | {"dataloaders", "verbose"},
            "test": common | {"dataloaders", "verbose"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of a run."""
        help_checkpoint = "last, best, or a file: where fit goes on (from the start if there is none), what the others evaluate"
        parser.add_argument("--ckpt_path", type=str | None, default=None, help=help_checkpoint)
        parser.add_argument("--kind", type=str, default="surrogate", help="what is trained: " + ", ".join(KINDS))
        parser.add_argument("--name", type=str, default=self._default_name, help="name of the run, a folder under --runs")
        parser.add_argument("--runs", type=str, default="runs", help="folder of all runs")
        parser.add_argument("--threads", type=int | None, default=None, help="threads of torch")
        parser.add_argument("--overwrite", type=bool, default=False, help="train again where the folder holds a run")
        parser.add_argument("--save_every", type=float, default=60.0, help="seconds between checkpoints")
        parser.add_argument("--save_every_steps", type=int | None, default=None, help="steps between checkpoints instead")

    # Settings

    def _option(self, name: str) -> Any:
        return self.config[self.subcommand][name]

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        return Path(self._option("runs")) / self._option("name")

    def before_instantiate_classes(self) -> None:
        """Applies `--threads`, finds the checkpoint, and guards an earlier run."""
        if (threads := self._option("threads")) is not None:
            if threads < 1:
                raise ValueError(f"--threads must be at least 1, got {threads}")
            torch.set_num_threads(threads)
        checkpoints = self.folder / "checkpoints"
        path = self._option("ckpt_path")
        if self.subcommand != "fit":
            path = path or ("best" if (checkpoints / "best.ckpt").is_file() else "last")  # a short run has no best one
        if path in ("last", "best"):
            path = str(checkpoints / f"{path}.ckpt")
            if self.subcommand == "fit" and not Path(path).is_file():
                path = None
        if path is not None and not Path(path).is_file():
            raise FileNotFoundError(f"no checkpoint {path}: train first, or give --ckpt_path")
        if self.subcommand == "fit" and path is not None and path.endswith(".safetensors"):
            raise ValueError(f"{path} is a bundle, which holds no state of training: resume from a .ckpt file")
        if self.subcommand == "fit" and path is None and (checkpoints / "last.ckpt").is_file() and not self._option("overwrite"):
            raise ValueError(
                f"{self.folder} holds a run: resume it with --ckpt_path last, choose another --name, or say --overwrite true"
            )
        self.config[self.subcommand]["ckpt_path"] = path

    def _parse_ckpt_path(self) -> None:
        # LightningCLI would take hyper-parameters from the checkpoint here; ours come from the recipe and are compared.
        pass

    def after_instantiate_classes(self) -> None:
        """Takes the normaliser of the checkpoint, so that no training file is needed to evaluate it."""
        path = self._option("ckpt_path")
        if path is None:
            return
        if bundle := path.endswith(".safetensors"):
            self.model.restore(Path(path))
        if isinstance(self.datamodule, MeshData):
            state = {"normalizer": read_meta(path)["normalizer"]} if bundle else read_checkpoint(path)["MeshData"]
            self.datamodule.load_state_dict(state)

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        """Builds the trainer with the logger, checkpoints and progress of the run."""
        config = self.config_init[self.subcommand]["trainer"]
        config["default_root_dir"] = config["default_root_dir"] or str(self.folder)
        if self.subcommand == "fit":
            if config["logger"] in (None, True):
                config["logger"] = TensorBoardLogger(self.folder.parent, name=self.folder.name, version="")
            config["callbacks"] = [*(config["callbacks"] or []), *self._callbacks(config["enable_progress_bar"] is not False)]
        else:
            config["logger"] = config["logger"] or False
        config["plugins"] = [*_list(config["plugins"]), AtomicCheckpointIO()]
        return super().instantiate_trainer(**kwargs)

    def _callbacks(self, shown: bool) -> list[Any]:
        folder, steps = self.folder / "checkpoints", self._option("save_every_steps")
        when: dict[str, Any] = {"every_n_train_steps": steps}
        if isinstance(self.model, MaterialFit):
            when = {"every_n_epochs": 1, "save_on_train_epoch_end": True}
        elif steps is None:
            when = {"train_time_interval": timedelta(seconds=self._option("save_every"))}
        common: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False, "auto_insert_metric_name": False}
        return [
            *([FitProgress()] if shown else []),
            HistoryWriter(self.folder / "metrics.json"),
            ModelCheckpoint(filename="best", monitor=self.model.monitor, mode="min", **common),
            ModelCheckpoint(filename="last", **when, **common),
        ]

    # Runs

    def after_fit(self) -> None:
        """Saves the end, evaluates, and writes `metrics.json` and the bundle."""
        trainer, model, data = self.trainer, self.model, self.datamodule
        trainer.save_checkpoint(self.folder / "checkpoints" / "last.ckpt")
        training = provenance(model, trainer, self._command)
        if isinstance(data, MotionData):
            data.against = []  # what others reach is no result of this training
        results: dict[str, float] = {}
        for split, run in (("val", trainer.validate), ("test", trainer.test)):
            if isinstance(data, MotionData) or data.files(split):
                run(model, datamodule=data, verbose=False)
                results |= model.metrics
        if not trainer.is_global_zero:
            return
        write_json(self.folder / "metrics.json", {"training": training, "history": model.history, "results": results})
        bundle = model.export(self.folder / "model.safetensors", training, results)
        _show(results, f"{self.folder}")
        Console(stderr=True).print(f"wrote {bundle}", highlight=False, soft_wrap=True)

    def after_validate(self) -> None:
        """Shows the errors."""
        if self.trainer.is_global_zero:
            _show(self.model.metrics, self._option("ckpt_path"))

    def after_test(self) -> None:
        """Shows the errors."""
        self.after_validate()

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        path = self._option("ckpt_path")
        kwargs["ckpt_path"] = None if path is not None and path.endswith(".safetensors") else path
        kwargs["weights_only"] = True
        if subcommand != "fit":
            kwargs["verbose"] = False
        return kwargs


#: Recipes say by `kind` what is trained; without it, it is a surrogate, or a material where laws are named.
KINDS: dict[str, tuple[type[Fit], type[LightningDataModule]]] = {
    "surrogate": (Surrogate, MeshData),
    "material": (MaterialFit, MotionData),
    "stepper": (StepperFit, ParticleData),
    "decoder": (DecoderFit, ParticleData),
}


def _kind(args: list[str]) -> tuple[type[Fit], type[LightningDataModule]]:
    """Returns what recipes or options train, and on which data."""
    kind = "surrogate"
    for i, word in enumerate(args):
        flag, _, value = word.partition("=")
        if flag.startswith(("--model.elastic", "--model.formula")):
            kind = "material"
        elif flag == "--kind":
            kind = value or "".join(args[i + 1 : i + 2])
        elif flag == "--config" and i + 1 < len(args):
            kind = _kind_of(Path(args[i + 1])) or kind
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind]


def _kind_of(path: Path) -> str | None:
    try:
        recipe = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        return None  # the parser of options will say where
    if not isinstance(recipe, dict):
        return None
    model = recipe.get("model")
    laws = isinstance(model, dict) and {"elastic", "formula"} & set(model)
    return str(recipe["kind"]) if "kind" in recipe else "material" if laws else None


def _show(results: dict[str, float], title: str) -> None:
    if any(name.endswith(("rollout_mse", "displacement")) for name in results):
        first = Column("error", overflow="fold")  # names are not cut off in narrow terminals
        table = Table(first, "mean", "lowest sample", "highest sample", title=title, title_justify="left")
        for name, mean in results.items():
            if not name.endswith(("_low", "_high")):
                spread = [results.get(f"{name}{end}") for end in ("_low", "_high")]
                table.add_row(name, *("" if value is None else f"{value:.3e}" for value in (mean, *spread)))
        Console().print(table)
        return
    if not any(f"{name}_median" in results for name in results):
        laws = list(dict.fromkeys(name.partition("/")[0] for name in results if "/" in name)) or [""]
        motions = dict.fromkeys(name.partition("/")[2] or name for name in results)
        table = Table("position MSE", *(law.replace("test", "this law") for law in laws), title=title, title_justify="left")
        for motion in motions:
            cells = [results.get(f"{law}/{motion}", results.get(motion)) for law in laws]
            table.add_row(motion, *("" if cell is None else f"{cell:.3e}" for cell in cells))
        Console().print(table)
        return
    table = Table(title=title, title_justify="left")
    for column in ("error", "mean", "median", "95th percentile"):
        table.add_column(column, justify="left" if column == "error" else "right")
    for name, mean in results.items():
        if f"{name}_median" in results:
            cells = [mean, results[f"{name}_median"], results[f"{name}_p95"]]
            table.add_row(name, *(f"{100 * v:.3f} %" for v in cells))
    Console().print(table)


def _list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
