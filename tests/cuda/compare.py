"""Compares torch.ops.geoops_emulated with torch.ops.geoops on random and empty inputs: ``compare.py library seed``."""

import faulthandler
import math
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


def both(name, *arguments, error=None, exact=False, scaled=False):
    """Runs an op on CPU and emulated; both must agree, if `exact` in every bit, or both raise the same.

    If `scaled`, differences are compared with the largest number of a result.
    """
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
        close = 0 if exact else {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float32: 2e-5}.get(b.dtype, 1e-10)
        scale = float(b.nan_to_num().abs().max()) if scaled and b.numel() else 1.0
        torch.testing.assert_close(a, b, rtol=close, atol=close * scale, equal_nan=True, msg=lambda text: f"{name}: {text}")


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


def strains(dtype, index):
    if dtype not in (torch.float32, torch.float64) or index != torch.int64:
        return
    for count, d in [(300, 2), (300, 3), (1, 3), (0, 2), (0, 3)]:
        A, B, g, h = (numbers(count, d, d, dtype=dtype) for _ in range(4))
        for sides in ((False, False), (False, True), (True, False), (True, True)):
            both("small_matmul", A, B, *sides)
        Q, R = (torch.linalg.qr(torch.randn(count, d, d, dtype=torch.float64))[0] for _ in range(2))
        apart = (torch.tensor([3.0, 2.0, 1.0])[:d].double() + 0.3 * torch.rand(count, d).double())[:, None]
        F, S = (Q * apart @ R).to(dtype), (Q * apart.log() @ Q.mT).to(dtype)  # far from equal values: all is unique
        both("strain_features", F)
        both("log_strain", F, 1.5)
        both("exp_strain", S, F)
        features, rotation, U = torch.ops.geoops.strain_features(F)
        both("strain_features_backward", F, features, rotation, U, numbers(*features.shape, dtype=dtype), g)
        _, _, U, sigma, V = torch.ops.geoops.log_strain(F, 0.0)
        for least in (0.0, 1.5, 5.0):
            both("log_strain_backward", U, sigma, V, g, h, least)
            both("log_strain_backward", U, sigma.round(), V, g, h, least)
        _, w, X = torch.ops.geoops.exp_strain(S, F)
        for values in (w, w.round(), w * 0):
            both("exp_strain_backward", F, values, X, g)
        if count > 1:
            both("small_matmul", A, B[1:], False, False, error=ValueError)
            both("exp_strain", A, B[1:], error=ValueError)
            both("log_strain_backward", U, sigma, V, g, h.half(), 0.0, error=ValueError)
            both("strain_features_backward", F, features[1:], rotation, U, features, g, error=ValueError)


def cloud(count, dim, kind, dtype):
    """Points spread evenly, on a lattice with many equal distances, on one place, in clusters, or so far that squares overflow."""
    x = torch.rand(count, dim).to(dtype)
    if kind == "lattice":
        return (x * 4).round() / 4
    if kind == "place":
        return torch.full_like(x, 0.3)
    if kind == "clusters":
        return torch.randint(3, (count, 1)).to(dtype) * 5 + x * 0.01
    return (x - 0.5) * (torch.finfo(dtype).max if kind == "far" else 1)


def batch_of(count, examples, index):
    return (torch.randint(examples, (count,)) * 3).sort()[0].to(index)


