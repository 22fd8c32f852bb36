import pytest
import torch

from geoops import io
from geoops.data import MeshFolder, split_files
from geoops.geometry import PointCloud

FIELDS = {"inputs": ["kind"], "targets": ["stress"]}


def test_reads_files_in_sorted_order_and_once(folder):
    meshes = MeshFolder(folder, split="train", globals=["load"], **FIELDS)
    assert len(meshes) == 7
    assert [int(m.global_fields["load"][0]) for m in meshes] == list(range(7))
    assert meshes[2] is meshes[2]
    assert meshes[-1] is meshes[6]
    with pytest.raises(IndexError, match="7 files"):
        meshes[7]


def test_without_cache_files_are_read_again(folder):
    meshes = MeshFolder(folder, split="val", cache=False, **FIELDS)
    assert meshes[0] is not meshes[0]


def test_search_is_recursive_and_leaves_out_blocks_and_hidden_files(tmp_path, plate):
    for name in ("b/2.vtu", "a/1.vtu", "c.vtu", ".hidden/3.vtu", "case/case_0.vtu"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        io.write(tmp_path / name, plate(0))
    (tmp_path / "case.vtm").touch()
    (tmp_path / "notes.txt").touch()
    names = [p.relative_to(tmp_path).as_posix() for p in MeshFolder(tmp_path, **FIELDS).files]
    assert names == ["a/1.vtu", "b/2.vtu", "c.vtu", "case.vtm"]


def test_sub_folders_are_the_splits(folder):
    splits = split_files(folder)
    assert {k: len(v) for k, v in splits.items()} == {"train": 7, "val": 3, "test": 4}
    assert MeshFolder(folder, split="test", **FIELDS).files == splits["test"]


def test_flat_folders_are_split_by_seed_and_fractions(flat_folder):
    splits = split_files(flat_folder, val_fraction=0.2, test_fraction=0.1, seed=3)
    assert {k: len(v) for k, v in splits.items()} == {"train": 14, "val": 4, "test": 2}
    assert len({p for files in splits.values() for p in files}) == 20
    assert splits == split_files(flat_folder, val_fraction=0.2, test_fraction=0.1, seed=3)
    assert splits != split_files(flat_folder, val_fraction=0.2, test_fraction=0.1, seed=4)


def test_validation_is_carved_from_train_where_it_has_no_folder(flat_folder, tmp_path):
    (tmp_path / "train").symlink_to(flat_folder / "part0", target_is_directory=True)
    splits = split_files(tmp_path, val_fraction=0.3)
    assert {k: len(v) for k, v in splits.items()} == {"train": 7, "val": 3, "test": 0}


def test_missing_things_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        MeshFolder(tmp_path / "absent", **FIELDS)
    with pytest.raises(FileNotFoundError, match="no folder"):
        split_files(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"no readable mesh files .*\.vtu"):
        MeshFolder(tmp_path, **FIELDS)
    with pytest.raises(FileNotFoundError, match="no readable mesh files to train on"):
        split_files(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no split 'tset': there are \['test', 'train', 'val'\]"):
        MeshFolder(folder, split="tset", **FIELDS)
    with pytest.raises(ValueError, match="fractions"):
        split_files(folder, val_fraction=1.5)


def test_a_missing_field_lists_the_ones_there_are(folder):
    with pytest.raises(KeyError, match=r"000\.vtu: no point field 'presure' .*depth, kind, shift, stress"):
        MeshFolder(folder, split="train", inputs=[], targets=["presure"])[0]
    with pytest.raises(KeyError, match=r"000\.vtu: no global field 'mach'; global fields: load"):
        MeshFolder(folder, split="train", inputs=[], targets=["stress"], globals=["mach"])[0]


def test_cell_fields_are_pointed_out(tmp_path, plate):
    mesh = plate(0).with_fields(cells={"cold": torch.zeros(50)})
    io.write(tmp_path / "a.vtu", mesh)
    with pytest.raises(KeyError, match="'cold' is a cell field there"):
        MeshFolder(tmp_path, inputs=[], targets=["cold"])[0]


def test_nan_names_file_and_field(tmp_path, plate):
    mesh = plate(0)
    mesh.point_fields["stress"][3] = torch.nan
    io.write(tmp_path / "a.vtu", mesh)
    with pytest.raises(ValueError, match=r"a\.vtu: field 'stress' has NaN or infinite values in 1 of 36"):
        MeshFolder(tmp_path, **FIELDS)[0]


def test_mixed_dimensions_name_both_files(tmp_path, plate):
    io.write(tmp_path / "a.vtu", plate(0))
    io.write(tmp_path / "b.vtu", plate(0, dim=3))
    meshes = MeshFolder(tmp_path, **FIELDS)
    meshes[0]
    with pytest.raises(ValueError, match=r"2D and 3D .*a\.vtu is 2D, .*b\.vtu is 3D"):
        meshes[1]


def test_clouds_are_meshes_without_cells(tmp_path, plate):
    mesh = plate(0)
    io.write(tmp_path / "a.vtp", PointCloud(mesh.points, mesh.point_fields))
    assert len(MeshFolder(tmp_path, **FIELDS)[0].points) == 36
