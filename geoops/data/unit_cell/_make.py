"""The whole unit-cell set, case by case and in parallel."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ._card import check_card, write_card
from ._case import CaseOptions, solve_case
from ._files import FIELDS, write_case
from ._mesh import CaseRejected, require

FIRST = {"train": 0, "val": 1000, "test": 2000}
FOLDERS = {"train": ("train",), "val": ("val",), "test": ("test", "test_4x", "test_16x")}


def make(
    root: Path | str,
    *,
    train: int = 1000,
    val: int = 100,
    test: int = 200,
    load: float = 100.0,
    seed: int = 0,
    jobs: int = -1,
    overwrite: bool = False,
    modes: int = 5,
    void_size: float = 0.0245,
    corner_size: float = 0.0405,
    only_von_mises: tuple[str, ...] = (),
) -> Path:
    """Makes the unit-cell data set in `root`.

    The folder gets `train`, `val`, `test`, `test_4x`, `test_16x` and the card `dataset.yaml`. Training cases
    have indices from 0, validation from 1000, test from 2000; `NNNNN.vtu` is named by its index. All files
    of a test case come from one solve: `test` holds its coarse mesh, `test_4x` and `test_16x` the same
    solution on meshes with 4 and 16 times as many triangles. (They are folders and not suffixes of names, so
    that a folder has one resolution.)

    An interrupted run goes on where it stopped: finished files and recorded rejections are skipped. A
    rejected case is listed with its reason in `dataset.yaml` and not replaced by another.

    Args:
        root: folder of the set; made if missing.
        train: number of training cases, at most 1000.
        val: number of validation cases, at most 1000.
        test: number of test cases.
        load: dead traction on the top edge, per unit of undeformed length.
        seed: seed of the set; use another one for another load.
        jobs: worker processes; 1 stays in this process, -1 uses all cores.
        overwrite: first delete the cases that `root` holds, of whatever options.
        modes: cosine and sine pairs of the void's shape.
        void_size: edge length of the level-0 mesh on the void, in cell sides.
        corner_size: edge length of the level-0 mesh at the outer corners.
        only_von_mises: folders whose files hold neither `displacement` nor `cauchy`, to save space.

    Returns:
        `root`.

    Raises:
        ValueError: if an argument is out of range, or `root` holds a set made with other options.
        ImportError: if gmsh or scikit-fem is missing.
    """
    counts = {"train": train, "val": val, "test": test}
    for name, count in counts.items():
        if not 0 <= count <= (1000 if name != "test" else 90_000):
            raise ValueError(f"expected at most 1000 cases in train and in val and none below 0, got {name}={count}")
    if jobs == 0:
        raise ValueError("expected jobs other than 0: a number of processes, or -1 for all cores")
    folders = sum(FOLDERS.values(), ())
    if unknown := set(only_von_mises) - set(folders):
        raise ValueError(f"expected names of folders {folders} in only_von_mises, got {sorted(unknown)}")
    options = CaseOptions(load, seed, modes, void_size, corner_size)
    root = Path(root)
    fields: dict[str, tuple[str, ...]] = {f: ("von_mises", "boundary") if f in only_von_mises else FIELDS for f in folders}
    for module in ("gmsh", "skfem"):
        require(module)
    if overwrite:
        for folder in folders:
            for path in (root / folder).glob("[0-9]" * 5 + ".vtu"):
                path.unlink()
    rejected = [] if overwrite else check_card(root, options, fields)

    done = {r["index"] for r in rejected}
    todo = []
    for split, count in counts.items():
        for index in range(FIRST[split], FIRST[split] + count):
            paths = [root / folder / f"{index:05d}.vtu" for folder in FOLDERS[split]]
            if index not in done and not all(path.exists() for path in paths):
                todo.append((split, index, paths))
    write_card(root, options, rejected, fields)
    for split, index, reason in _progress(_run(todo, options, fields, jobs), len(todo)):
        if reason is not None:
            rejected.append({"split": split, "index": index, "reason": reason})
            write_card(root, options, rejected, fields)
    write_card(root, options, rejected, fields)
    return root


def _make_one(
    split: str, index: int, paths: list[Path], options: CaseOptions, fields: dict[str, tuple[str, ...]]
) -> tuple[str, int, str | None]:
    try:
        case = solve_case(index, **asdict(options))
    except CaseRejected as rejection:
        return split, index, str(rejection)
    for level, path in enumerate(paths):
        write_case(case, level, path, fields=fields[path.parent.name])
    return split, index, None


def _run(
    todo: list[tuple[str, int, list[Path]]],
    options: CaseOptions,
    fields: dict[str, tuple[str, ...]],
    jobs: int,
) -> Iterable[Any]:
    if jobs == 1:
        return (_make_one(*case, options, fields) for case in todo)
    from joblib import Parallel, delayed, parallel_config

    one: Callable[..., Any] = delayed(_make_one)
    # gmsh keeps global state, so workers are processes; one thread each, since cases are the parallel unit.
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        return Parallel(return_as="generator")(one(*case, options, fields) for case in todo)


def _progress(results: Iterable[Any], total: int) -> Iterable[Any]:
    from rich.progress import track

    return track(results, total=total, description="unit cell", disable=total == 0)
