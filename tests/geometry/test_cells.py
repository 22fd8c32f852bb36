"""Lists of cells of mixed kinds."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geoops.geometry import Cells, known_kinds

SIZES = {"vertex": 1, "line": 2, "triangle": 3, "quad": 4, "tetra": 4, "hexahedron": 8, "triangle6": 6}


@st.composite
def block_lists(draw):
    blocks = []
    for _ in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from([*SIZES, "polygon"]))
        size = draw(st.integers(3, 7)) if name == "polygon" else SIZES[name]
        rows = draw(st.integers(0, 4))
        blocks.append((name, torch.randint(0, 50, (rows, size))))
    return blocks


@given(block_lists())
def test_blocks_and_cells_are_the_same(blocks):
    cells = Cells.from_blocks(blocks)
    assert len(cells) == sum(len(nodes) for _, nodes in blocks)
    again = Cells.from_blocks(cells.blocks())
    for name in ("kinds", "offsets", "connectivity"):
        assert torch.equal(getattr(cells, name), getattr(again, name))
    # Runs are as long as can be: neighbours differ in kind or size.
    runs = cells.blocks()
    assert all(a[0] != b[0] or a[1].shape[1] != b[1].shape[1] for a, b in pairwise(runs))
    flat = [row.tolist() for _, nodes in blocks for row in nodes]
    assert [cells.connectivity[a:b].tolist() for a, b in zip(cells.offsets[:-1], cells.offsets[1:], strict=True)] == flat


@given(block_lists(), st.randoms(use_true_random=False))
def test_groups_and_selections_keep_each_cell(blocks, random):
    cells = Cells.from_blocks(blocks)
    groups = cells.groups()
    numbers = torch.cat([torch.zeros(0, dtype=torch.int64), *(which for _, which, _ in groups)])
    assert torch.equal(numbers.sort().values, torch.arange(len(cells)))
    for name, which, nodes in groups:
        for cell, row in zip(which.tolist(), nodes, strict=True):
            a, b = cells.offsets[cell : cell + 2]
            assert torch.equal(cells.connectivity[a:b], row)
            assert cells.select(torch.tensor([cell])).counts() == {name: 1}
    order = torch.tensor(random.sample(range(len(cells)), len(cells)), dtype=torch.int64)
    back = cells.select(order).select(order.argsort())
    assert torch.equal(back.connectivity, cells.connectivity)
    assert torch.equal(back.kinds, cells.kinds)
    assert torch.equal(cells.owner(), torch.arange(len(cells)).repeat_interleave(cells.sizes()))


def test_of_kind_counts_and_dim():
    cells = Cells.from_blocks(
        [
            ("triangle", torch.tensor([[0, 1, 2]])),
            ("line", torch.tensor([[3, 4]])),
            ("triangle", torch.tensor([[5, 6, 7]])),
        ]
    )
    assert cells.of_kind("triangle").tolist() == [[0, 1, 2], [5, 6, 7]]
    assert cells.of_kind("quad").shape == (0, 4)
    assert cells.counts() == {"line": 1, "triangle": 2}
    assert cells.dim == 2
    assert Cells.empty().dim == 0
    assert repr(cells) == "Cells(1 line, 2 triangle)"
    assert repr(Cells.empty()) == "Cells(none)"
    assert Cells.from_blocks({"triangle": torch.zeros(2, 3, dtype=torch.int32)}).connectivity.dtype == torch.int64
    assert {"triangle", "polygon", "hexahedron27"} <= set(known_kinds())


def make(kinds, offsets, nodes):
    return Cells(torch.tensor(kinds, dtype=torch.uint8), torch.tensor(offsets), torch.tensor(nodes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5], [0, 3, 6], [0, 1, 2, 3, 4, 5]), "1 cells need 2 offsets, got 3"),
        (([5], [0, 2], [0, 1, 2]), "rise from 0 to the length of connectivity"),
        (([5, 5], [0, 0, 3], [0, 1, 2]), "rise from 0"),
        (([5], [1, 3], [0, 1, 2]), "start at 1"),
        (([9], [0, 3], [0, 1, 2]), "a quad has 4 nodes, got one with 3"),
        (([200], [0, 3], [0, 1, 2]), "code 200 is not supported"),
        (([42], [0, 3], [0, 1, 2]), "polyhedra are not supported; split them into tetrahedra"),
        (([5], [0, 3], [0, -1, 2]), "cell 0 refers to the absent point -1"),
    ],
)
def test_impossible_cells(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments)


def test_impossible_blocks():
    with pytest.raises(ValueError, match="unknown kind of cell 'pentagon'; geoops knows vertex"):
        Cells.from_blocks({"pentagon": torch.zeros(1, 5, dtype=torch.int64)})
    with pytest.raises(ValueError, match="a triangle has 3 nodes, got a block of shape"):
        Cells.from_blocks({"triangle": torch.zeros(1, 4, dtype=torch.int64)})
    with pytest.raises(TypeError, match="must be an integer tensor"):
        Cells.from_blocks({"triangle": torch.zeros(1, 3)})
    with pytest.raises(TypeError):
        Cells(torch.zeros(1), torch.tensor([0, 1]), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"polygon.*\[3, 4\] nodes.*groups"):
        Cells.from_blocks([("polygon", torch.arange(3)[None]), ("polygon", torch.arange(4)[None])]).of_kind("polygon")
