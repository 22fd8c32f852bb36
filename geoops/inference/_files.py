"""`geoops predict`: files in, files out."""

import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from geoops import io
from geoops.geometry import Mesh, PointCloud
from geoops.inference._load import load
from geoops.inference._memory import parse_memory
from geoops.inference._predictor import Predictor


def predict(
    checkpoint: str | Path | Predictor,
    meshes: list[str | Path] | str | Path,
    output: str | Path,
    at: str | Path | None = None,
    memory: str = "1GB",
    device: str = "cpu",
    progress: bool = True,
) -> list[Path]:
    """Predicts on files and writes files with all arrays of the input and the prediction added.

    Args:
        checkpoint: a bundle, a training checkpoint, or the name of a packaged model (in Python also a `Predictor`).
        meshes: files to predict on; folders stand for the mesh files in them.
        output: a file for one mesh (its suffix gives the format), a folder for several, made if needed.
        at: predict at the points of this file, which then gives the arrays and cells of the output.
        memory: what decoding may use, as 1GB or 500MB; the result does not depend on it.
        device: cpu or cuda.
        progress: show a progress bar for several meshes.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: the checkpoint or a mesh is missing.
        KeyError: a mesh lacks a field that the model needs.
        ValueError: a format, a budget or a combination of arguments is not possible.
        OSError: the output cannot be written; this is found before anything is computed.
    """
    parse_memory(memory)
    files = _mesh_files(meshes)
    targets = _targets(files, Path(output))
    check_writable({t.parent for t in targets})
    if at is not None and not Path(at).is_file():
        raise FileNotFoundError(f"no such file to predict at: {at}")
    predictor = checkpoint if isinstance(checkpoint, Predictor) else load(checkpoint, device=device)
    jobs = list(zip(files, targets, strict=True))
    for file, target in _progress(jobs, predictor) if progress and len(jobs) > 1 else jobs:
        with warnings.catch_warnings():
            if file != files[0]:
                # One warning about the range of the training set is enough for a folder.
                warnings.filterwarnings("ignore", message=".*trained|.*outside of the training", category=UserWarning)
            result = predictor.predict(file, at=at, memory=memory)
        _write(target, result)
    return targets


def _write(target: Path, result: Mesh | PointCloud) -> None:
    """Makes the folder only when there is something to put into it, and takes it away if that fails."""
    made = [p for p in (target.parent, *target.parent.parents) if not p.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        io.write(target, result)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def mesh_suffixes(*, writable: bool = False) -> list[str]:
    """Returns the endings of the files that geoops reads, or writes."""
    return sorted({s for f in io.formats() if f.write is not None or not writable for s in f.suffixes})


def _mesh_files(meshes: Sequence[str | Path] | str | Path) -> list[Path]:
    suffixes = mesh_suffixes()
    files: list[Path] = []
    for name in [meshes] if isinstance(meshes, str | Path) else meshes:
        path = Path(name)
        if path.is_dir():
            inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in suffixes and p.is_file()]
            if not inside:
                raise FileNotFoundError(f"{path} holds no mesh files; geoops reads {', '.join(suffixes)}")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise FileNotFoundError(f"no such mesh file: {path}")
    if not files:
        raise ValueError("give at least one mesh file")
    return files


def _targets(files: list[Path], output: Path) -> list[Path]:
    """Where each file goes: `output` itself for one mesh if it has a suffix, otherwise into the folder `output`."""
    suffixes = mesh_suffixes(writable=True)
    if len(files) == 1 and not output.is_dir() and output.suffix:
        if output.suffix.lower() not in suffixes:
            raise ValueError(f"cannot write {output}: geoops writes {', '.join(suffixes)}")
        targets = [output]
    else:
        if output.is_file() or output.suffix.lower() in suffixes:
            raise ValueError(f"{len(files)} meshes need a folder to go to; {output} names a file")
        targets = [output / f.name for f in files]
        if len(set(targets)) < len(targets):
            raise ValueError("several meshes have the same file name, so that outputs would overwrite each other")
    for file, target in zip(files, targets, strict=True):
        if target.exists() and target.samefile(file):
            raise ValueError(f"the output {target} is the input itself; choose another place")
    return targets


def check_writable(folders: set[Path]) -> None:
    """Tries to make and remove a file in each folder (or in the nearest one that exists)."""
    for folder in folders:
        place = folder
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(f"cannot write into {folder}: {place} is not a folder")
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise PermissionError(f"cannot write into {folder}: {error.strerror or error}") from error


def _progress(jobs: list[tuple[Path, Path]], predictor: Predictor):
    from rich.progress import track

    return track(jobs, description=f"predicting with {predictor.name}")
