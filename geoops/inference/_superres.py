"""Zero-shot super-resolution: error against resolution, beside interpolation of the coarse prediction."""

import os
import platform
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from geoops import io
from geoops.geometry import Mesh, PointCloud, interpolate
from geoops.inference._files import check_writable, mesh_suffixes
from geoops.inference._load import load
from geoops.inference._memory import parse_memory
from geoops.inference._predictor import Predictor
from geoops.inference._range import range_notes
from geoops.inference._report import MODES, Mode, Region, SuperResReport, SuperResRow

#: (field, factor, mode, region)
_Key = tuple[str, int, Mode, Region]
_Errors = dict[_Key, list[tuple[float, int]]]


def resolutions(root: str | os.PathLike, split: str = "test") -> dict[int, dict[str, Path]]:
    """Returns the files of `<root>/<split>` and of `<root>/<split>_<k>x` by factor k and file name without suffix.

    Raises:
        FileNotFoundError: a folder is missing or empty, or a finer folder lacks a mesh; the message says which.
    """
    root = Path(root)
    base = root / split
    if not base.is_dir():
        there = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir())) if root.is_dir() else "no such folder"
        raise FileNotFoundError(f"{root} must hold folders {split!r} and finer, like '{split}_4x'; there is: {there}")
    folders = {1: base}
    for path in root.iterdir():
        if path.is_dir() and (match := re.fullmatch(re.escape(split) + r"_(\d+)x", path.name)):
            folders[int(match[1])] = path
    suffixes = mesh_suffixes()
    found = {k: {p.stem: p for p in sorted(folders[k].iterdir()) if p.suffix.lower() in suffixes} for k in sorted(folders)}
    if not found[1]:
        raise FileNotFoundError(f"{base} holds no mesh files; geoops reads {', '.join(suffixes)}")
    for k, files in found.items():
        if missing := sorted(set(found[1]) - set(files)):
            raise FileNotFoundError(f"{folders[k]} lacks {len(missing)} of the meshes of {base}, first {missing[0]!r}")
    return found


