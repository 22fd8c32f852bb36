"""Tensors of more than 2^31 numbers, whose positions do not fit into 32 bits."""

import mmap

import pytest
import torch

from geoops.ops import edge_attention, edge_sum, gather_csr, info, scatter, scatter_logsumexp, segment_csr

ROWS, WIDTH, TARGETS = 2200, 1_000_000, 3  # row 2148 is the first behind 2^31
LONG = 2**31 + 1000


def available():
    """Returns how many bytes of memory are free."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(info().cpu != "native", reason="plain torch makes copies of the index for each number"),
]


@pytest.fixture
def gigabytes():
    def need(count):
        if available() < count * 1e9:
            pytest.skip(f"needs {count} GB of free memory, here are {available() / 1e9:.1f}")

    return need


def sparse(*shape, dtype):
    """Returns zeros that take no memory before they are written."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    return torch.frombuffer(mmap.mmap(-1, torch.Size(shape).numel() * dtype.itemsize, flags=flags), dtype=dtype).view(shape)


def table(dtype):
    """Returns (1, ROWS, WIDTH) numbers, all different in some way from those one row or 2^31 places away."""
    x = torch.empty(1, ROWS, WIDTH, dtype=dtype)
    pattern = (torch.arange(WIDTH) * 7 % 11 - 5).to(dtype)
    for e in range(ROWS):
        torch.add(pattern.roll(e % 13), e * 3 % 5, out=x[0, e])
    return x


def test_rows_of_bytes(gigabytes):
    gigabytes(6)
    x, index = table(torch.int8), torch.arange(ROWS) * 5 % TARGETS
    total = torch.zeros(TARGETS, WIDTH, dtype=torch.int32)
    for e in range(ROWS):
        total[index[e]] += x[0, e]
    assert torch.equal(scatter(x, index, 1, TARGETS)[0], total.to(torch.int8))  # wraps
    x[0, -1], x[0, 2148, : WIDTH // 2] = 100, 101
    most, where = scatter(x, index, 1, TARGETS, "max", return_arg=True)
    assert (where[0, index[-1]] == ROWS - 1)[WIDTH // 2 :].all()
    assert (where[0, index[2148], : WIDTH // 2] == 2148).all()
    assert (most[0, index[2148], : WIDTH // 2] == 101).all()
    ptr = torch.tensor([0, 2147, 2149, ROWS])
    most, where = segment_csr(x, ptr[None], "max", return_arg=True)
    assert (where[0, 1, : WIDTH // 2] == 2148).all()
    assert (where[0, 2] == ROWS - 1).all()
    assert torch.equal(segment_csr(x, ptr[None])[0, 1], x[0, 2147] + x[0, 2148])
    few = x[:, :TARGETS].clone()
    del x
    out = gather_csr(few, ptr[None])
    assert out.shape == (1, ROWS, WIDTH)
    for e in (0, 2146, 2147, 2148, 2149, ROWS - 1):
        assert torch.equal(out[0, e], few[0, (e >= 2147) + (e >= 2149)])
    del out
    at = torch.tensor([ROWS - 1, 2, 2148])
    out = scatter(few, at, 1, ROWS)
    assert torch.equal(out[:, at], few)
    assert not out[0, [0, 1, 3, 2147, 2149, ROWS - 2]].any()


def test_rows_of_16_bits(gigabytes):
    gigabytes(7)
    x, index = table(torch.bfloat16), torch.arange(ROWS) * 5 % TARGETS
    total = torch.zeros(TARGETS, WIDTH)
    for e in range(ROWS):
        total[index[e]] += x[0, e]
    assert torch.equal(scatter(x, index, 1, TARGETS)[0], total.bfloat16())
    x[0, 2148:] += 40
    out = scatter_logsumexp(x[..., :], index, 1, TARGETS)
    late = x[0, 2148:].float()
    for i in range(TARGETS):
        torch.testing.assert_close(out[0, i], late[index[2148:] == i].logsumexp(0).bfloat16(), rtol=1e-2, atol=0)


def test_a_line_of_bytes():
    x, index = sparse(LONG, dtype=torch.int8), sparse(LONG, dtype=torch.int32)
    x[5], x[-3], x[-2], index[-2], index[5] = 3, 5, 9, 1, 2
    assert scatter(x, index, dim_size=4).tolist() == [5, 9, 3, 0]
    most, where = scatter(x, index, dim_size=4, reduce="max", return_arg=True)
    assert (most.tolist(), where.tolist()) == ([5, 9, 3, 0], [LONG - 3, LONG - 2, 5, LONG])
    ptr = torch.tensor([0, LONG - 2, LONG])
    assert segment_csr(x, ptr).tolist() == [8, 9]
    most, where = segment_csr(x, ptr, "max", return_arg=True)
    assert (most.tolist(), where.tolist()) == ([5, 9], [LONG - 3, LONG - 2])


def test_edges_of_far_nodes():
    nodes, channels = 2**26 + 500, 32
    x, out = sparse(nodes, channels, dtype=torch.bfloat16), None
    src, dst, w = torch.tensor([nodes - 1, 3, nodes - 2]), torch.tensor([1, 1, 0]), torch.tensor([2.0, 1.0, 3.0]).bfloat16()
    x[src] = torch.randn(3, channels).bfloat16()
    few = x[src].float()
    out = edge_sum(x, w, src, dst, 2)
    torch.testing.assert_close(out.float(), torch.stack([3 * few[2], 2 * few[0] + few[1]]), rtol=1e-2, atol=1e-2)
    share = w[:2].float().softmax(0)
    expected = torch.stack([few[2], share[0] * few[0] + share[1] * few[1]])
    torch.testing.assert_close(edge_attention(w, x, src, dst, 2).float(), expected, rtol=1e-2, atol=1e-2)
