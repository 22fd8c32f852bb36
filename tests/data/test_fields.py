import pytest
import torch

from geoops.data import Task
from geoops.data._fields import bounded, distance_to, raw_sample
from geoops.geometry import Cells, Mesh, PointCloud

TASK = Task(["kind"], ["stress"], ["load"])


def test_a_mesh_gives_tokens_on_its_boundary(plate):
    raw = raw_sample(plate(0), TASK, max_tokens=512, name="plate")
    assert raw["pos"].shape == (36, 2)
    assert raw["token_pos"].shape == (20, 2)
    torch.testing.assert_close(raw["token_normal"].norm(dim=1), torch.ones(20))
    torch.testing.assert_close(raw["token_size"].sum(), torch.tensor(4.0))
    assert raw["sdf"].max() < 1e-6
    torch.testing.assert_close(raw["sdf"].min(), torch.tensor(-0.4))
    torch.testing.assert_close(raw["spacing"], torch.full((3,), 0.2).double())


def test_a_cloud_gives_its_points_as_tokens(plate):
    mesh = plate(0)
    cloud = PointCloud(mesh.points, mesh.point_fields, mesh.global_fields)
    raw = raw_sample(cloud, TASK, max_tokens=512, name="cloud")
    assert torch.equal(raw["token_pos"], mesh.points)
    assert not raw["token_normal"].any()
    assert (raw["token_size"] == 1).all()
    assert not raw["sdf"].any()
    far = distance_to(bounded(cloud), torch.tensor([[-3.0, 0.0]]))
    torch.testing.assert_close(far, torch.tensor([[3.0]]))


def test_lines_bound_nothing():
    mesh = Mesh(torch.rand(5, 2), Cells.from_blocks({"line": torch.tensor([[0, 1], [1, 2]])}))
    assert isinstance(bounded(mesh), PointCloud)


def test_open_surfaces_have_unsigned_distances(plate):
    raw = raw_sample(plate(0, dim=3), TASK, max_tokens=512, name="sheet")
    assert raw["sdf"].abs().max() < 1e-6
    above = distance_to(bounded(plate(0, dim=3)), torch.tensor([[0.0, 0.5, -2.0], [0.0, 0.5, 2.0]]))
    assert (above > 0.5).all()


def test_too_many_tokens_are_thinned_and_keep_the_measure(plate):
    full = raw_sample(plate(1, n=12), TASK, max_tokens=512, name="plate")
    few = raw_sample(plate(1, n=12), TASK, max_tokens=10, name="plate")
    assert few["token_pos"].shape == (10, 2)
    assert few["token_index"].shape == (10, 2)
    torch.testing.assert_close(few["token_size"].sum(), full["token_size"].sum())


def test_text_cannot_be_a_parameter(plate):
    mesh = plate(0).with_fields(globals={"load": "heavy"})
    with pytest.raises(TypeError, match="'load' is text"):
        raw_sample(mesh, TASK, max_tokens=9, name="plate")


def test_targets_may_be_absent(plate):
    mesh = plate(0)
    bare = Mesh(mesh.points, mesh.cells, {"kind": mesh.point_fields["kind"]}, {}, mesh.global_fields)
    assert "out:stress" not in raw_sample(bare, TASK, max_tokens=9, name="plate", targets=False)
    with pytest.raises(KeyError, match="no point field 'stress'"):
        raw_sample(bare, TASK, max_tokens=9, name="plate")
