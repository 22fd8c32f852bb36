"""A folder of readable files as a data set of meshes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
from torch.utils.data import Dataset

from geoops import io
from geoops.geometry import Mesh, PointCloud

from ._fields import check_fields
from ._task import Task


def readable_suffixes() -> list[str]:
    """Returns the endings of file names that `geoops.io` reads."""
    return sorted({suffix for kind in io.formats() for suffix in kind.suffixes})


def readable_files(root: Path) -> list[Path]:
    """Returns the files under `root` that `geoops.io` reads, by sorted path; without the parts of multi-block files."""
    suffixes = set(readable_suffixes())
    found = [p for p in sorted(root.rglob("*")) if p.suffix.lower() in suffixes and p.is_file()]
    # `name.vtm` keeps its blocks in a folder `name/` beside it.
    blocks = {p.with_suffix("") for p in found if p.suffix.lower() == ".vtm"}
    return [
        p
        for p in found
        if not any(parent in blocks for parent in p.parents) and not any(part.startswith(".") for part in p.relative_to(root).parts)
    ]


def split_files(root: str | Path, *, val_fraction: float = 0.1, test_fraction: float = 0.1, seed: int = 0) -> dict[str, list[Path]]:
    """Returns the files of the splits `train`, `val`, `test`.

    Sub-folders with these names are the splits. Without a folder `val` the validation files are drawn from `train`.
    Without a folder `train` all files are shuffled (a function of `seed` and the sorted paths) and cut by the
    fractions.

    Raises:
        FileNotFoundError: no such folder, or no readable file in it.
        ValueError: fractions outside [0, 1), or nothing left to train on.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: give the folder that holds the mesh files")
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise ValueError(f"fractions must lie in [0, 1) and sum to less than 1, got {val_fraction=}, {test_fraction=}")

    def shuffled(files: list[Path]) -> list[Path]:
        return [files[i] for i in np.random.default_rng(seed).permutation(len(files))]

    def count(fraction: float, files: list[Path]) -> int:
        # A positive fraction of two or more files is never empty.
        return min(max(round(fraction * len(files)), 1), len(files) - 1) if fraction and len(files) > 1 else 0

    if (root / "train").is_dir():
        splits = {name: readable_files(root / name) for name in ("train", "val", "test")}
        if not (root / "val").is_dir():
            files = shuffled(splits["train"])
            n = count(val_fraction, files)
            splits["val"], splits["train"] = sorted(files[:n]), sorted(files[n:])
    else:
        files = shuffled(readable_files(root))
        n_test = count(test_fraction, files)
        n_val = min(count(val_fraction, files), max(len(files) - n_test - 1, 0))
        splits = {
            "train": sorted(files[n_test + n_val :]),
            "val": sorted(files[n_test : n_test + n_val]),
            "test": sorted(files[:n_test]),
        }
    if not splits["train"]:
        raise FileNotFoundError(f"no readable mesh files to train on in {root}: geoops reads {', '.join(readable_suffixes())}")
    return splits


@final
class MeshFolder(Dataset):
    """Any folder of readable files as a data set of meshes, read on first use and kept in memory.

    Args:
        root: folder, searched recursively; files are in the order of their sorted paths.
        inputs, targets, globals: names of the fields every file must have, see `Task`.
        split: a sub-folder (`"train"`, `"test_4x"`, ...) or, where there is no such folder, `"train"`, `"val"` or
            `"test"` of `split_files`; all files when None.
        files: these files instead of a search.
        cache: keep meshes in memory once read.
        val_fraction, test_fraction, seed: see `split_files`.

    Raises:
        FileNotFoundError: no folder, no files, or no such split.
        KeyError: a field is missing (the message lists the ones there are), on access.
        ValueError: a NaN in a field, no points, or 2D and 3D files in one folder (both are named), on access.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        inputs: Sequence[str],
        targets: Sequence[str],
        globals: Sequence[str] = (),
        split: str | None = None,
        files: Sequence[str | Path] | None = None,
        cache: bool = True,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        seed: int = 0,
    ):
        self.root = Path(root)
        self.task = Task(inputs, targets, globals)
        if files is not None:
            self.files = [Path(f) for f in files]
        elif not self.root.is_dir():
            raise FileNotFoundError(f"no folder {self.root}: give the folder that holds the mesh files")
        elif split is None:
            self.files = readable_files(self.root)
        elif (self.root / split).is_dir() and split != "train":
            self.files = readable_files(self.root / split)
        elif split in ("train", "val", "test"):
            splits = split_files(self.root, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
            self.files = splits[split]
        else:
            there = sorted(p.name for p in self.root.iterdir() if p.is_dir())
            raise FileNotFoundError(f"{self.root} has no split {split!r}: there are {there or 'no sub-folders'}")
        if not self.files:
            what = f"{self.root}" if split is None else f"split {split!r} of {self.root}"
            raise FileNotFoundError(f"no readable mesh files in {what}: geoops reads {', '.join(readable_suffixes())}")
        self._cache: dict[int, Mesh | PointCloud] | None = {} if cache else None
        self._first: tuple[int, Path] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Mesh | PointCloud]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, i: int) -> Mesh | PointCloud:
        if not -len(self) <= i < len(self):
            raise IndexError(f"index {i} is out of range for {len(self)} files")
        i %= len(self)
        if self._cache is not None and i in self._cache:
            return self._cache[i]
        mesh = read_checked(self.files[i], self.task)
        dim = mesh.points.shape[1]
        self._first = self._first or (dim, self.files[i])
        check_dim(self._first, (dim, self.files[i]))
        if self._cache is not None:
            self._cache[i] = mesh
        return mesh


def read_checked(path: Path, task: Task) -> Mesh | PointCloud:
    """Reads a file and checks that it answers the task."""
    mesh = io.read(path)
    check_fields(mesh, task, str(path))
    return mesh


def check_dim(first: tuple[int, Path], other: tuple[int, Path]) -> None:
    """Raises when two files of a set differ in dimension."""
    if first[0] != other[0]:
        raise ValueError(
            f"2D and 3D files in one set: {first[1]} is {first[0]}D, {other[1]} is {other[0]}D; keep them in separate folders"
        )
