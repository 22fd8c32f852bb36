"""Compares torch.ops.geoops_emulated with torch.ops.geoops on random and empty inputs: ``compare.py library seed``."""

import faulthandler
import sys

import torch

from geoops.ops._library import SCHEMAS

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
INDICES = [torch.int32, torch.int64]


def numbers(*shape, dtype):
    if dtype.is_floating_point:
        return torch.randn(*shape).to(dtype)
    return torch.randint(0 if dtype == torch.uint8 else -9, 10, shape).to(dtype)


def indices(bound, count, dtype):
    return torch.randint(max(bound, 1), (count,)).to(dtype)


def both(name, *arguments, error=None):
    """Runs an op on CPU and emulated; both must agree, or both raise the same."""
    results = []
    for space in (torch.ops.geoops, torch.ops.geoops_emulated):
        try:
            out = getattr(space, name)(*arguments)
            results.append(out if isinstance(out, (tuple, list)) else (out,))
        except (IndexError, ValueError, RuntimeError) as raised:
            results.append((type(raised), str(raised).splitlines()[0]))
    expected, actual = results
    if isinstance(expected[0], type) or isinstance(actual[0], type):
        assert expected == actual, (name, expected, actual)
        assert error is not None, (name, expected)
        assert expected[0] is error, (name, expected)
        return
    assert error is None, name
    for a, b in zip(actual, expected, strict=True):
        close = {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float32: 2e-5}.get(b.dtype, 1e-10)
        torch.testing.assert_close(a, b, rtol=close, atol=close, equal_nan=True, msg=lambda text: f"{name}: {text}")


SIZES = [
    (40, 5, 7, 1, 3),
    (150, 9, 4, 2, 17),
    (33, 5, 7, 1, 1),
    (3, 2, 3, 3, 40),
    (0, 5, 7, 1, 3),
    (5, 2, 2, 2, 0),
    (0, 0, 0, 0, 0),
]


