import numpy as np
import pytest
import torch

from geoops.data import MeshData
from geoops.data._batch import EvalBatches


@pytest.fixture
def data(folder):
    def build(**options):
        defaults = {"inputs": ["kind"], "targets": ["stress"], "batch_size": 4, "points_per_step": 10, "seed": 5}
        data = MeshData(folder, **{**defaults, **options})
        data.setup("fit")
        return data

    return build


def same(a, b):
    pairs = [*zip(vars(a.shapes).values(), vars(b.shapes).values(), strict=True), *zip(a[1:], b[1:], strict=True)]
    return all(torch.equal(x, y) for x, y in pairs)


def test_a_batch_is_a_function_of_seed_and_step(data):
    one, two = data().step_batches(), data().step_batches()
    for step in (3, 0, 11):
        assert same(one[step], two[step])
    assert not same(one[0], one[1])
    assert not same(one[0], data(seed=6).step_batches()[0])


def test_iteration_starts_at_a_step(data):
    batches = data().step_batches(start=4)
    stream = iter(batches)
    assert same(next(stream), batches[4])
    assert same(next(stream), batches[5])


def test_each_epoch_sees_each_shape_once(data):
    batches = data().step_batches()
    seen = torch.cat([batches[i].shapes.key for i in range(7)]) // 2
    assert sorted(seen[:7].tolist()) == list(range(7))
    assert torch.bincount(seen).tolist() == [4] * 7
    assert seen[:7].tolist() != seen[7:14].tolist()


