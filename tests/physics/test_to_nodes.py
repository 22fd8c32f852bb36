import torch

from geoops.physics import Box, to_nodes


def test_averages_of_a_constant_are_the_constant(dtype):
    box = Box((6, 5, 4), 0.2)
    x = torch.rand(2, 30, 3, dtype=dtype) * torch.tensor([0.8, 0.6, 0.4], dtype=dtype) + 0.2
    mass = torch.rand(30, dtype=dtype) + 0.5
    value = torch.tensor([1.0, -2.0], dtype=dtype).expand(2, 30, 2)
    nodes = to_nodes(x, value, mass, box)
    assert nodes.shape == (2, 9 * 8 * 7, 2)
    some = nodes.abs().sum(-1) > 0
    torch.testing.assert_close(nodes[some], value[0, :1].expand(int(some.sum()), 2))
    assert 0 < some.float().mean() < 1


def test_one_particle_reaches_its_neighbours_only():
    box = Box((4, 4), 1.0)
    nodes = to_nodes(torch.tensor([[[2.0, 1.0]]]), torch.ones(1, 1, 1), torch.ones(1), box).view(7, 7)
    assert nodes.nonzero().add(-1).aminmax(dim=0)[0].tolist() == [1, 0]
    assert nodes.nonzero().add(-1).aminmax(dim=0)[1].tolist() == [3, 2]


def test_gradients():
    box = Box((3, 3), 0.5)
    x, mass = torch.rand(1, 4, 2, dtype=torch.float64) + 0.2, torch.rand(4, dtype=torch.float64) + 1
    value = torch.rand(1, 4, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: to_nodes(x, a, mass, box), value)
    assert to_nodes(torch.zeros(1, 0, 2), torch.zeros(1, 0, 1), torch.zeros(0), box).abs().max() == 0
