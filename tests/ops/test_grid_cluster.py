import math

import pytest
import torch

from geoops.ops import grid_cluster


def test_numbers_of_cells(device, dtype):
    pos = torch.tensor([[0.0, 0.0], [11.0, 9.0], [2.0, 8.0], [2.0, 2.0], [8.0, 3.0]], dtype=dtype, device=device)
    size = torch.full((2,), 5.0, dtype=dtype, device=device)
    assert grid_cluster(pos, size).tolist() == [0, 5, 3, 0, 1]
    zero, end = torch.zeros_like(size), torch.full_like(size, 19.0)
    assert grid_cluster(pos, size, zero, end).tolist() == [0, 6, 4, 0, 1]


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_points_share_a_number_where_they_share_a_cell(device, dtype, dim):
    pos = torch.rand(200, dim, dtype=dtype, device=device) * 4
    size, zero = torch.full((dim,), 1.0, dtype=dtype, device=device), torch.zeros(dim, dtype=dtype, device=device)
    same = (pos.floor()[:, None] == pos.floor()[None]).all(-1)
    found = grid_cluster(pos, size, zero)
    assert torch.equal(found[:, None] == found[None], same)


def test_empty(device):
    assert grid_cluster(torch.empty(0, 3, device=device), torch.ones(3, device=device)).shape == (0,)


def test_bad_input(unchecked):
    pos, size = torch.rand(5, 3), torch.ones(3)
    for wrong, error, words in [
        (lambda: grid_cluster(pos, size[:2]), ValueError, "size of shape"),
        (lambda: grid_cluster(pos, size, size[:1]), ValueError, "start of shape"),
        (lambda: grid_cluster(pos, size.double()), TypeError, "cast"),
        (lambda: grid_cluster(pos, 0 * size), ValueError, "sizes > 0"),
        (lambda: grid_cluster(pos * math.nan, size), ValueError, r"pos\[0, 0\]"),
    ]:
        with pytest.raises(error, match=words):
            wrong()


@pytest.mark.compile
def test_compiles_whole():
    pos, size = torch.rand(60, 3), torch.full((3,), 0.2)
    assert torch.equal(torch.compile(grid_cluster, fullgraph=True, dynamic=True)(pos, size), grid_cluster(pos, size))
