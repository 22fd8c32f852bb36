import torch

from geoops.geometry._particle_graph import ParticleGraph
from geoops.layers._particle_features import edge_features, node_features, velocities, wall_distances


def test_three_particles_by_hand(dtype):
    """Two near each other and to the left wall, and one far away."""
    last = torch.tensor([[0.15, 0.5], [0.15, 0.56], [0.5, 0.5]], dtype=dtype)
    step = torch.tensor([0.01, -0.02], dtype=dtype)
    times = torch.arange(-5, 1, dtype=dtype)[:, None]
    graph = ParticleGraph(
        positions=last[:, None] + step * times,
        rest=last,
        material=torch.zeros(3, dtype=torch.int64),
        radius=torch.tensor([0.1], dtype=dtype),
        spacing=torch.tensor([0.05], dtype=dtype),
        bounds=torch.tensor([[[0.1, 0.9], [0.1, 0.9]]], dtype=dtype),
        gravity=torch.zeros(1, 2, dtype=dtype),
        num_nodes=3,
    ).joined()
    close = {"rtol": 1e-4, "atol": 1e-5}
    v = velocities(graph)
    torch.testing.assert_close(v, step.expand(3, 5, 2), **close)
    walls = torch.tensor([[0.5, 1, 1, 1], [0.5, 1, 1, 1], [1, 1, 1, 1]], dtype=dtype)
    torch.testing.assert_close(wall_distances(graph), walls, **close)
    seen = node_features(graph, v)
    assert seen.shape == (3, 7 * 2)
    torch.testing.assert_close(seen[0], torch.cat([step.repeat(5), walls[0]]), **close)
    assert graph.edge_index.tolist() == [[0, 1, 0, 1, 2], [0, 0, 1, 1, 2]]
    along = torch.tensor([[0, 0, 0], [0, 0.6, 0.6], [0, -0.6, 0.6], [0, 0, 0], [0, 0, 0]], dtype=dtype)
    torch.testing.assert_close(edge_features(graph), along, **close)


def test_particles_outside_are_clipped():
    x = torch.tensor([[0.0, 0.5]]).repeat(1, 2).reshape(1, 2, 2)
    graph = ParticleGraph(
        positions=x,
        rest=x[:, 0],
        material=torch.zeros(1, dtype=torch.int64),
        radius=torch.tensor([0.02]),
        spacing=torch.tensor([0.01]),
        bounds=torch.tensor([[[0.1, 0.9], [0.1, 0.9]]]),
        gravity=torch.zeros(1, 2),
        num_nodes=1,
    ).joined()
    assert wall_distances(graph).tolist() == [[-1, 1, 1, 1]]
