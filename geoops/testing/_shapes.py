"""Synthetic shapes with ragged nodes and tokens, and the motions under which properties are tested."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from geoops.geometry import Shapes, Sizes

#: Kinds of points that `random_shapes` one-hot codes into its input fields.
KINDS = ("inside", "bottom", "top", "side", "void")


def random_shapes(
    count: int,
    dim: int = 2,
    *,
    inputs: int = 5,
    globals: int = 0,
    nodes: tuple[int, int] = (60, 90),
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Shapes:
    r"""Returns boxes $[-1, 1]^{dim}$ with a random void, as `Shapes` with ragged numbers of nodes and tokens.

    In the plane the void is a star-shaped polygon, in space a ball. Nodes are uniform random points of the material,
    with their exact signed distance. The kind of boundary (see `KINDS`) is one-hot coded, wrapped to `inputs` channels.

    Args:
        count: number of shapes.
        dim: 2 or 3.
        inputs: channels of the input fields.
        globals: number of global parameters, drawn from a normal distribution.
        nodes: smallest and largest number of nodes of a shape.
        seed: of the random numbers; the same seed gives the same shapes.
        dtype: of all floating tensors.

    Raises:
        ValueError: if `dim` is neither 2 nor 3.
    """
    if dim not in (2, 3):
        raise ValueError(f"dim must be 2 or 3, got {dim}")
    generator = torch.Generator().manual_seed(seed)
    make = _square if dim == 2 else _cube
    cases = []
    for _ in range(count):
        n = int(torch.randint(nodes[0], nodes[1] + 1, (), generator=generator))
        cases.append(make(n, generator))

    def kind(ids: Tensor) -> Tensor:
        out = torch.zeros(len(ids), inputs, dtype=torch.float64)
        if inputs:
            out[torch.arange(len(ids)), ids % inputs] = 1
        return out

    def pad(values: list[Tensor]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True)

    pos, sdf, token_pos, token_normal, token_size, token_kind = zip(*cases, strict=True)
    shapes = Shapes(
        pos=pad(list(pos)),
        x=pad([kind(torch.zeros(len(p), dtype=torch.int64)) for p in pos]),
        sdf=pad([s[:, None] for s in sdf]),
        mask=pad([torch.ones(len(p), dtype=torch.bool) for p in pos]),
        token_pos=pad(list(token_pos)),
        token_normal=pad(list(token_normal)),
        token_size=pad([s[:, None] for s in token_size]),
        token_x=pad([kind(k) for k in token_kind]),
        token_mask=pad([torch.ones(len(p), dtype=torch.bool) for p in token_pos]),
        mu=torch.randn(count, globals, generator=generator, dtype=torch.float64),
        key=torch.full((count,), -1),
    )
    return shapes.to(dtype)


def shapes_for(sizes: Sizes, count: int, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> Shapes:
    """Returns random shapes with the channels that `sizes` asks for."""
    return random_shapes(count, sizes.dim, inputs=sizes.inputs, globals=sizes.globals, seed=seed, dtype=dtype)


def moved(shapes: Shapes, shift: Float[Tensor, " dim"], rotation: Float[Tensor, "dim dim"] | None = None) -> Shapes:
    r"""Returns the shapes after $x \mapsto R x + t$ in the same frame; normals turn, fields stay."""
    shift = shift.to(shapes.pos)
    turn = torch.eye(len(shift)).to(shapes.pos) if rotation is None else rotation.to(shapes.pos)
    return replace(
        shapes,
        pos=shapes.pos @ turn.T + shift,
        token_pos=shapes.token_pos @ turn.T + shift,
        token_normal=shapes.token_normal @ turn.T,
    )


def permuted(shapes: Shapes, seed: int = 0) -> Shapes:
    """Returns the shapes with their nodes and their tokens in another order, padding included."""
    generator = torch.Generator().manual_seed(seed)
    nodes = torch.randperm(shapes.pos.shape[1], generator=generator).to(shapes.pos.device)
    tokens = torch.randperm(shapes.token_pos.shape[1], generator=generator).to(shapes.pos.device)
    return _map(shapes, lambda value: value[:, nodes], lambda value: value[:, tokens])


def padded(shapes: Shapes, extra: int, fill: float = 0.0) -> Shapes:
    """Returns the shapes with `extra` more padded nodes and tokens, filled with a constant."""

    def grow(value: Tensor) -> Tensor:
        constant = False if value.dtype == torch.bool else fill
        return torch.cat([value, value.new_full((value.shape[0], extra, *value.shape[2:]), constant)], 1)

    return _map(shapes, grow, grow)


def _map(shapes: Shapes, on_nodes, on_tokens) -> Shapes:
    nodes = {name: on_nodes(getattr(shapes, name)) for name in ("pos", "x", "sdf", "mask")}
    names = ("token_pos", "token_normal", "token_size", "token_x", "token_mask")
    return replace(shapes, **nodes, **{name: on_tokens(getattr(shapes, name)) for name in names})


def _uniform(*size: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(*size, generator=generator, dtype=torch.float64) - 1


def _square(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    corners = int(torch.randint(16, 25, (), generator=generator))
    angle = 2 * math.pi * torch.arange(corners, dtype=torch.float64) / corners
    waves = torch.stack([torch.cos(angle), torch.sin(2 * angle), torch.cos(3 * angle)])
    radius = 0.4 + 0.06 * (_uniform(3, generator=generator) @ waves)
    centre = 0.2 * _uniform(2, generator=generator)
    # Clockwise around the void and counter-clockwise around the square: the normal is to the right of an edge.
    void = centre + radius.flip(0)[:, None] * torch.stack([angle.cos(), angle.sin()], 1).flip(0)
    side = int(torch.randint(5, 8, (), generator=generator))
    step = torch.linspace(-1, 1, side + 1, dtype=torch.float64)[:-1]
    low, high = -torch.ones_like(step), torch.ones_like(step)
    rim = torch.cat([torch.stack(xy, 1) for xy in ((step, low), (high, step), (-step, high), (low, -step))])
    start = torch.cat([rim, void])
    end = torch.cat([rim.roll(-1, 0), void.roll(-1, 0)])
    size = (end - start).norm(dim=1)
    tangent = (end - start) / size[:, None]
    normal = torch.stack([tangent[:, 1], -tangent[:, 0]], 1)
    kind = torch.tensor([1, 3, 2, 3]).repeat_interleave(side)
    kind = torch.cat([kind, torch.full((corners,), 4)])

    points = _uniform(4 * n, 2, generator=generator)
    points = points[~_inside(points, void)][:n]
    along = ((points[:, None] - start) * tangent).sum(-1).clamp(min=0).minimum(size)
    sdf = -(points[:, None] - start - along[..., None] * tangent).norm(dim=-1).amin(1)
    return points, sdf, (start + end) / 2, normal, size, kind


def _inside(points: Tensor, polygon: Tensor) -> Tensor:
    a, b = polygon, polygon.roll(-1, 0)
    x, y = points[:, :1], points[:, 1:]
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return (crosses & (x < at)).sum(1) % 2 == 1


def _cube(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    centre = 0.2 * _uniform(3, generator=generator)
    radius = 0.4 + 0.1 * float(_uniform(1, generator=generator))
    m = int(torch.randint(3, 5, (), generator=generator))
    step = (torch.arange(m, dtype=torch.float64) + 0.5) * 2 / m - 1
    face = torch.cartesian_prod(step, step)
    faces, normals, kinds = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = torch.zeros(3, dtype=torch.float64)
            normal[axis] = sign
            ends = torch.full((m * m,), sign, dtype=torch.float64)
            faces.append(torch.cat([face[:, :axis], ends[:, None], face[:, axis:]], 1))
            normals.append(normal.expand(m * m, 3))
            kinds.append(torch.full((m * m,), 3 if axis < 2 else (1 if sign < 0 else 2)))
    # Points of a Fibonacci spiral share a sphere almost equally.
    balls = int(torch.randint(30, 45, (), generator=generator))
    i = torch.arange(balls, dtype=torch.float64) + 0.5
    z, turn = 1 - 2 * i / balls, math.pi * (1 + math.sqrt(5)) * i
    unit = torch.stack([(1 - z**2).sqrt() * turn.cos(), (1 - z**2).sqrt() * turn.sin(), z], 1)
    position = torch.cat([*faces, centre + radius * unit])
    size = torch.cat([position.new_full((6 * m * m,), 4 / m**2), position.new_full((balls,), 4 * math.pi * radius**2 / balls)])
    kind = torch.cat([*kinds, torch.full((balls,), 4)])

    points = _uniform(4 * n, 3, generator=generator)
    points = points[(points - centre).norm(dim=1) > radius][:n]
    sdf = -torch.minimum((1 - points.abs()).amin(1), (points - centre).norm(dim=1) - radius)
    return points, sdf, position, torch.cat([*normals, -unit]), size, kind
