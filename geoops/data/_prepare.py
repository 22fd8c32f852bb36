"""Reading and preparing the files of a set, in parallel and with an optional cache on disk."""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ._fields import Raw, raw_sample
from ._folder import check_dim, read_checked
from ._task import Task

logger = logging.getLogger(__name__)

#: Workers cost seconds to start, which fewer files do not repay.
WORTH_WORKERS = 200

#: Part of the names of cached files; a change of what `raw_sample` returns changes it.
CACHE_FORMAT = 2


class Prepared(NamedTuple):
    """Samples in physical units, and the units of the first file."""

    raws: list[Raw]
    units: dict[str, str]


def prepare(
    files: Sequence[Path],
    task: Task,
    *,
    processes: int = 1,
    cache_dir: Path | None = None,
    progress: str | None = None,
) -> Prepared:
    """Reads files into samples, in order.

    Args:
        files: readable meshes, all 2D or all 3D.
        task: the fields they must have.
        processes: for many files; one reads here.
        cache_dir: folder for prepared samples (`.safetensors`), found again while files and task stay the same.
        progress: words for a progress bar, or None.
    """
    cached = cache_dir / f"{_fingerprint(files, task)}.safetensors" if cache_dir else None
    if cached and cached.is_file():
        return _load(cached)
    jobs = ((path, task) for path in files)
    if processes > 1 and len(files) >= WORTH_WORKERS:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=processes, return_as="generator", batch_size=8)(delayed(_one)(*job) for job in jobs)
    else:
        results = (_one(*job) for job in jobs)
    raws, units = [], {}
    for path, (raw, unit) in zip(files, _bar(results, len(files), progress), strict=True):
        if raws:
            check_dim((raws[0]["pos"].shape[1], files[0]), (raw["pos"].shape[1], path))
        raws.append(raw)
        units = units or unit
    prepared = Prepared(raws, units)
    if cached:
        _save(cached, prepared)
    return prepared


def _one(path: Path, task: Task) -> tuple[Raw, dict[str, str]]:
    mesh = read_checked(path, task)
    return raw_sample(mesh, task, name=str(path)), dict(mesh.units)


def _bar(results: Iterable, total: int, progress: str | None) -> Iterator:
    if progress is None or total < 50:
        return iter(results)
    from rich.console import Console
    from rich.progress import track

    return iter(track(results, description=progress, total=total, console=Console(stderr=True), transient=True))


def _fingerprint(files: Sequence[Path], task: Task) -> str:
    stats = [(str(p.absolute()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    text = json.dumps([CACHE_FORMAT, task.to_dict(), stats])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _save(path: Path, prepared: Prepared) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"{i}/{key}": v.contiguous().clone() for i, raw in enumerate(prepared.raws) for key, v in raw.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file(tensors, part, metadata={"units": json.dumps(prepared.units), "count": str(len(prepared.raws))})
    part.replace(path)


def _load(path: Path) -> Prepared:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        meta = file.metadata()
        raws: list[Raw] = [{} for _ in range(int(meta["count"]))]
        for key in file.keys():  # noqa: SIM118 (not a dict)
            i, name = key.split("/", 1)
            raws[int(i)][name] = file.get_tensor(key)
    logger.info("took prepared samples from %s", path)
    return Prepared(raws, json.loads(meta["units"]))
