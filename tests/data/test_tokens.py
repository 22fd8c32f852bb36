import torch

from geoops.data import Task
from geoops.data._fields import raw_sample
from geoops.data._tokens import boundary_tokens, facet_sizes
from geoops.geometry import PointCloud

TASK = Task(["kind"], ["stress"], ["load"])


def raw_of(mesh):
    return raw_sample(mesh, TASK, name="plate")


def test_pieces_of_equal_length_whatever_the_mesh(plate):
    coarse, fine = (boundary_tokens(raw_of(plate(0, n=n)), size=0.2, most=512) for n in (6, 21))
    assert coarse.pos.shape == fine.pos.shape == (1, 24, 2)
    torch.testing.assert_close(coarse.pos, fine.pos, atol=1e-5, rtol=0)
    torch.testing.assert_close(coarse.normal.norm(dim=-1), torch.ones(1, 24))
    torch.testing.assert_close(coarse.size.sum(), torch.tensor(4.0))


def test_phases_cut_elsewhere(plate):
    tokens = boundary_tokens(raw_of(plate(0)), size=0.2, most=512, phases=4)
    assert tokens.pos.shape[0] == 4
    assert len({tuple(part.flatten().tolist()) for part in tokens.pos}) == 4
    torch.testing.assert_close(tokens.size.sum((1, 2)), torch.full((4,), 4.0))


def test_facets_in_space_are_tokens_of_their_own(plate):
    mesh = plate(0, dim=3)
    tokens = boundary_tokens(raw_of(mesh), size=0.2, most=512, phases=2)
    assert tokens.index.shape[0] == 2
    assert tokens.index.shape[2] == 3
    assert torch.equal(tokens.pos[0], tokens.pos[1])
    torch.testing.assert_close(tokens.size[0].sum(), facet_sizes(raw_of(mesh)).sum())


def test_points_of_a_cloud_are_tokens(plate):
    mesh = plate(0)
    tokens = boundary_tokens(raw_of(PointCloud(mesh.points, mesh.point_fields, mesh.global_fields)), size=0.2, most=512)
    assert torch.equal(tokens.pos[0], mesh.points)
    assert not tokens.normal.any()
    assert (tokens.size == 1).all()


def test_too_many_tokens_become_fewer_and_keep_the_measure(plate):
    for mesh in (plate(1, n=12), plate(1, n=12, dim=3)):
        full = boundary_tokens(raw_of(mesh), size=0.01, most=4096)
        few = boundary_tokens(raw_of(mesh), size=0.01, most=20)
        assert 0 < few.pos.shape[1] <= 20 < full.pos.shape[1]
        torch.testing.assert_close(few.size.sum(), full.size.sum())
