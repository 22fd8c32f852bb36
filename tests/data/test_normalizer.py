import json

import pytest
import torch
from torch_geometric.data import Batch

from geoops.data import MeshFolder, Normalizer, Task, to_shapes
from geoops.geometry import Mesh, PointCloud, Sizes

TASK = Task(["kind", "depth"], ["stress", "shift"], ["load"])


@pytest.fixture
def meshes(plate):
    return [plate(i, n=4 + i) for i in range(4)]


@pytest.fixture
def normalizer(meshes):
    return Normalizer.fit(meshes, TASK)


def test_sizes_count_categories_and_channels(normalizer):
    assert normalizer.sizes == Sizes(dim=2, inputs=4, outputs=3, globals=2)
    assert normalizer.slices == {"stress": slice(0, 1), "shift": slice(1, 3)}
    assert normalizer.inputs[0].categories == (0, 1, 2)
    assert normalizer.units == {"stress": "Pa"}


def test_statistics_are_those_of_all_training_nodes(meshes, normalizer):
    stress = torch.cat([m.point_fields["stress"] for m in meshes]).double()
    mean, std = normalizer.target_scale()
    torch.testing.assert_close(mean[0], stress.mean(), rtol=1e-12, atol=0)
    torch.testing.assert_close(std[0], stress.std(correction=0), rtol=1e-12, atol=0)


def test_boxes_fit_and_scores_are_standard(meshes, normalizer):
    samples = [normalizer.sample(m) for m in meshes]
    pos = torch.cat([s.pos for s in samples])
    assert pos.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(pos.abs().max(), torch.tensor(1.0))
    y = torch.cat([s.y for s in samples])
    torch.testing.assert_close(y.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)
    sample = samples[0]
    assert torch.equal(sample.x[:, :3].sum(1), torch.ones(len(sample.x)))
    assert {v.dtype for k, v in sample.to_dict().items() if k not in ("tokens", "index")} == {torch.float32}


def test_distances_and_sizes_scale_with_positions(meshes, normalizer):
    sample = normalizer.sample(meshes[2])
    facets = sample.token_size.sum() * normalizer.scale
    assert facets == pytest.approx(4.0, rel=0.02)
    assert sample.sdf.min() * normalizer.scale == pytest.approx(-0.4, abs=0.1)


