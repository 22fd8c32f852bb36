"""Runs the emulated kernels on tensors of more than 2^32 numbers: ``large.py library``.

Of these tensors memory holds only what is touched, and of their grids only the first and the last block run
(GEOOPS_EMULATION_ENDS), which stride through the whole. So a kernel meets the `visited` rows only, and the expected result
is that of the CPU op on those alone. Where an address wrapped at 2^31 or 2^32, a number would be missing or another written.
"""

import faulthandler
import mmap
import sys

import pytest
import torch

from geoops.ops._library import SCHEMAS

FAR, GRID, BLOCK = 2**32, 2**20, 256
LONG = FAR + 2**28 + 100
HUGE = 2**27  # numbers of a tensor that is not kept whole
ops = torch.ops.geoops


def sparse(*shape, dtype=torch.float32):
    """Returns zeros that take no memory before they are written."""
    size = torch.Size(shape).numel() * dtype.itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    return torch.frombuffer(mmap.mmap(-1, size, flags=flags), dtype=dtype).view(shape)


def allocate(name):
    """Returns what stands in for new_zeros and new_empty."""

    def rule(self, size, *, dtype=None, layout=None, device=None, pin_memory=None):
        if torch.Size(size).numel() < HUGE:
            return getattr(torch, name)(size, dtype=dtype or self.dtype)
        return sparse(*size, dtype=dtype or self.dtype)

    return rule