def neighbours(dtype, index):
    if dtype not in (torch.float32, torch.float64):
        return
    inf = math.inf
    for n, m, dim, kind, examples, periodic in [
        (90, 40, 1, "even", 0, None),
        (150, 60, 2, "even", 3, [0.4, inf]),
        (300, 50, 3, "even", 0, None),
        (200, 40, 3, "even", 5, [0.7, 1.1, 0.2]),
        (80, 30, 2, "lattice", 4, None),
        (90, 30, 3, "lattice", 0, [1.0, 0.75, inf]),
        (70, 20, 3, "place", 2, None),
        (120, 30, 5, "clusters", 0, None),
        (40, 20, 4, "even", 40, [0.5] * 4),
        (60, 20, 3, "far", 0, None),
        (1, 3, 2, "even", 0, None),
        (0, 3, 2, "even", 2, [-1.0, 0.0]),
        (3, 0, 2, "even", 2, None),
        (0, 0, 70, "even", 0, None),
        (20, 9, 70, "even", 0, None),
    ]:
        x, y = cloud(n, dim, kind, dtype), cloud(m, dim, kind, dtype)
        bx, by = (batch_of(count, examples, index) if examples else None for count in (n, m))
        box = None if periodic is None else torch.tensor(periodic, dtype=torch.float64)
        for k, r in [(1, inf), (5, inf), (n + 3, inf), (0, inf), (-1, 0.0), (-1, 0.25), (3, 0.4), (-1, 1e300)]:
            both("neighbours", x, y, bx, by, box, k, r, True, exact=True)
            both("neighbours", x, x, bx, bx, box, k, r, False, exact=True)
        both("neighbours", x, x.clone(), bx, bx, box, 4, inf, False, exact=True)
        if n and not examples:
            both("nearest", y, x, by, bx, box, exact=True)
    x, y = cloud(50, 3, "even", dtype), cloud(40, 3, "even", dtype)
    bx, by = torch.zeros(50, dtype=index), torch.zeros(40, dtype=index)
    by[30:] = 1
    both("nearest", x, y, bx, by, None, exact=True)
    both("nearest", y, x, by, bx, None, error=ValueError)
    for value in (math.nan, inf, -inf):
        bad = x.clone()
        bad[17, 1] = bad[30, 0] = value
        both("neighbours", bad, y, None, None, None, 1, inf, True, error=ValueError)
        both("neighbours", x, bad, None, None, None, -1, 0.1, True, error=ValueError)
        both("nearest", bad, y, None, None, None, error=ValueError)
        both("fps", bad, None, None, 0.5, -1, error=ValueError)
    falls, below = bx.clone(), bx - 1
    falls[20], falls[40] = 3, -5
    for arguments in [
        (x, y, falls, by, None, 1, inf, True),
        (x, y, bx, falls[:40], None, 1, inf, True),
        (x, y, below, by, None, 1, inf, True),
        (x, y, bx, by[:9], None, 1, inf, True),
        (x, y, bx[:, None], by, None, 1, inf, True),
        (x, y, bx, None, None, 1, inf, True),
        (x, y, bx.float(), by, None, 1, inf, True),
        (x, y, None, None, torch.ones(2).double(), 1, inf, True),
        (x, y, None, None, torch.ones(3), 1, inf, True),
        (x, y, None, None, torch.tensor([1.0, 0.0, 2.0]).double(), 1, inf, True),
        (x, y, None, None, torch.tensor([1.0, 2.0, math.nan]).double(), 1, inf, True),
        (x, y, None, None, None, -1, -1.0, True),
        (x, y, None, None, None, -1, math.nan, True),
        (x, y[:, :2], None, None, None, 1, inf, True),
        (x, y.to(torch.float16), None, None, None, 1, inf, True),
        (x, y.double() if dtype == torch.float32 else y.float(), None, None, None, 1, inf, True),
        (x[0], y, None, None, None, 1, inf, True),
        (x[:, :0], y[:, :0], None, None, None, 1, inf, True),
    ]:
        both("neighbours", *arguments, error=ValueError)


