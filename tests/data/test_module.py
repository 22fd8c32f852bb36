import pytest
import torch

from geoops import io
from geoops.data import FieldBatch, MeshData, Task
from geoops.geometry import Sizes


@pytest.fixture
def data(folder):
    return MeshData(folder, inputs=["kind"], targets=["stress", "shift"], globals=["load"])


def test_properties_of_the_task(data):
    assert data.sizes == Sizes(dim=2, inputs=3, outputs=3, globals=2)
    assert data.task == Task(("kind",), ("stress", "shift"), ("load",))
    assert data.normalizer.task == data.task


def test_loaders(data):
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, FieldBatch)
    assert batch.pos.shape == (8, 256, 2)
    assert len(list(data.val_dataloader())) == 1
    assert sum(len(b.shapes) for b in data.test_dataloader()) == 4


def test_splits_have_keys_of_their_own(data):
    keys = [data.pack(split).index.tolist() for split in ("train", "val", "test")]
    assert sorted(k for part in keys for k in part) == list(range(14))


def test_training_set_may_be_cut(folder):
    data = MeshData(folder, inputs=[], targets=["stress"], limit_train=3)
    assert len(data.pack("train")) == 3


def test_other_test_folders(folder):
    data = MeshData(folder, inputs=[], targets=["stress"], test_split="val")
    assert data.files("test") == data.files("val")


def test_state_restores_the_normaliser(data, folder):
    other = MeshData(folder, inputs=["kind"], targets=["stress", "shift"], globals=["load"], limit_train=2)
    other.setup("fit")
    before = other.pack("val").arrays["y"]
    other.load_state_dict(data.state_dict())
    assert other.normalizer == data.normalizer
    assert not torch.equal(other.pack("val").arrays["y"], before)
    with pytest.raises(ValueError, match="checkpoint was trained for"):
        MeshData(folder, inputs=[], targets=["stress"]).load_state_dict(data.state_dict())


def test_loaded_statistics_need_no_training_files(data, folder, tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "broken.vtu").write_text("")
    (tmp_path / "test").symlink_to(folder / "test", target_is_directory=True)
    other = MeshData(tmp_path, inputs=["kind"], targets=["stress", "shift"], globals=["load"])
    other.load_state_dict(data.state_dict())
    other.setup("test")
    assert len(list(other.test_dataloader())) == 1


def test_no_validation_files_is_no_error(tmp_path, plate):
    (tmp_path / "train").mkdir()
    io.write(tmp_path / "train" / "a.vtu", plate(0))
    data = MeshData(tmp_path, inputs=[], targets=["stress"])
    data.setup("fit")
    assert data.val_dataloader() == []
    with pytest.raises(FileNotFoundError, match="no test files"):
        data.test_dataloader()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"points_per_step": -1}, ValueError, "points_per_step must be at least 1"),
        ({"reflect_signs": {"sheer": [1]}}, ValueError, r"reflect_signs names \['sheer'\]"),
        ({"reflect": [2]}, ValueError, r"axes must lie in 0\.\.1"),
    ],
)
def test_bad_options(folder, options, error, words):
    with pytest.raises(error, match=words):
        MeshData(folder, inputs=["kind"], targets=["stress"], **options).setup()


def test_seed_comes_from_seed_everything(folder, monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert MeshData(folder, inputs=[], targets=["stress"]).seed == 17
    assert MeshData(folder, inputs=[], targets=["stress"], seed=3).seed == 3


def test_mixed_dimensions_in_one_split(tmp_path, plate):
    (tmp_path / "train").mkdir()
    io.write(tmp_path / "train" / "a.vtu", plate(0))
    io.write(tmp_path / "train" / "b.vtu", plate(0, dim=3))
    with pytest.raises(ValueError, match=r"a\.vtu is 2D, .*b\.vtu is 3D"):
        MeshData(tmp_path, inputs=[], targets=["stress"], val_fraction=0.0).setup()


def test_another_dimension_in_the_test_files(tmp_path, plate):
    for split, dim in (("train", 2), ("test", 3)):
        (tmp_path / split).mkdir()
        io.write(tmp_path / split / "a.vtu", plate(0, dim=dim))
    data = MeshData(tmp_path, inputs=[], targets=["stress"])
    data.setup()
    with pytest.raises(ValueError, match=r"a\.vtu: is 3D, the training set is 2D"):
        data.test_dataloader()
