import pytest
import torch

from geoops.geometry import BodyBox, lattice_nodes, lattice_points, mean_of_bodies


@pytest.mark.parametrize("dim", [2, 3])
def test_interpolation_is_exact_for_affine_functions_and_at_nodes(dim, device, dtype, tolerance):
    nodes = lattice_points(dim, 5).to(device, dtype)
    x = torch.rand(40, dim, dtype=dtype, device=device)
    index, weight = lattice_nodes(x, 5)
    torch.testing.assert_close((weight[..., None] * nodes[index]).sum(1), x, **tolerance)
    torch.testing.assert_close(weight.sum(1), torch.ones_like(x[:, 0]), **tolerance)
    index, weight = lattice_nodes(nodes, 5)
    assert torch.equal(index.gather(1, weight.argmax(1)[:, None])[:, 0], torch.arange(5**dim, device=device))


def test_points_outside_are_moved_to_the_faces():
    inside, outside = lattice_nodes(torch.tensor([[0.0, 1.0]]), 4), lattice_nodes(torch.tensor([[-3.0, 9.0]]), 4)
    assert torch.equal(inside[0], outside[0])
    assert torch.equal(inside[1], outside[1])
    assert lattice_nodes(torch.zeros(0, 2), 4)[0].shape == (0, 4)
    with pytest.raises(ValueError, match="at least 2 nodes along each axis, got 1"):
        lattice_nodes(torch.zeros(1, 2), 1)


def test_boxes_of_bodies(dtype):
    points = torch.tensor([[0.0, 1.0], [2.0, 5.0], [1.0, 1.0], [3.0, 3.0], [3.0, 4.0]], dtype=dtype)
    body = torch.tensor([0, 0, 0, 1, 1])
    box = BodyBox.around(points, body, 3)
    assert box.low[:2].tolist() == [[0.0, 1.0], [2.5, 3.0]]  # the second is flat
    assert box.length.tolist() == [[2.0, 4.0], [1.0, 1.0], [1.0, 1.0]]
    assert box.size.tolist() == [4.0, 1.0, 1.0]
    assert box.unit(points, body).tolist() == [[0.0, 0.0], [1.0, 1.0], [0.5, 0.0], [0.5, 0.0], [0.5, 1.0]]
    mean = mean_of_bodies(points[None], body, 3)
    assert mean.shape == (1, 3, 2)
    torch.testing.assert_close(mean[0, 1:], torch.tensor([[3.0, 3.5], [0.0, 0.0]], dtype=dtype))
