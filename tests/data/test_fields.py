import pytest
import torch

from geoops.data import Task
from geoops.data._fields import bounded, distance_to, raw_sample, smooth
from geoops.geometry import Cells, Mesh, PointCloud

TASK = Task(["kind"], ["stress"], ["load"])


def test_a_mesh_gives_its_boundary(plate):
    raw = raw_sample(plate(0), TASK, name="plate")
    assert raw["pos"].shape == (36, 2)
    assert raw["corners"].shape == (20, 2, 2)
    assert raw["corner_index"].shape == (20, 2)
    assert raw["sdf"].max() < 1e-6
    torch.testing.assert_close(raw["sdf"].min(), torch.tensor(-0.4))
    torch.testing.assert_close(raw["spacing"], torch.full((3,), 0.2).double())


def test_the_boundary_of_a_cloud_are_its_points(plate):
    mesh = plate(0)
    cloud = PointCloud(mesh.points, mesh.point_fields, mesh.global_fields)
    raw = raw_sample(cloud, TASK, name="cloud")
    assert torch.equal(raw["corners"][:, 0], mesh.points)
    assert not raw["sdf"].any()
    far = distance_to(bounded(cloud), torch.tensor([[-3.0, 0.0]]))
    torch.testing.assert_close(far, torch.tensor([[3.0]]))


def test_distances_are_taken_from_smooth_curves():
    angle = torch.arange(24) * 2 * torch.pi / 24
    rim = torch.stack([angle.cos(), angle.sin()], 1)
    fan = torch.stack([torch.zeros(24, dtype=torch.int64), torch.arange(1, 25), torch.arange(1, 25) % 24 + 1], 1)
    disc = Mesh(torch.cat([torch.zeros(1, 2), rim]), Cells.from_blocks({"triangle": fan}))
    between = (rim + rim.roll(-1, 0)) / 2
    on_circle = between / between.norm(dim=1, keepdim=True)
    off = distance_to(smooth(bounded(disc)), on_circle).abs().max()
    assert off < distance_to(bounded(disc), on_circle).abs().max() / 4


def test_lines_bound_nothing():
    mesh = Mesh(torch.rand(5, 2), Cells.from_blocks({"line": torch.tensor([[0, 1], [1, 2]])}))
    assert isinstance(bounded(mesh), PointCloud)


def test_open_surfaces_have_unsigned_distances(plate):
    raw = raw_sample(plate(0, dim=3), TASK, name="sheet")
    assert raw["sdf"].abs().max() < 1e-6
    above = distance_to(bounded(plate(0, dim=3)), torch.tensor([[0.0, 0.5, -2.0], [0.0, 0.5, 2.0]]))
    assert (above > 0.5).all()


def test_text_cannot_be_a_parameter(plate):
    mesh = plate(0).with_fields(globals={"load": "heavy"})
    with pytest.raises(TypeError, match="'load' is text"):
        raw_sample(mesh, TASK, name="plate")


def test_targets_may_be_absent(plate):
    mesh = plate(0)
    bare = Mesh(mesh.points, mesh.cells, {"kind": mesh.point_fields["kind"]}, {}, mesh.global_fields)
    assert "out:stress" not in raw_sample(bare, TASK, name="plate", targets=False)
    with pytest.raises(KeyError, match="no point field 'stress'"):
        raw_sample(bare, TASK, name="plate")