def test_round_trip_to_physical_units(meshes, normalizer):
    for mesh in meshes:
        y = normalizer.sample(mesh).y
        torch.testing.assert_close(normalizer.restore(y, "stress")[:, 0], mesh.point_fields["stress"], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(normalizer.restore(y, "shift"), mesh.point_fields["shift"], rtol=1e-6, atol=1e-6)
    with pytest.raises(KeyError, match=r"no target 'depth': the task predicts \['stress', 'shift'\]"):
        normalizer.restore(y, "depth")


def test_scale_mode_keeps_zero(meshes):
    normalizer = Normalizer.fit(meshes, TASK, mode="scale")
    mean, std = normalizer.target_scale()
    assert not mean.any()
    assert torch.equal(std, Normalizer.fit(meshes, TASK).target_scale()[1])
    y = normalizer.sample(meshes[0]).y
    torch.testing.assert_close(normalizer.restore(y, "stress")[:, 0], meshes[0].point_fields["stress"])


def test_globals_may_keep_their_direction(plate):
    meshes = [plate(i).with_fields(globals={"load": torch.tensor([3.0 * (i + 1), 4.0 * (i + 1)])}) for i in range(3)]
    normalizer = Normalizer.fit(meshes, TASK, globals_mode="scale")
    mu = torch.cat([normalizer.sample(m).mu for m in meshes])
    torch.testing.assert_close(mu[:, 1] / mu[:, 0], torch.full((3,), 4 / 3))
    torch.testing.assert_close(mu.square().mean(), torch.tensor(1.0))


def test_constant_channels_do_not_blow_up(plate):
    meshes = [plate(i).with_fields(points={"stress": torch.full((36,), 0.1)}) for i in range(3)]
    normalizer = Normalizer.fit(meshes, TASK)
    assert normalizer.target_scale()[1][0] == 1
    assert normalizer.sample(meshes[0]).y[:, 0].abs().max() < 1e-6


def test_tokens_average_one_hot_rows_of_their_nodes(meshes, normalizer):
    sample = normalizer.sample(meshes[0])
    torch.testing.assert_close(sample.token_x[:, :3].sum(1), torch.ones(len(sample.token_x)))
    below = sample.token_normal[:, 1] < -0.99
    assert below.any()
    torch.testing.assert_close(sample.token_x[below, 1], torch.ones(int(below.sum())))


def test_state_survives_json_exactly(normalizer):
    state = json.loads(json.dumps(normalizer.state_dict()))
    assert Normalizer.from_state_dict(state) == normalizer
    with pytest.raises(ValueError, match="not the state of a Normalizer"):
        Normalizer.from_state_dict({"task": {}})


def test_queries_agree_with_nodes(meshes, normalizer):
    sample = normalizer.sample(meshes[1])
    pos, sdf = normalizer.query(meshes[1], meshes[1].points)
    torch.testing.assert_close(pos, sample.pos)
    torch.testing.assert_close(sdf, sample.sdf)


def test_clouds_keep_unit_measure(meshes, normalizer):
    m = meshes[0]
    sample = normalizer.sample(PointCloud(m.points, m.point_fields, m.global_fields))
    assert (sample.token_size == 1).all()


def test_batches_pad_to_shapes(meshes, normalizer):
    samples = [normalizer.sample(m, index=i) for i, m in enumerate(meshes)]
    shapes = to_shapes(Batch.from_data_list(samples))
    assert shapes.pos.shape == (4, 49, 2)
    assert shapes.mask.sum(1).tolist() == [16, 25, 36, 49]
    # Pieces of the outline have one length for all meshes.
    assert shapes.token_mask.sum(1).tolist() == [28] * 4
    assert shapes.key.tolist() == [0, 2, 4, 6]
    assert not shapes.pos[~shapes.mask].any()
    assert not shapes.token_x[~shapes.token_mask].any()
    for i, s in enumerate(samples):
        assert torch.equal(shapes.pos[i, : len(s.pos)], s.pos)
        assert torch.equal(shapes.token_normal[i, : len(s.token_pos)], s.token_normal)
    assert torch.equal(shapes.mu, torch.cat([s.mu for s in samples]))
    unknown = to_shapes(Batch.from_data_list([normalizer.sample(meshes[0], targets=False)]))
    assert unknown.key.tolist() == [-1]


def test_statistics_need_no_targets_at_prediction(meshes, normalizer):
    m = meshes[0]
    bare = Mesh(m.points, m.cells, {k: m.point_fields[k] for k in ("kind", "depth")}, {}, m.global_fields)
    assert "y" not in normalizer.sample(bare, targets=False)


def test_foreign_meshes_are_refused(plate, meshes, normalizer):
    kind = torch.full((36,), 7, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"odd\.vtu: field 'kind' has categories \[7\]; the training set has \[0, 1, 2\]"):
        normalizer.sample(plate(0).with_fields(points={"kind": kind}), name="odd.vtu")
    with pytest.raises(ValueError, match="must be one integer per point"):
        normalizer.sample(plate(0).with_fields(points={"kind": torch.rand(36)}))
    with pytest.raises(ValueError, match="has 2 channels, the training set had 1"):
        normalizer.sample(plate(0).with_fields(points={"depth": torch.rand(36, 2)}))
    with pytest.raises(ValueError, match="is 3D, the training set is 2D"):
        normalizer.sample(plate(0, dim=3))


def test_bad_training_sets_are_refused(plate):
    with pytest.raises(ValueError, match="empty training set"):
        Normalizer.fit([], TASK)
    many = plate(0, n=9).with_fields(points={"kind": torch.arange(81)})
    with pytest.raises(ValueError, match="has 81 values"):
        Normalizer.fit([many], TASK)
    pairs = plate(0).with_fields(points={"kind": torch.zeros(36, 2, dtype=torch.uint8)})
    with pytest.raises(ValueError, match="one category field of each"):
        Normalizer.fit([pairs], TASK)
    wide = plate(1).with_fields(points={"depth": torch.rand(36, 2)})
    with pytest.raises(ValueError, match=r"'depth' has \[1, 2\] channels in different files"):
        Normalizer.fit([plate(0), wide], TASK)


def test_statistics_never_touch_test_data(folder, tmp_path, plate):
    """The fit on a folder equals the fit on its training files, whatever the test files hold."""
    from geoops import io
    from geoops.data import MeshData

    data = MeshData(folder, inputs=["kind"], targets=["stress"])
    data.setup()
    train = MeshFolder(folder, split="train", inputs=["kind"], targets=["stress"])
    assert data.normalizer == Normalizer.fit(train, data.task)
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
    for file in train.files:
        (tmp_path / "train" / file.name).write_bytes(file.read_bytes())
    for split in ("val", "test"):
        wild = plate(5)
        io.write(tmp_path / split / "a.vtu", wild.with_fields(points={"stress": 1e6 * wild.point_fields["stress"]}))
    other = MeshData(tmp_path, inputs=["kind"], targets=["stress"])
    other.setup()
    assert other.normalizer == data.normalizer
