import os

import pytest
import torch

from geoops.learning import AtomicCheckpointIO, read_checkpoint


def test_round_trip_leaves_one_file(tmp_path):
    path = tmp_path / "sub" / "a.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"geoops": {"x": 1}, "t": torch.arange(3)}, path)
    io.save_checkpoint({"geoops": {"x": 2}, "t": torch.arange(3)}, path)
    assert os.listdir(path.parent) == ["a.ckpt"]
    assert io.load_checkpoint(path)["geoops"] == {"x": 2}


def test_a_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({"geoops": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        io.save_checkpoint({"geoops": lambda: None}, path)
    assert os.listdir(tmp_path) == ["a.ckpt"]
    assert read_checkpoint(path) == {"geoops": 1}


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "a.ckpt"
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*a\.ckpt"):
        read_checkpoint(path)
    AtomicCheckpointIO().save_checkpoint({"geoops": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"a\.ckpt is not a readable checkpoint"):
        read_checkpoint(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="not a checkpoint of geoops training"):
        read_checkpoint(path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_no_code_of_a_file_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"geoops": Evil()}, "a.ckpt")
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        read_checkpoint("a.ckpt")
    assert not os.path.exists("pwned")
