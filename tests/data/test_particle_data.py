"""The data module of particles."""

import itertools
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from geoops.data import ParticleData, chosen_samples, write_motion
from geoops.testing import random_motion


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four motions to train on, two to validate and two to test, of 60 particles in the plane."""
    root = tmp_path_factory.mktemp("motions")
    for split, first, count in (("train", 0, 4), ("val", 10, 2), ("test", 20, 2), ("test_velocity", 30, 1)):
        (root / split).mkdir()
        for i in range(first, first + count):
            write_motion(root / split / f"{i:05d}.vtkhdf", random_motion(60, seed=i, frames=20 + i % 3))
    return root


@pytest.fixture
def copied(folder, tmp_path):
    """A folder to spoil."""
    return shutil.copytree(folder, tmp_path / "motions")


def data(root, **options):
    return ParticleData(root, **{"samples": (20, 40), "particles_per_step": 80, "seed": 1, **options})


def test_statistics_are_pooled(copied):
    """Defect 7: over all particles, frames and trajectories; not the deviation of deviations, which is far smaller."""
    calm = random_motion(60, seed=40, frames=10, spacing=5e-3)
    calm = replace(calm, x=calm.x[:1] + 1e-4 * torch.randn_like(calm.x))
    write_motion(copied / "train" / "00040.vtkhdf", calm)
    d = data(copied)
    found, motions = d.statistics(), [motion.x.double() for motion in d.motions("train")]
    assert len(motions) == 5
    for name, order in (("velocity", 1), ("acceleration", 2)):
        value = torch.cat([x.diff(n=order, dim=0).flatten(0, 1) for x in motions])
        torch.testing.assert_close(found[f"{name}_mean"], value.mean(0), rtol=1e-9, atol=1e-15)
        torch.testing.assert_close(found[f"{name}_std"], value.std(0, correction=0), rtol=1e-6, atol=1e-15)
        published = torch.stack([x.diff(n=order, dim=0).flatten(0, 1).std(0) for x in motions]).std(0)
        assert (published < 0.7 * found[f"{name}_std"]).all()
    one = data(copied, limit_train=1).statistics()  # one trajectory has statistics, too
    assert all(value.isfinite().all() for value in one.values())


def test_statistics_come_from_the_training_alone(copied):
    before = data(copied).statistics()
    shutil.rmtree(copied / "val")
    shutil.rmtree(copied / "test")
    after = data(copied).statistics()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_motion_is_in_two_splits(copied):
    """Check 13 and defect 14: a test trajectory among those of the training is found, whatever its name and later frames."""
    data(copied).setup("fit")
    motion = random_motion(60, seed=20, frames=12)
    write_motion(copied / "train" / "00099.vtkhdf", motion)
    with pytest.raises(ValueError, match=r"test/00020\.vtkhdf begins with the same positions as .*train/00099\.vtkhdf"):
        data(copied).setup("fit")
    (copied / "train" / "00099.vtkhdf").unlink()
    shutil.copy(copied / "train" / "00001.vtkhdf", copied / "test_velocity" / "7.vtkhdf")
    with pytest.raises(ValueError, match=r"test_velocity/7\.vtkhdf begins with the same positions as .*train/00001\.vtkhdf"):
        data(copied).setup("fit")


def batches(d, count):
    return list(itertools.islice(d.train_dataloader(), count))


def equal(a, b):
    return torch.equal(a.graph.positions, b.graph.positions) and torch.equal(a.future, b.future)


def test_the_same_seed_gives_the_same_batches(folder, monkeypatch):
    one, two = batches(data(folder), 3), batches(data(folder), 3)
    assert all(map(equal, one, two))
    assert not any(map(equal, one, batches(data(folder, seed=2), 3)))
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert all(map(equal, one, batches(data(folder, seed=None), 3)))


@pytest.mark.parametrize("done", [0, 1, 2])
def test_batches_go_on_at_the_step_of_the_trainer(folder, done):
    whole, d = batches(data(folder), 4), data(folder)
    total = SimpleNamespace(processed=done)
    progress = SimpleNamespace(batch_progress=SimpleNamespace(total=total))
    d.trainer = SimpleNamespace(fit_loop=SimpleNamespace(epoch_loop=progress))
    assert equal(batches(d, 1)[0], whole[done])


def test_serves_frames_to_decoders(folder):
    d = data(folder, queries=30)
    d.serves, d.steps = "frames", 3
    assert batches(d, 1)[0].queries.shape == (4, 30, 2)
    d.serves = "sequences"
    motion = batches(d, 1)[0].samples
    assert motion.diff(dim=0).norm(dim=2).max() < 0.05


def test_evaluations_have_their_samples(folder):
    d = data(folder, keep=0.25)
    d.setup("test")
    motion = d.motions("test")[0]
    assert torch.equal(d.sample(motion), chosen_samples(motion, 15, "fps", 0))
    assert not torch.equal(d.sample(motion), d.sample(motion, 1))
    assert len(data(folder, keep=1e-3).sample(motion)) == 4  # at least d + 2
    assert len(data(folder, keep=1.0).sample(motion)) == 60
    assert [len(loader) for loader in (d.val_dataloader(), d.test_dataloader())] == [2, 2]
    assert len(data(folder, limit_val=1).val_dataloader()) == 1
    assert len(data(folder, test_split="test_velocity").motions("test")) == 1


def test_tests_need_no_training_motions(copied):
    shutil.rmtree(copied / "train")
    d = data(copied)
    d.setup("test")
    assert d.dim == 2


def test_double_precision_is_read_as_single(copied):
    """Networks have single precision; files can have double."""
    write_motion(copied / "train" / "00050.vtkhdf", random_motion(60, seed=50, dtype=torch.float64))
    assert {motion.x.dtype for motion in data(copied).motions("train")} == {torch.float32}


def test_materials_are_numbered_in_the_order_of_the_training(copied):
    write_motion(copied / "train" / "00000.vtkhdf", random_motion(60, names=("water", "sand"), seed=60))
    assert data(copied).names == ("water", "sand", "jelly")


@pytest.mark.parametrize(
    ("motion", "words"),
    [
        (lambda: random_motion(60, spacing=1e-2), r"expected 0\.005 s between frames, got 0\.01; steppers know one time step"),
        (lambda: random_motion(60, 3), "expected a motion in 2 dimensions, got 3"),
        (lambda: spoiled(7, 11), "the position of particle 11 in frame 7 is not finite"),
    ],
    ids=["spacing", "dimension", "nan"],
)
def test_motions_that_do_not_fit(copied, motion, words):
    for split in ("train", "val"):
        write_motion(copied / split / "00077.vtkhdf", motion())
        with pytest.raises(ValueError, match=rf"{split}/00077\.vtkhdf: {words}"):
            data(copied).setup("fit")
        (copied / split / "00077.vtkhdf").unlink()


def spoiled(frame, particle):
    motion = random_motion(60)
    x = motion.x.clone()
    x[frame, particle, 1] = torch.nan
    return replace(motion, x=x)


def test_files_that_are_none(copied, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent; make one with geoops data make particles"):
        data(tmp_path / "absent").setup("fit")
    with pytest.raises(FileNotFoundError, match=r"no trajectories in .*; make some with geoops data make particles"):
        data(tmp_path).setup("fit")
    file = copied / "train" / "00001.vtkhdf"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"train/00001\.vtkhdf is truncated or damaged"):
        data(copied).setup("fit")
    file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"train/00001\.vtkhdf is no HDF5 file"):
        data(copied).setup("fit")
    file.unlink()
    (copied / "train" / ".00001.vtkhdf").write_bytes(b"")  # what an interrupted writer leaves
    data(copied).setup("fit")


def test_motions_that_are_too_short(copied):
    d = data(copied)
    d.steps = 20
    with pytest.raises(ValueError, match=r"train/00000\.vtkhdf: expected at least 21 frames for 20 steps in a row, got 20"):
        d.train_dataloader()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queries": 0}, r"data\.queries must be at least 1, got 0"),
        ({"limit_train": 0}, r"data\.limit_train must be at least 1"),
        ({"keep": 0.0}, r"data\.keep is a share of the particles in \(0, 1\], got 0"),
        ({"noise": -1.0}, r"data\.noise and data\.strain must be at least 0"),
        ({"strain": -1.0}, r"data\.noise and data\.strain must be at least 0"),
        ({"jitter": 1.0}, r"data\.jitter in \[0, 1\), got"),
        ({"samples": (10, 5)}, "expected 4 <= least <= most"),
        ({"choices": ("even",)}, "expected choices of"),
        ({"degree": 0.0}, "degree > 0"),
    ],
)
def test_options_that_do_not_fit(folder, options, words, unchecked):
    with pytest.raises(ValueError, match=words):
        data(folder, **options)


def test_a_copy_in_another_precision_is_found(copied):
    motion = random_motion(60, seed=20, frames=20, dtype=torch.float64)
    (copied / "test" / "00020.vtkhdf").unlink()
    write_motion(copied / "test" / "00020.vtkhdf", motion)
    write_motion(copied / "train" / "00099.vtkhdf", motion.to("cpu", torch.float32))
    with pytest.raises(ValueError, match=r"test/00020\.vtkhdf begins with the same positions as .*train/00099\.vtkhdf"):
        data(copied).setup("fit")


def test_how_samples_are_chosen_is_an_option(folder):
    """Defect 13: in training by `choices`, in evaluation by `choice`."""
    first = {}
    for way in ("fps", "random", "boundary"):
        d = data(
            folder, choices=(way,), samples=(20, 20), particles_per_step=20, keep=1 / 3, choice=way, noise=0.0, symmetric=False
        )
        motion = d.motions("train")[0]
        assert torch.equal(d.sample(motion, 3), chosen_samples(motion, 20, way, 3))
        first[way] = batches(d, 1)[0].graph.rest
    assert not torch.equal(first["fps"], first["random"])
    assert not torch.equal(first["fps"], first["boundary"])
    spread = {way: torch.pdist(rest).min() for way, rest in first.items()}
    assert spread["fps"] > 2 * spread["random"]


def test_folders_beside_the_splits_are_left_alone(copied):
    shutil.copytree(copied / "test", copied / "rolled")
    data(copied).setup("fit")


def test_a_set_without_validation(copied):
    shutil.rmtree(copied / "val")
    d = data(copied)
    d.setup("fit")
    assert len(d.val_dataloader()) == 0


def test_samples_that_no_motion_can_have(copied):
    for file in (copied / "train").glob("*"):
        write_motion(file, random_motion(60, names=("jelly", "water"), seed=int(file.stem)))
    with pytest.raises(ValueError, match=r"data\.samples: expected at least d \+ 2 of each material, 8, got 7"):
        data(copied, samples=(7, 20)).setup("fit")
