"""The unit-cell files shipped in the repository."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from geoops import io
from geoops.data.unit_cell import Void
from geoops.geometry import Mesh

SMALL = Path(__file__).parents[2] / "datasets" / "unit_cell" / "small"
CASES = {"train": range(64), "val": range(1000, 1016)} | dict.fromkeys(("test", "test_4x", "test_16x"), range(2000, 2016))


def read(folder: str, index: int) -> Mesh:
    mesh = io.read(SMALL / folder / f"{index:05d}.vtu")
    assert isinstance(mesh, Mesh)
    return mesh


def test_all_cases_are_there_in_eight_megabytes():
    for folder, indices in CASES.items():
        assert sorted(p.name for p in (SMALL / folder).iterdir()) == [f"{i:05d}.vtu" for i in indices]
    assert sum(p.stat().st_size for p in SMALL.rglob("*") if p.is_file()) <= 8_000_000


def test_the_card_says_what_is_there():
    card = yaml.safe_load((SMALL / "dataset.yaml").read_text())
    assert card["rejected"] == []
    for folder, indices in CASES.items():
        assert card["folders"][folder]["files"] == len(indices)
        mesh = read(folder, indices[-1])
        assert sorted(mesh.point_fields) == sorted(card["folders"][folder]["point_data"])
        assert sorted(mesh.global_fields) == sorted(card["field_data"])


@pytest.mark.parametrize("index", CASES["test"])
def test_the_resolutions_of_a_case_are_nested(index):
    coarse, middle, fine = (read(folder, index) for folder in ("test", "test_4x", "test_16x"))
    assert len(fine.cells) == 4 * len(middle.cells) == 16 * len(coarse.cells)
    for mesh in (coarse, middle):
        n = len(mesh.points)
        assert (fine.points[:n] == mesh.points).all()
        for name in ("von_mises", "boundary"):
            assert (fine.point_fields[name][:n] == mesh.point_fields[name]).all()
    void = Void(fine.global_fields["coefficients"].numpy().astype(float))
    x, y = fine.points[fine.point_fields["boundary"] == 4].numpy().T - 0.5
    np.testing.assert_allclose(np.hypot(x, y), void.radius(np.arctan2(y, x)), atol=1e-6)


@pytest.mark.parametrize(("folder", "index"), [("train", 63), ("test_16x", 2000)])
def test_meshio_reads_the_same(folder, index):
    meshio = pytest.importorskip("meshio")
    mesh, other = read(folder, index), meshio.read(SMALL / folder / f"{index:05d}.vtu")
    np.testing.assert_array_equal(other.points[:, :2], mesh.points)
    np.testing.assert_array_equal(other.cells_dict["triangle"], mesh.cells.of_kind("triangle"))
    for name, values in mesh.point_fields.items():
        np.testing.assert_array_equal(other.point_data[name], values)
    np.testing.assert_array_equal(other.field_data["coefficients"], mesh.global_fields["coefficients"])