def visited(rows, lanes=1, block=BLOCK):
    """Returns the rows that the first and the last block see, `lanes` threads each."""
    blocks = min((rows * lanes + block - 1) // block, GRID)
    first = torch.arange(block).repeat(2).view(2, -1)
    first[1] += (blocks - 1) * block
    start = first.flatten() // lanes
    step = blocks * block // lanes
    turns = torch.arange((rows + step - 1) // step)[:, None] * step
    seen = (start + turns).flatten().unique()
    seen = seen[seen < rows]
    assert rows < FAR or (seen >= FAR).any()
    return seen


def same(name, ours, theirs):
    close = 1e-4 if ours.dtype.is_floating_point else 0
    torch.testing.assert_close(ours, theirs, rtol=close, atol=close, equal_nan=True, msg=lambda text: f"{name}: {text}")


def nowhere_else(name, out, places):
    """Requires zeros where the places would be in 31 or 32 bits, and just beside them."""
    flat = out.view(-1)
    held = places.unique()
    others = torch.cat([held + d for d in (-FAR, -FAR // 2, FAR // 2, FAR, -1, 1)] + [held & (FAR // 2 - 1)])
    others = others[(others >= 0) & (others < len(flat))]
    others = others[~torch.isin(others, held)]
    assert (flat[others] == 0).all(), name


def many_entries():
    """Reads x and the index of LONG entries."""
    e, n = LONG, 5
    rows = visited(e)
    x, index = sparse(1, e, 1), sparse(e, dtype=torch.int64)
    x[0, rows, 0], index[rows] = torch.rand(len(rows)) + 0.5, torch.randint(n, (len(rows),))
    x[0, rows, 0] = x[0, rows, 0] ** 0.01
    few, at = x[:, rows], index[rows]
    same("scatter_sum", emulated.scatter_sum(x, index, n, True), ops.scatter_sum(few, at, n, True))
    same("scatter_mul", emulated.scatter_mul(x, index, n, True), ops.scatter_mul(few, at, n, True))
    for largest in (True, False):
        out, arg = emulated.scatter_extremum(x, index, n, largest, True)
        best, where = ops.scatter_extremum(few, at, n, largest, True)
        same("scatter_extremum", out, best)
        same("positions of scatter_extremum", arg, rows[where])
    y = emulated.scatter_softmax(x, index, n, True)
    same("scatter_softmax", y[:, rows], ops.scatter_softmax(few, at, n, True))
    same("scatter_logsumexp", emulated.scatter_logsumexp(x, index, n, True), ops.scatter_logsumexp(few, at, n, True))
    same("softmax_backward", emulated.softmax_backward(y, x, index, n)[:, rows], ops.softmax_backward(y[:, rows], few, at, n))
    table = torch.randn(1, n, 1)
    same("gather", emulated.gather(table, index, True)[:, rows], ops.gather(table, at, True))
    ptr = torch.tensor([[3, FAR - 3, FAR + 4, e]])
    y = emulated.gather_csr(table[:, :3], ptr, e)[0, rows, 0]
    same("gather_csr", y, torch.where(rows < 3, 0, table[0, torch.searchsorted(ptr[0], rows, right=True) - 1, 0]))
    ptr = torch.tensor([[FAR - 3, FAR + 4, FAR + 9, FAR + 200]])
    tail = x[:, FAR - 3 : FAR + 200]
    same("segment_sum", emulated.segment_sum(x, ptr), ops.segment_sum(tail, ptr - FAR + 3))
    same("segment_mul", emulated.segment_mul(x, ptr), ops.segment_mul(tail, ptr - FAR + 3))
    best, where = ops.segment_extremum(tail, ptr - FAR + 3, True)
    out, arg = emulated.segment_extremum(x, ptr, True)
    same("segment_extremum", out, best)
    same("positions of segment_extremum", arg, where + FAR - 3)
    arg = rows[-300:].view(1, -1, 1)
    same("take", emulated.take(x, arg), x[:, arg[0, :, 0]])
    y = emulated.put(torch.rand(1, 300, 1) + 1, arg, e)
    assert (y[:, arg.flatten()] >= 1).all()
    nowhere_else("put", y, arg.flatten())
    bad = rows[rows > FAR][0]
    index[bad] = n
    with pytest.raises(IndexError, match=rf"index\[{bad}\] = {n} is outside"):
        emulated.scatter_sum(x, index, n, True)


def many_targets():
    """Writes to LONG targets."""
    n, e = LONG, 300
    rows = visited(n)
    index = rows[torch.randint(len(rows), (e,))]
    index[:20] = rows[-20:]
    held, at = index.unique(return_inverse=True)
    x = torch.rand(1, e, 1) + 1
    y = emulated.scatter_sum(x, index, n, True)
    same("scatter_sum", y[:, held], ops.scatter_sum(x, at, len(held), True))
    nowhere_else("scatter_sum", y, index)
    same("gather", emulated.gather(y, index, True), y[:, index])
    y = emulated.scatter_softmax(x, index, n, True)
    same("scatter_softmax", y, ops.scatter_softmax(x, at, len(held), True))
    same("softmax_backward", emulated.softmax_backward(y, x, index, n), ops.softmax_backward(y, x, at, len(held)))
    y = emulated.scatter_logsumexp(x, index, n, True)
    same("scatter_logsumexp", y[:, held], ops.scatter_logsumexp(x, at, len(held), True))
    ptr = emulated.index_to_ptr(index.sort()[0][None], n, True)
    places = visited(n + 1)
    same("index_to_ptr", ptr[0, places], torch.searchsorted(index.sort()[0], places).where(places < n, torch.tensor(e)))
    ptr = sparse(1, n + 1, dtype=torch.int64)  # ascends where it is visited
    ptr[0, FAR : FAR + BLOCK + 1], ptr[0, FAR + 2**28 - BLOCK :] = torch.arange(BLOCK + 1), e
    y = emulated.segment_sum(x, ptr)
    same("segment_sum", y[:, FAR : FAR + BLOCK], x[:, :BLOCK])
    nowhere_else("segment_sum", y, torch.arange(FAR, FAR + BLOCK))
    out, arg = emulated.segment_extremum(x, ptr, True)
    same("segment_extremum", out[:, FAR : FAR + BLOCK], x[:, :BLOCK])
    same("positions of segment_extremum", arg[0, FAR : FAR + BLOCK, 0], torch.arange(BLOCK))


def outer_rows():
    """Has few entries and targets in each of very many rows."""
    outer, edges, inner, n = 2**21 + 1, 40, 64, 50
    rows = visited(outer * edges, 32)
    x, index = sparse(outer, edges, inner), torch.randint(n, (edges,))
    assert x.numel() > FAR
    flat = x.view(-1, inner)
    flat[rows] = torch.rand(len(rows), inner)
    to = rows // edges * n + index[rows % edges]
    held, at = to.unique(return_inverse=True)
    y = emulated.scatter_sum(x, index, n, True).view(-1, inner)
    same("scatter_sum", y[held], ops.scatter_sum(flat[rows][None], at, len(held), True)[0])
    nowhere_else("scatter_sum", y, (held[:, None] * inner + torch.arange(inner)).flatten())
    same("gather", emulated.gather(y.view(outer, n, inner), index, True).view(-1, inner)[rows], y[to])
    softmax = emulated.scatter_softmax(x, index, n, True).view(-1, inner)
    same("scatter_softmax", softmax[rows], ops.scatter_softmax(flat[rows][None], at, len(held), True)[0])
    ptr = torch.arange(n + 1).clamp(max=edges)[None]
    segments = visited(outer * n, 32)
    own = segments[segments % n < edges]
    same("segment_sum", emulated.segment_sum(x, ptr).view(-1, inner)[own], flat[own // n * edges + own % n])


def edges():
    """Takes sources and targets beyond 2^32 numbers, and then as many edges."""
    heads, channels, e = 2, 8, 300
    nodes = 2**28 + 1000
    near = visited(nodes * heads, channels) // heads  # targets that the last kernel of attention visits
    src, dst = torch.randint(nodes - 500, nodes, (e,)), near[torch.randint(len(near), (e,))]
    dst[:20] = near[-20:]
    x = sparse(nodes, heads, channels)
    x[src] = torch.rand(e, heads, channels) + 1
    w, few = torch.rand(e, heads) + 1, x[src]
    held, at = dst.unique(return_inverse=True)
    own = torch.arange(e)
    y = emulated.edge_sum(x, w, src, dst, nodes, True)
    assert y.numel() > FAR
    same("edge_sum", y[held], ops.edge_sum(few, w, own, at, len(held), True))
    nowhere_else("edge_sum", y, (held[:, None] * heads * channels + torch.arange(heads * channels)).flatten())
    same("edge_dot", emulated.edge_dot(x, y, src, dst, True), ops.edge_dot(few, y[held], own, at, True))
    y, total = emulated.edge_attention(w, x, src, dst, nodes, True)
    expected = ops.edge_attention(w, few, own, at, len(held), True)
    same("edge_attention", y[held], expected[0])
    same("logsumexp of edge_attention", total[held], expected[1])
    e = LONG
    seen = visited(e)
    src, dst, w = sparse(e, dtype=torch.int32), sparse(e, dtype=torch.int32), sparse(e, 1)
    src[seen], dst[seen] = torch.randint(7, (2, len(seen)), dtype=torch.int32)
    w[seen] = torch.rand(len(seen), 1)
    x, y = torch.randn(2, 7, 1, 1)
    few = w[seen], src[seen], dst[seen]
    same("edge_sum", emulated.edge_sum(x, w, src, dst, 7, True), ops.edge_sum(x, *few, 7, True))
    same("edge_dot", emulated.edge_dot(x, y, src, dst, True)[seen], ops.edge_dot(x, y, *few[1:], True))
    for ours, theirs in zip(
        emulated.edge_attention(w, x, src, dst, 7, True), ops.edge_attention(few[0], x, *few[1:], 7, True), strict=True
    ):
        same("edge_attention", ours, theirs)


def attention():
    """Takes queries, and then shapes, beyond 2^32 numbers."""
    queries, heads, channels, tokens = 2**26 + 200, 1, 64, 5
    q, x = sparse(1, queries, heads, channels), sparse(1, queries, 3)
    some = torch.arange(2**26, 2**26 + 2)
    q[:, some], x[:, some] = torch.randn(1, 2, heads, channels), torch.randn(1, 2, 3)
    k, v = torch.randn(2, 1, heads, tokens, channels)
    rest = torch.randn(1, tokens, 3), torch.randn(1, tokens, 3), torch.randn(1, tokens), torch.randn(heads, 5)
    y = emulated.relative_attention(q, k, v, x, *rest)
    same("relative_attention", y[:, some], ops.relative_attention(q[:, some], k, v, x[:, some], *rest))
    shapes = 2**24 + 5
    some = visited(shapes, 1, 1)
    q, x = sparse(shapes, 1, heads, channels), sparse(shapes, 1, 3)
    k, v = (sparse(shapes, heads, tokens, channels) for _ in range(2))
    y, normal, offset = sparse(shapes, tokens, 3), sparse(shapes, tokens, 3), sparse(shapes, tokens)
    for t in (q, k, v, x, y, normal, offset):
        t[some] = torch.randn(len(some), *t.shape[1:])
    everything = (q, k, v, x, y, normal, offset)
    ours = emulated.relative_attention(*everything, rest[-1])
    same("relative_attention", ours[some], ops.relative_attention(*(t[some] for t in everything), rest[-1]))


def decompositions():
    """Takes matrices beyond 2^32 numbers."""
    for d in (2, 3):
        count = {2: 2**30 + 1000, 3: 2**29}[d]
        some = visited(count)
        assert some.max() * d * d >= FAR
        F, g, s = sparse(count, d, d), sparse(count, d, d), sparse(count, d)
        F[some] = torch.randn(len(some), d, d) + 3 * torch.arange(d).float().diag()
        g[some], s[some] = torch.randn(len(some), d, d), torch.randn(len(some), d)
        U, sigma, V = emulated.svd(F, True)
        same("svd", U[some] * sigma[some][:, None] @ V[some].mT, F[some])
        R, S = emulated.polar(F)
        same("polar", R[some] @ S[some], F[some])
        w, Q = emulated.eigh(F)
        same("eigh", Q[some] * w[some][:, None] @ Q[some].mT, (F[some] + F[some].mT) / 2)
        w[some], sigma[some] = w[some].mul(4).round() / 4, sigma[some].mul(4).round() / 4
        for name, *arguments in (
            ("svd_backward", U, sigma, V, g, s, F),
            ("polar_backward", R, S, g, F),
            ("eigh_backward", w, Q, s, g),
            ("singular_value_map", F, s, U, V, F, g),
            ("singular_value_map_backward", g, U, V, F, g),
        ):
            ours, theirs = getattr(emulated, name)(*arguments), getattr(ops, name)(*(t[some] for t in arguments))
            for a, b in zip(*((t if isinstance(t, tuple) else (t,)) for t in (ours, theirs)), strict=True):
                same(name, a[some], b)


CASES = [many_entries, many_targets, outer_rows, edges, attention, decompositions]

if __name__ == "__main__":
    faulthandler.enable()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for _name, _schema in SCHEMAS.items():
        torch.library.define(f"geoops_emulated::{_name}", _schema)
    torch.ops.load_library(sys.argv[1])
    emulated = torch.ops.geoops_emulated
    _overrides = torch.library.Library("aten", "IMPL")
    for _name in ("empty", "zeros"):
        _overrides.impl(f"new_{_name}", allocate(_name), "CPU")
    for _case in CASES:
        print(_case.__name__, flush=True)  # noqa: T201 - the last line tells where it stopped
        _case()
