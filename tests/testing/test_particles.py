import pytest
import torch

import geoops.testing
from geoops.testing import random_motion, random_particles


@pytest.mark.parametrize("dim", [2, 3])
def test_random_particles(dim, dtype):
    graph = random_particles(200, dim, materials=3, degree=10.0, dtype=dtype)
    assert graph.positions.shape == (200, 6, dim)
    assert graph.positions.dtype == graph.bounds.dtype == graph.gravity.dtype == dtype
    assert graph.num_nodes == 200
    assert graph.material.unique().tolist() == [0, 1, 2]
    degree = graph.edge_index.shape[1] / 200 - 1
    assert 5 < degree < 10  # fewer at walls
    again = random_particles(200, dim, materials=3, degree=10.0, dtype=dtype)
    assert torch.equal(again.positions, graph.positions)
    assert not torch.equal(random_particles(200, dim, seed=1, dtype=dtype).positions, graph.positions)
    assert random_particles(0, dim).edge_index.shape == (2, 0)


@pytest.mark.parametrize("dim", [2, 3])
def test_random_motions(dim, dtype):
    motion = random_motion(50, dim, frames=20, names=("jelly", "sand"), dtype=dtype)
    assert motion.x.shape == (20, 50, dim)
    assert motion.x.dtype == motion.volume.dtype == dtype
    assert motion.material.tolist() == [0] * 25 + [1] * 25
    low, high = motion.bounds.unbind(1)
    assert ((motion.x > low) & (motion.x < high)).all()
    assert motion.x[:, :25, 0].max() < motion.x[:, 25:, 0].min()
    assert torch.equal(motion.x, random_motion(50, dim, frames=20, names=("jelly", "sand"), dtype=dtype).x)
    assert not torch.equal(motion.x, random_motion(50, dim, frames=20, names=("jelly", "sand"), dtype=dtype, seed=1).x)
    assert random_motion(0, dim).x.shape == (30, 0, dim)


def test_what_does_not_exist():
    with pytest.raises(ValueError, match="dim must be 2 or 3, got 4"):
        random_motion(3, 4)
    with pytest.raises(ValueError, match="dim must be 2 or 3, got 4"):
        random_particles(3, 4)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = geoops.testing.nothing