def edge_ops(dtype, index):
    for edges, sources, targets, heads, channels in SIZES:
        x, y = numbers(sources, heads, channels, dtype=dtype), numbers(targets, heads, channels, dtype=dtype)
        w = numbers(edges, heads, dtype=dtype)
        src, dst = indices(sources, edges, index), indices(targets, edges, index)
        for check in (True, False):
            both("edge_sum", x, w, src, dst, targets, check)
            both("edge_dot", x, y, src, dst, check)
            both("edge_attention", w, x, src, dst, targets, check)
            both("edge_attention", special(w.clone()), x, src, dst, targets, check)
        if edges > 5:
            for wrong in (src, dst):
                for at, bad in ((edges // 2, -1), (2, 1000)):
                    wrong[at] = bad
                    both("edge_sum", x, w, src, dst, targets, True, error=IndexError)
                    both("edge_dot", x, y, src, dst, True, error=IndexError)
                    both("edge_attention", w, x, src, dst, targets, True, error=IndexError)
                    torch.ops.geoops_emulated.edge_sum(x, w, src, dst, targets, False)
                    torch.ops.geoops_emulated.edge_dot(x, y, src, dst, False)
                    torch.ops.geoops_emulated.edge_attention(w, x, src, dst, targets, False)


def relative_attention(dtype, index):
    if dtype not in (torch.float32, torch.float64) or index != torch.int64:
        return
    for shapes, queries, heads, tokens, channels, dim in [
        (2, 5, 2, 7, 8, 2),
        (1, 130, 1, 40, 20, 3),
        (1, 3, 2, 33, 64, 3),
        (0, 3, 1, 2, 4, 2),
    ]:
        both(
            "relative_attention",
            numbers(shapes, queries, heads, channels, dtype=dtype),
            *(numbers(shapes, heads, tokens, channels, dtype=dtype) for _ in range(2)),
            numbers(shapes, queries, dim, dtype=dtype),
            *(numbers(shapes, tokens, dim, dtype=dtype) for _ in range(2)),
            numbers(shapes, tokens, dtype=dtype),
            numbers(heads, 5, dtype=dtype),
        )


def special(x):
    """Sets some entries to values that orderings and sums must get right."""
    flat = x.view(-1)
    if x.dtype.is_floating_point:
        for value in (torch.nan, torch.inf, -torch.inf, 0.0, -0.0):
            flat[torch.randint(max(len(flat), 1), (len(flat) // 12,))] = value
    else:
        flat[: len(flat) // 9] = torch.iinfo(x.dtype).min
        flat[len(flat) // 2 : len(flat) // 2 + len(flat) // 9] = torch.iinfo(x.dtype).max
    return x


LAYOUTS = [(1, 300, 5, 1), (2, 40, 7, 3), (3, 9, 4, 33), (1, 20, 3, 16), (2, 0, 3, 2), (2, 5, 3, 0), (0, 4, 2, 1)]


def scatter(dtype, index):
    for outer, edges, n, inner in LAYOUTS:
        x, i = numbers(outer, edges, inner, dtype=dtype), indices(n, edges, index)
        both("scatter_sum", x, i, n, True)
        both("scatter_mul", x[:, : n * 5], i[: n * 5], n, False)
        both("gather", numbers(outer, n, inner, dtype=dtype), i, True)
        for largest in (True, False):
            y = special(x.clone())
            both("scatter_extremum", y, i, n, largest, True)
        arg = torch.ops.geoops.scatter_extremum(x, i, n, True, True)[1]
        both("take", x, arg)
        both("put", numbers(outer, n, inner, dtype=dtype), arg, edges)
        if edges > 5:
            i[edges // 2] = n
            for name, more in (("scatter_sum", ()), ("scatter_mul", ()), ("scatter_extremum", (True,))):
                both(name, x, i, n, *more, True, error=IndexError)
                both(name, x, i, n, *more, False)
            both("gather", numbers(outer, n, inner, dtype=dtype), i, True, error=IndexError)
            both("gather", numbers(outer, n, inner, dtype=dtype), i, False)


def segments(dtype, index):
    for outer, edges, n, inner in LAYOUTS:
        x = numbers(outer, edges, inner, dtype=dtype)
        for rows in {1, outer} - {0}:
            ptr = torch.randint(edges + 1, (rows, n + 1)).sort()[0]
            both("segment_sum", x, ptr)
            both("segment_mul", x, ptr.clamp(max=5))
            for largest in (True, False):
                both("segment_extremum", special(x.clone()), ptr, largest)
            both("gather_csr", numbers(outer, n, inner, dtype=dtype), ptr, edges)
            if edges > 5 and n > 2:
                falls, far = ptr.clone(), ptr.clone()
                falls[0, 1:3] = torch.tensor([2, 1])
                falls[0, 3:] = edges
                far[0, 1] = edges + 1
                both("segment_sum", x, falls, error=ValueError)
                both("segment_extremum", x, far, True, error=IndexError)
                both("gather_csr", numbers(outer, n, inner, dtype=dtype), far, edges, error=IndexError)
            i = torch.randint(max(n, 1), (rows, edges)).sort()[0].to(index)
            both("index_to_ptr", i, n, True)
            both("index_to_ptr", i, n, False)
            both("index_to_ptr", torch.randint(-1, n + 2, (rows, edges)).sort()[0].to(index), n, False)
            if edges > 5:
                i[-1, 3] = -1
                both("index_to_ptr", i, n, True, error=IndexError)
                i[-1, 2:4] = torch.tensor([n - 1, 0])
                i[-1, :2] = 0
                both("index_to_ptr", i, n, True, error=ValueError)
                if rows > 1:  # bounds come before order, whatever the rows
                    i[0, 2:4], i[-1, 4] = torch.tensor([n - 1, 0]), n
                    both("index_to_ptr", i, n, True, error=IndexError)
                    late = ptr.clone()
                    late[0, 1:3], late[-1, -1] = torch.tensor([2, 1]), edges + 1
                    both("segment_sum", x, late, error=IndexError)
                out = torch.ops.geoops_emulated.index_to_ptr(i.flip(1), n, False)
                assert (out.diff() >= 0).all()
                assert ((out >= 0) & (out <= edges)).all()


def softmax(dtype, index):
    for outer, edges, n, inner in LAYOUTS:
        x, i = numbers(outer, edges, inner, dtype=dtype), indices(n, edges, index)
        for y in (x, special(x.clone())):
            both("scatter_softmax", y, i, n, True)
            both("scatter_logsumexp", y, i, n, True)
        both("softmax_backward", x, numbers(outer, edges, inner, dtype=dtype), i, n)
        if edges > 5:
            i[edges // 2] = n
            both("scatter_softmax", x, i, n, True, error=IndexError)
            both("scatter_softmax", x, i, n, False)
            both("scatter_logsumexp", x, i, n, False)


def decompositions(dtype, index):
    if dtype not in (torch.float32, torch.float64) or index != torch.int64:
        return
    ops, close = torch.ops.geoops_emulated, 1e-5 if dtype == torch.float32 else 1e-13
    for count, d in [(300, 2), (300, 3), (1, 2), (1, 3), (0, 2), (0, 3)]:
        Q, R = (torch.linalg.qr(torch.randn(count, d, d, dtype=torch.float64))[0] for _ in range(2))
        apart = (torch.tensor([3.0, 2.0, 1.0])[:d].double() + 0.3 * torch.rand(count, d).double())[:, None]
        for F in ((Q * apart @ R).to(dtype), (Q * apart @ Q.mT).to(dtype)):  # far from equal values: all is unique
            for name, more in (("svd", (True,)), ("svd", (False,)), ("polar", ()), ("eigh", ())):
                both(name, F[::2], *more)
        g, h, normal = (numbers(count, d, d, dtype=dtype) for _ in range(3))
        v = numbers(count, d, dtype=dtype)
        both("polar_backward", *torch.ops.geoops.polar((Q * apart @ R).to(dtype)), g, h)
        equal, rank_one, zero = (Q * 2 @ R).to(dtype), normal[..., :1] * normal[..., :1, :], normal * 0
        for F in (normal, equal, rank_one, zero, normal * 1e30, normal * 1e-38):
            scale = F.abs().amax((-2, -1), keepdim=True).clamp(min=torch.finfo(dtype).tiny)
            U, sigma, V = ops.svd(F, True)
            rotation, stretch = ops.polar(F)
            w, X = ops.eigh(F)
            for ours, theirs in (
                (U * sigma[:, None] @ V.mT, F),
                (rotation @ stretch, F),
                (X * w[:, None] @ X.mT, F / 2 + F.mT / 2),
                *((x.mT @ x * scale, torch.eye(d, dtype=dtype) * scale) for x in (U, V, rotation, X)),
            ):
                torch.testing.assert_close(ours / scale, theirs / scale, rtol=close, atol=close)
            sigma, w = (sigma / scale[..., 0]).mul(16).round() / 16, (w / scale[..., 0]).mul(16).round() / 16  # equal or far apart
            both("svd_backward", U, sigma, V, g, v, h)
            both("eigh_backward", w, X, v, g)
            both("polar_backward", rotation, torch.diag_embed(sigma), g, h)
            both("singular_value_map", F, v, U, V, g, h)
            both("singular_value_map_backward", normal, U, V, g, h)
        broken = normal.clone()
        broken[: count // 2, 0, 0] = torch.nan
        both("svd", broken[: count // 2], True)
        both("svd", normal[..., :1], True, error=ValueError)
        both("eigh", normal.half(), error=ValueError)
        if count:
            both("polar_backward", normal, normal[1:], g, h, error=ValueError)
            both("svd_backward", normal, v, normal.half(), g, v, h, error=ValueError)


scatter.integers = segments.integers = True
CASES = [edge_ops, relative_attention, scatter, segments, softmax, decompositions]

if __name__ == "__main__":
    faulthandler.enable()
    torch.set_num_threads(1)
    torch.manual_seed(int(sys.argv[2]))
    for _name, _schema in SCHEMAS.items():
        torch.library.define(f"geoops_emulated::{_name}", _schema)
    torch.ops.load_library(sys.argv[1])
    for _case in CASES:
        for _dtype in FLOATS + (INTEGERS if getattr(_case, "integers", False) else []):
            for _index in INDICES:
                print(_case.__name__, _dtype, _index, flush=True)  # noqa: T201 - the last line tells where it stopped
                _case(_dtype, _index)