def test_queries_are_different_nodes_of_their_shape(data):
    d = data()
    batch = d.step_batches()[0]
    assert batch.pos.shape == (4, 10, 2)
    assert batch.mask.all()
    for j, key in enumerate(batch.shapes.key.tolist()):
        nodes = batch.shapes.pos[j][batch.shapes.mask[j]]
        match = (batch.pos[j][:, None] == nodes).all(-1)
        assert match.any(1).all()
        assert match.float().argmax(1).unique().numel() == 10
        start = d.pack("train").node_ptr[key // 2]
        row = start + match.float().argmax(1)
        assert torch.equal(batch.target[j], d.pack("train").arrays["y"][row])
        assert torch.equal(batch.sdf[j], d.pack("train").arrays["sdf"][row])


def test_small_shapes_repeat_nodes(data):
    batch = data(points_per_step=60).step_batches()[0]
    assert batch.pos.shape == (4, 60, 2)
    assert batch.mask.all()


def test_all_nodes_are_padded_and_shared_with_the_shapes(data):
    batch = data(points_per_step=None).step_batches()[0]
    assert batch.pos is batch.shapes.pos
    assert torch.equal(batch.mask, batch.shapes.mask)
    assert not batch.target[~batch.mask].any()


def test_the_encoder_may_see_a_subset(data):
    d = data(encode_points=10)
    batch = d.step_batches()[0]
    assert batch.pos is batch.shapes.pos
    assert batch.shapes.key.tolist() == [-1] * 4
    fewer = data(encode_points=6).step_batches()[0]
    assert torch.equal(fewer.shapes.pos, fewer.pos[:, :6])


def test_networks_without_nodes_get_none(data):
    d = data()
    full = d.step_batches()[2]
    d.with_nodes = False
    batch = d.step_batches()[2]
    assert batch.shapes.pos.shape == (4, 0, 2)
    assert torch.equal(batch.pos, full.pos)
    assert torch.equal(batch.shapes.token_pos, full.shapes.token_pos)
    assert batch.shapes.key.min() >= 0


def test_the_boundary_is_cut_anew_in_each_step(data):
    d = data()
    plain = d.step_batches()[2]
    d.phases = 8
    batches = d.step_batches()
    assert torch.equal(batches[2].pos, plain.pos)
    assert batches[2].shapes.token_pos.shape == plain.shapes.token_pos.shape
    assert same(batches[2], d.step_batches()[2])
    # Codes of one cut must not be kept for another.
    assert batches[2].shapes.key.tolist() == [-1] * 4
    starts = {tuple(batches[i].shapes.token_pos[j, 0].tolist()) for i in range(14) for j in range(4)}
    assert len(starts) > 7
    assert d.pack("val").phases == 1


def test_processes_share_the_global_batch(data):
    d = data()
    whole = d.step_batches()[3]
    parts = [d.step_batches(rank=r, world=2)[3] for r in range(2)]
    for r, part in enumerate(parts):
        assert torch.equal(part.shapes.key, whole.shapes.key[r::2])
        assert torch.equal(part.pos, whole.pos[r::2])
        assert torch.equal(part.target, whole.target[r::2])
    with pytest.raises(ValueError, match="must be divisible by the 3 processes"):
        d.step_batches(world=3)


def test_workers_do_not_change_batches(data):
    plain, forked = data(), data(workers=2)
    one, two = iter(plain.train_dataloader()), iter(forked.train_dataloader())
    for _ in range(5):
        assert same(next(one), next(two))


def test_reflection_mirrors_positions_and_normals(data):
    d = data(reflect=[0], points_per_step=None)
    still = data(points_per_step=None).step_batches()
    batches = d.step_batches()
    flips = []
    for step in range(12):
        batch, plain = batches[step], still[step]
        flip = batch.shapes.key % 2
        assert torch.equal(batch.shapes.key - flip, plain.shapes.key)
        sign = 1.0 - 2.0 * flip[:, None]
        for name in ("pos", "token_pos", "token_normal"):
            moved, first = getattr(batch.shapes, name), getattr(plain.shapes, name)
            assert torch.equal(moved[..., 0], sign * first[..., 0])
            assert torch.equal(moved[..., 1], first[..., 1])
        assert torch.equal(batch.target, plain.target)
        assert batch.pos is batch.shapes.pos
        flips += flip.tolist()
    assert 0.3 < np.mean(flips) < 0.7


def test_reflected_vectors_change_sign_in_physical_units(data):
    options = {"targets": ["stress", "shift"], "inputs": [], "globals": ["load"], "points_per_step": None}
    d = data(**options, reflect=[0], reflect_signs={"shift": [-1, 1], "load": [1, -1]})
    plain = data(**options)
    for step in range(4):
        one, two = d.step_batches()[step], plain.step_batches()[step]
        flip = (one.shapes.key % 2).bool()
        mirrored = d.normalizer.restore(one.target, "shift")
        first = d.normalizer.restore(two.target, "shift")
        sign = 1.0 - 2.0 * flip[:, None].float()
        expected = torch.stack([sign * first[..., 0], first[..., 1]], -1)
        torch.testing.assert_close(mirrored[one.mask], expected[one.mask], atol=1e-5, rtol=1e-5)
        assert not one.target[~one.mask].any()
        mean, std = (torch.tensor(getattr(d.normalizer.globals[0], k)) for k in ("mean", "std"))
        load = torch.stack([two.shapes.mu[:, 0] * std[0] + mean[0], sign[:, 0] * (two.shapes.mu[:, 1] * std[1] + mean[1])], 1)
        torch.testing.assert_close(one.shapes.mu * std + mean, load, atol=1e-4, rtol=1e-5)


def test_two_axes_have_four_variants(data):
    d = data(reflect=[0, 1], points_per_step=None)
    keys = torch.cat([d.step_batches()[i].shapes.key for i in range(30)])
    assert set((keys % 4).tolist()) == {0, 1, 2, 3}
    assert set((keys // 4).tolist()) == set(range(7))
    assert len({k for shapes in d.train_shapes() for k in shapes.key.tolist()}) == 28


def test_all_training_shapes_are_visited_with_their_mirrors(data):
    d = data(reflect=[0])
    shapes = list(d.train_shapes())
    assert sorted(k for s in shapes for k in s.key.tolist()) == list(range(14))
    batch = d.step_batches()[0]
    for j, key in enumerate(batch.shapes.key.tolist()):
        twin = next(s for s in shapes if key in s.key.tolist())
        i = twin.key.tolist().index(key)
        n = batch.shapes.token_mask[j].sum()
        assert torch.equal(twin.token_pos[i, :n], batch.shapes.token_pos[j, :n])


def test_unclear_signs_are_refused(data):
    with pytest.raises(ValueError, match=r"how the 2 channels of target 'shift' .*reflect_signs: \{'shift': \[-1, 1\]\}"):
        data(targets=["shift"], reflect=[0]).step_batches()
    with pytest.raises(ValueError, match="must be 2 numbers 1 or -1"):
        data(targets=["shift"], reflect=[0], reflect_signs={"shift": [-1]}).step_batches()
    with pytest.raises(ValueError, match="for each of the axes"):
        data(targets=["shift"], reflect=[0, 1], reflect_signs={"shift": [[-1, 1], [1]]}).step_batches()


def test_evaluation_visits_each_shape_once_with_all_nodes(data):
    d = data()
    batches = list(d.val_dataloader())
    assert torch.cat([b.shapes.key for b in batches]).tolist() == [14, 16, 18]
    for b in batches:
        assert torch.equal(b.mask, b.shapes.mask)
        assert b.pos is b.shapes.pos
    shares = [list(EvalBatches(d.pack("val"), batch_size=1, rank=r, world=2)) for r in range(2)]
    assert [[int(b.shapes.key) for b in share] for share in shares] == [[14, 18], [16]]
