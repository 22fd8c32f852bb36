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
        torch.testing.assert_close(a, b, rtol=close, atol=close, equal_nan=True, msg=lambda text: f"{name}: {text}")  # noqa: B023


SIZES = [(40, 5, 7, 1, 3), (700, 9, 4, 2, 17), (33, 5, 7, 1, 1), (3, 2, 3, 3, 40), (0, 5, 7, 1, 3), (5, 2, 2, 2, 0), (0, 0, 0, 0, 0)]


def edge_ops(dtype, index):
    for edges, sources, targets, heads, channels in SIZES:
        x, y = numbers(sources, heads, channels, dtype=dtype), numbers(targets, heads, channels, dtype=dtype)
        w = numbers(edges, heads, dtype=dtype)
        src, dst = indices(sources, edges, index), indices(targets, edges, index)
        for check in (True, False):
            both("edge_sum", x, w, src, dst, targets, check)
            both("edge_dot", x, y, src, dst, check)
            both("edge_attention", w, x, src, dst, targets, check)
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
    for shapes, queries, heads, tokens, channels, dim in [(2, 5, 2, 7, 8, 2), (1, 130, 1, 40, 20, 3), (1, 3, 2, 33, 64, 3), (0, 3, 1, 2, 4, 2)]:
        both(
            "relative_attention",
            numbers(shapes, queries, heads, channels, dtype=dtype),
            *(numbers(shapes, heads, tokens, channels, dtype=dtype) for _ in range(2)),
            numbers(shapes, queries, dim, dtype=dtype),
            *(numbers(shapes, tokens, dim, dtype=dtype) for _ in range(2)),
            numbers(shapes, tokens, dtype=dtype),
            numbers(heads, 5, dtype=dtype),
        )


CASES = [edge_ops, relative_attention]

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
                print(_case.__name__, _dtype, _index, flush=True)
                _case(_dtype, _index)