def fps(dtype, index):
    if dtype not in (torch.float32, torch.float64):
        return
    for n, dim, kind, examples in [
        (200, 3, "even", 0),
        (90, 2, "even", 4),
        (60, 1, "lattice", 3),
        (70, 3, "place", 2),
        (40, 5, "clusters", 30),
        (50, 3, "far", 0),
        (1, 2, "even", 0),
        (0, 2, "even", 2),
    ]:
        x = cloud(n, dim, kind, dtype)
        batch = batch_of(n, examples, index) if examples else None
        priority = torch.rand(n).to(dtype).mul(4).round()
        for ratio, number in [(0.0, 12), (0.3, -1)]:
            both("fps", x, batch, None, ratio, number, exact=True)
            both("fps", x, batch, priority, ratio, number, exact=True)
    x = cloud(600, 3, "even", dtype)
    both("fps", x[:40], torch.arange(40, dtype=index) // 9, None, 1.0, -1, exact=True)
    both("fps", x, None, None, 0.0, 5, exact=True)
    for arguments in [
        (x, None, None, 1.5, -1),
        (x, None, None, math.nan, -1),
        (x, None, priority, 0.5, -1),
        (x, torch.arange(600, dtype=index).flip(0), None, 0.5, -1),
        (x, torch.arange(600, dtype=index) - 1, None, 0.5, -1),
        (x.to(torch.float16), None, None, 0.5, -1),
    ]:
        both("fps", *arguments, error=ValueError)


def nearest_facet(dtype, index):
    if dtype != torch.float64 or index != torch.int64:
        return
    for facets, points, corners, dim in [(60, 80, 2, 2), (70, 60, 2, 3), (50, 50, 3, 2), (90, 80, 3, 3), (1, 9, 3, 3)]:
        x = torch.rand(facets, 1, dim).double() + 0.2 * torch.rand(facets, corners, dim).double()
        x[facets // 2, 1] = x[facets // 2, 0]  # flat
        x[facets // 3] = x[-1]  # twice
        p = torch.rand(points, dim).double() * 2 - 0.5
        p[: points // 3] = x.flatten(0, 1)[torch.randint(facets * corners, (points // 3,))]
        both("nearest_facet", x, p, exact=True)
        both("nearest_facet", (x * 4).round(), (p * 4).round(), exact=True)
        both("nearest_facet", x[:0], p[:0], exact=True)
        both("nearest_facet", x[:0], p, error=ValueError)
        both("nearest_facet", x, p.float(), error=ValueError)
        both("nearest_facet", x, p[:, :1], error=ValueError)
        both("nearest_facet", x[:, :1], p, error=ValueError)


def mpm_step(dtype, index):
    if dtype not in (torch.float32, torch.float64) or index != torch.int64:
        return
    ours = torch.ops.geoops_emulated
    for d, cells, scenes, count, bound in [
        (2, (9, 12, 1), 2, 70, 3),
        (2, (40, 7, 1), 1, 300, 2),
        (3, (6, 7, 9), 2, 90, 3),
        (3, (13, 1, 4), 3, 40, 1),
        (2, (5, 5, 1), 2, 0, 3),
        (3, (5, 5, 5), 0, 4, 3),
    ]:
        top = 0.25 * torch.tensor(cells[:d])
        x = (torch.rand(scenes, count, d) * top).to(dtype)
        x[:, : count // 3] = 0.25 * (x[:, : count // 3] / 0.25).round()  # on nodes, and on the faces of the box
        v, C, F, tau = (numbers(scenes, count, *[d] * n, dtype=dtype) for n in (1, 2, 2, 2))
        mass, volume = (torch.rand(2, scenes, count) + 0.5).to(dtype)
        mass[:, ::7], x[:, ::14] = 0.0, torch.nan  # take no part, wherever they are
        wall = 0b_11_01_10_11_00_01_10_01 >> 2 * scenes & 4**6 - 1
        options = [*cells, wall, bound, 1.0, -9.8, 3.0, 0.25, 1e-2, 0.5, 1e-3]
        inputs = [x, v, C, F, tau, mass, volume]
        both("mpm_step", *inputs, *options, scaled=True)
        moved = torch.ops.geoops.mpm_step(*inputs, *options)
        back = [*(torch.randn_like(t) for t in moved), *inputs, moved[1], moved[2], *options]
        both("mpm_step_backward", *back, scaled=True)
        for name, arguments in (("mpm_step", [*inputs, *options]), ("mpm_step_backward", back)):
            for a, b in zip(getattr(ours, name)(*arguments), getattr(ours, name)(*arguments), strict=True):
                assert torch.equal(a.nan_to_num(), b.nan_to_num()), f"{name}: another order of threads, other bits"
        both("mpm_step", x, v, C, F, tau, 0 * mass, volume, *options)  # nobody takes part
        if x.numel() == 0:
            continue
        for value in (-0.01, 0.25 * max(cells) + 0.01, math.nan, math.inf):
            bad = x.clone()
            bad[-1, 5, 1] = bad[-1, 9, 0] = value
            both("mpm_step", bad, *inputs[1:], *options, error=ValueError)
            both("mpm_step_backward", *back[:4], bad, *back[5:], error=ValueError)
        both("mpm_step", x, v.double() if dtype == torch.float32 else v.float(), *inputs[2:], *options, error=ValueError)
        both("mpm_step", *inputs[:2], C[:, 1:], *inputs[3:], *options, error=ValueError)
        both("mpm_step", *inputs, *[1 << 20] * 3, *options[3:], error=ValueError)
        both("mpm_step", *inputs, 0, *options[1:], error=ValueError)
        both("mpm_step_backward", back[0][:, 1:], *back[1:], error=ValueError)


scatter.integers = segments.integers = True
CASES = [edge_ops, relative_attention, scatter, segments, softmax, decompositions, strains, neighbours, fps]
CASES += [nearest_facet, mpm_step]

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
