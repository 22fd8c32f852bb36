import joblib
import torch

from geoops.data import MeshData, Task, _prepare
from geoops.data._folder import readable_files
from geoops.data._prepare import prepare

TASK = Task(["kind"], ["stress"])


def equal(a, b):
    return a.units == b.units and all(
        x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in zip(a.raws, b.raws, strict=True)
    )


def test_cache_returns_the_same_samples_and_notices_changes(tmp_path, folder, plate):
    files = readable_files(folder / "train")
    fresh = prepare(files, TASK)
    stored = prepare(files, TASK, cache_dir=tmp_path)
    (cached,) = tmp_path.glob("*.safetensors")
    stamp = cached.stat().st_mtime_ns
    again = prepare(files, TASK, cache_dir=tmp_path)
    assert equal(fresh, stored)
    assert equal(fresh, again)
    assert cached.stat().st_mtime_ns == stamp
    prepare(files[1:], TASK, cache_dir=tmp_path)
    assert len(list(tmp_path.glob("*"))) == 2


def test_workers_keep_the_order(flat_folder, monkeypatch):
    monkeypatch.setattr(_prepare, "WORTH_WORKERS", 10)
    files = readable_files(flat_folder)
    # Threads take the way of processes, without their start.
    with joblib.parallel_config(backend="threading"):
        assert equal(prepare(files, TASK, processes=2), prepare(files, TASK))


def test_progress_is_shown(flat_folder, capfd):
    files = readable_files(flat_folder) * 3
    assert len(prepare(files, TASK, progress="reading plates").raws) == 60


def test_module_uses_the_cache(folder, tmp_path):
    for _ in range(2):
        data = MeshData(folder, inputs=["kind"], targets=["stress"], cache_dir=tmp_path)
        data.setup("fit")
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
