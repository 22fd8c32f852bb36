"""A whole set of motions, scene by scene and in parallel."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from geoops.data import simulated, write_motion

from ._random_scene import Variant, random_scene

CARD = "dataset.yaml"
#: Number of the first scene of each folder, and what its scenes vary.
FOLDERS: dict[str, tuple[int, Variant]] = {
    "train": (0, "usual"),
    "val": (10_000, "usual"),
    "test": (20_000, "usual"),
    "test_geometry": (30_000, "geometry"),
    "test_velocity": (40_000, "velocity"),
}
PARTICLES, FRAMES = {2: 4000, 3: 16_000}, {2: 200, 3: 120}


def make(
    root: Path | str,
    *,
    material: str = "jelly",
    dim: int = 2,
    particles: int | None = None,
    frames: int | None = None,
    spacing: float = 5e-3,
    train: int = 100,
    val: int = 10,
    test: int = 10,
    seed: int = 0,
    jobs: int = -1,
    overwrite: bool = False,
) -> Path:
    """Makes a set of particle motions in `root`, simulated with the material point method.

    The folder gets `train`, `val`, `test`, and two tests beyond the training, half as large: `test_geometry` with shapes and
    `test_velocity` with speeds that training has not; and the card `dataset.yaml`. A file `NNNNN.vtkhdf` holds the positions of
    one scene (`geoops.data.read_motion`, ParaView); scenes are those of `random_scene`. An interrupted run goes on where it
    stopped.

    Args:
        root: folder of the set; made if missing.
        material: jelly, plasticine, sand or water; several with a plus between them, such as jelly+water, make one body each.
        dim: 2 or 3.
        particles: in each scene; 4,000 in the plane and 16,000 in space unless given.
        frames: after the start; 200 in the plane and 120 in space unless given.
        spacing: time between frames in seconds.
        train: number of training scenes.
        val: number of validation scenes.
        test: number of test scenes.
        seed: seed of the set.
        jobs: worker processes; 1 stays in this process, -1 uses all cores.
        overwrite: first delete the motions that `root` holds.

    Returns:
        `root`.

    Raises:
        ValueError: an argument is out of range, or `root` holds a set made with other options.
    """
    root = Path(root)
    if seed < 0:
        raise ValueError(f"expected seed >= 0, got {seed}")
    counts = {"train": train, "val": val, "test": test, "test_geometry": -(-test // 2), "test_velocity": -(-test // 2)}
    if min(counts.values()) < 0 or max(counts.values()) > 10_000:
        raise ValueError(f"expected between 0 and 10,000 scenes of each kind, got train={train}, val={val}, test={test}")
    if jobs == 0:
        raise ValueError("expected jobs other than 0: a number of processes, or -1 for all cores")
    if dim not in (2, 3):
        raise ValueError(f"expected dim of 2 or 3, got {dim}")
    scene = {
        "material": material,
        "dim": dim,
        "particles": PARTICLES[dim] if particles is None else particles,
        "frames": FRAMES[dim] if frames is None else frames,
        "spacing": spacing,
    }
    random_scene(seed=0, **scene)  # finds what does not fit
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(f"{root} is a file; give a folder")
    if overwrite:
        for folder in FOLDERS:
            for path in (root / folder).glob("[0-9]" * 5 + ".vtkhdf"):
                path.unlink()
    elif (card := _read_card(root)) is not None and card.get("scene") != {**scene, "seed": seed}:
        raise ValueError(
            f"{root} holds motions made with {card.get('scene')}, not {scene | {'seed': seed}}; choose another folder or pass "
            "overwrite=True"
        )
    todo = []
    for folder, (first, variant) in FOLDERS.items():
        for index in range(first, first + counts[folder]):
            path = root / folder / f"{index:05d}.vtkhdf"
            if not path.exists():
                todo.append((path, scene | {"seed": seed * 1_000_000 + index, "variant": variant}))
        if counts[folder]:
            (root / folder).mkdir(parents=True, exist_ok=True)
    _write_card(root, scene | {"seed": seed})
    for _ in _progress(_run(todo, jobs), len(todo), material):
        pass
    _write_card(root, scene | {"seed": seed})
    return root


def _make_one(path: Path, scene: dict[str, Any]) -> Path:
    write_motion(path, simulated(random_scene(**scene)).motion())
    return path


def _run(todo: list[tuple[Path, dict[str, Any]]], jobs: int) -> Iterable[Path]:
    if jobs == 1:
        return (_make_one(*one) for one in todo)
    from joblib import Parallel, delayed, parallel_config

    one: Callable[..., Any] = delayed(_make_one)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        return Parallel(return_as="generator")(one(*each) for each in todo)  # pyright: ignore[reportReturnType]


def _progress(results: Iterable[Path], total: int, material: str) -> Iterable[Path]:
    from rich.progress import track

    return track(results, total=total, description=material, disable=total == 0)


def _read_card(root: Path) -> dict[str, Any] | None:
    import yaml

    path = root / CARD
    return yaml.safe_load(path.read_text()) if path.exists() else None


def _write_card(root: Path, scene: dict[str, Any]) -> None:
    """Writes the card; the counts are those of the files that lie in `root` now."""
    import yaml

    from geoops import __version__

    card = {
        "name": "particles",
        "description": "Bodies of random shape thrown into a box, simulated with the material point method.",
        "scene": scene,
        "generator": f"geoops.data.particles.random_scene of geoops {__version__}",
        "units": "lengths in sides of the box, times in seconds, density 1000",
        "folders": {
            folder: {"files": len(list((root / folder).glob("*.vtkhdf"))), "first": first, "variant": variant}
            for folder, (first, variant) in FOLDERS.items()
        },
        "seeds": "1,000,000 times the seed of the set plus the number in the file name",
    }
    root.mkdir(parents=True, exist_ok=True)
    unfinished = root / f".{CARD}.{os.getpid()}.part"
    unfinished.write_text(yaml.safe_dump(card, sort_keys=False, width=110))
    unfinished.replace(root / CARD)