def parse_regions(regions: str | Iterable[str | Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Returns balls as (centre..., radius) from texts like `"0,0,0.1"`, or several in one text with blanks between.

    Raises:
        ValueError: a region is not two or three coordinates and a positive radius.
    """
    single: list[str | Sequence[float]] = []
    for region in [regions] if isinstance(regions, str) else regions:
        single += (region.split() or [""]) if isinstance(region, str) else [region]
    balls = []
    for region in single:
        try:
            numbers = [float(v) for v in (region.split(",") if isinstance(region, str) else region)]
        except ValueError:
            numbers = []
        if len(numbers) not in (3, 4) or not numbers[-1] > 0:
            raise ValueError(f"a region is centre and radius, such as '0,0,0.1' (in 3D '0,0,0,0.1'); got {region!r}")
        balls.append(tuple(numbers))
    return tuple(balls)


def outside(points: Float[Tensor, "points dim"], balls: Iterable[Sequence[float]]) -> Bool[Tensor, " points"]:
    """Tells which points lie outside of all balls.

    Raises:
        ValueError: a ball has another dimension than the points.
    """
    keep = torch.ones(len(points), dtype=torch.bool)
    for ball in balls:
        if len(ball) != points.shape[1] + 1:
            raise ValueError(f"region {tuple(ball)} needs {points.shape[1]} coordinates and a radius for these meshes")
        centre = torch.tensor(ball[:-1], dtype=torch.double)
        keep &= (points.double() - centre).norm(dim=1) > ball[-1]
    return keep


def superres(
    checkpoint: str | Path | Predictor,
    data: str | Path,
    output: str | Path | None = None,
    exclude: list[str] | str | None = None,
    split: str = "test",
    modes: tuple[Mode, ...] = MODES,
    limit: int | None = None,
    memory: str = "1GB",
    device: str = "cpu",
    progress: bool = True,
) -> SuperResReport:
    r"""Measures the relative L2 error $\|\hat u - u\|_2 / \|u\|_2$ on finer meshes than a surrogate was trained on.

    Args:
        checkpoint: a bundle, a training checkpoint, or the name of a packaged model (in Python also a `Predictor`).
        data: folder with `<split>` (the training resolution) and `<split>_<k>x` (k times as many points), the
            same file names in each.
        output: JSON file to write.
        exclude: balls to leave out, centre and radius each: "0,0,0.1 1,0,0.1"; the errors with all points are kept too.
        split: name of the folder at the training resolution.
        modes: which ways to predict are measured, see `SuperResRow`.
        limit: number of meshes, the first ones; all if not given.
        memory: what decoding may use.
        device: cpu or cuda.
        progress: show a progress bar.

    Raises:
        FileNotFoundError: the checkpoint, folders or files are missing.
        KeyError: a mesh lacks an input or target field.
        ValueError: a region is not a centre and a radius, or leaves out all points of a mesh.
        OSError: the output cannot be written; this is found before anything is computed.

    Warns:
        UserWarning: once per resolution, if the spacing of its points leaves the trained range; the report keeps it.
    """
    started = time.perf_counter()
    if unknown := set(modes) - set(MODES):
        raise ValueError(f"modes are {', '.join(MODES)}; got {', '.join(sorted(unknown))}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1; got {limit}")
    balls = parse_regions(exclude) if exclude else ()
    parse_memory(memory)
    found = resolutions(data, split)
    if output is not None:
        if Path(output).is_dir():
            raise IsADirectoryError(f"{output} is a folder; name the JSON file to write")
        check_writable({Path(output).parent})
    predictor = checkpoint if isinstance(checkpoint, Predictor) else load(checkpoint, device=device)
    names = list(found[1])[:limit]
    errors: _Errors = {}
    notes: dict[int, str] = {}
    for name in _progress(names, predictor.name) if progress else names:
        files = {k: group[name] for k, group in found.items()}
        _measure(predictor, files, balls, modes, memory, errors, notes)
    for note in notes.values():
        warnings.warn(note, UserWarning, stacklevel=2)
    rows = tuple(SuperResRow.of(*key, *zip(*values, strict=True)) for key, values in sorted(errors.items(), key=_order))
    cases = {name: {"/".join(map(str, key)): values[i][0] for key, values in errors.items()} for i, name in enumerate(names)}
    report = SuperResReport(
        model=predictor.name,
        data=str(data),
        split=split,
        exclude=balls,
        rows=rows,
        cases=cases,
        notes=tuple(notes.values()),
        provenance={**_provenance(predictor), "seconds": round(time.perf_counter() - started, 2)},
    )
    if output is not None:
        report.to_json(output)
    return report


def _measure(
    predictor: Predictor,
    files: Mapping[int, Path],
    balls: tuple[tuple[float, ...], ...],
    modes: Sequence[Mode],
    memory: str | int | float,
    errors: _Errors,
    notes: dict[int, str],
) -> None:
    """Adds the errors of one case at all resolutions."""
    coarse = io.read(files[1])
    encoded = predictor.encode(coarse, str(files[1]))
    at_nodes = predictor.decode(encoded, None, memory)
    for factor, path in files.items():
        mesh = coarse if factor == 1 else io.read(path)
        truth = _targets(predictor, mesh, path)
        keep = outside(mesh.points, balls) if balls else None
        if keep is not None and not bool(keep.any()):
            raise ValueError(f"{path}: the excluded regions hold all of its points")
        for mode in modes:
            if factor == 1:
                values = at_nodes
            elif mode == "fine":
                values = predictor.decode(predictor.encode(mesh, str(path)), None, memory)
            elif mode == "coarse":
                values = predictor.decode(encoded, mesh.points, memory)
            else:
                values = _interpolate(coarse, at_nodes, mesh.points, files[1])
            for field, channels in predictor.normalizer.slices.items():
                pair = values[:, channels], truth[field]
                errors.setdefault((field, factor, mode, "all"), []).append((relative_l2(*pair), len(mesh.points)))
                if keep is not None:
                    count = int(keep.sum())
                    inside = relative_l2(pair[0][keep], pair[1][keep])
                    errors.setdefault((field, factor, mode, "outside"), []).append((inside, count))
        if factor not in notes:
            found = range_notes(mesh, None, predictor.normalizer, f"{path.parent.name}/{path.name}")
            if found:
                notes[factor] = found[0]


def relative_l2(prediction: Float[Tensor, "points channels"], truth: Float[Tensor, "points channels"]) -> float:
    r"""Returns $\|\hat u - u\|_2 / \|u\|_2$ over all points and channels, computed in float64."""
    difference, truth = (prediction.double() - truth.double()), truth.double()
    return float(difference.norm() / truth.norm().clamp_min(torch.finfo(torch.double).tiny))


def _targets(predictor: Predictor, mesh: Mesh | PointCloud, path: Path) -> dict[str, Tensor]:
    missing = [t for t in predictor.task.targets if t not in mesh.point_fields]
    if missing:
        there = ", ".join(sorted(mesh.point_fields)) or "none"
        raise KeyError(f"{path}: no point field {missing[0]!r} to compare with; point fields: {there}")
    return {t: mesh.point_fields[t].reshape(len(mesh.points), -1) for t in predictor.task.targets}


def _interpolate(mesh: Mesh | PointCloud, values: Tensor, points: Tensor, path: Path) -> Tensor:
    if not isinstance(mesh, Mesh):
        raise ValueError(f"{path}: interpolation needs cells, this is a cloud; leave 'interpolation' out of modes")
    return interpolate(mesh, values, points.to(mesh.points.dtype)).to(values.dtype)


def _order(item: tuple[_Key, Any]) -> tuple:
    (field, factor, mode, region), _ = item
    return field, region, factor, MODES.index(mode)


def _progress(names: list[str], title: str) -> Iterator[str]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        yield from bar.track(names, description=f"super-resolution, {title}")


def _provenance(predictor: Predictor) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("geoops")
    except PackageNotFoundError:
        installed = "source"
    return {
        "geoops": installed,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": str(predictor.device),
        "parameters": sum(p.numel() for p in predictor.network.parameters()),
    }
