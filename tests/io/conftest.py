"""Shapes for the tests of files, and what it means that two are the same."""

import pytest
import torch

from geoops.geometry import Cells, Mesh, PointCloud


def fields(count: int, seed: int) -> dict[str, torch.Tensor]:
    """Fields of all sorts and shapes, with awkward names."""
    draw = torch.Generator().manual_seed(seed)
    return {
        "von_mises": torch.rand(count, generator=draw),
        "x": torch.rand(count, generator=draw, dtype=torch.float64),
        "displacement": torch.rand(count, 2, generator=draw),
        "stress tensor [Pa]": torch.rand(count, 3, 3, generator=draw, dtype=torch.float64),
        "column": torch.rand(count, 1, generator=draw),
        "kind": torch.randint(0, 255, (count,), generator=draw, dtype=torch.uint8),
        "int8": torch.randint(-128, 127, (count,), generator=draw, dtype=torch.int8),
        "int16": torch.randint(-(2**15), 2**15, (count,), generator=draw, dtype=torch.int16),
        "int32": torch.randint(-(2**31), 2**31 - 1, (count,), generator=draw, dtype=torch.int32),
        "int64": torch.randint(-(2**53), 2**53, (count, 2), generator=draw),
        "mask": torch.rand(count, generator=draw) > 0.5,
        "half": torch.rand(count, generator=draw).half(),
        "nan": torch.where(torch.arange(count) == 0, torch.nan, torch.ones(count)).nan_to_num(posinf=1.0, nan=-1.0),
    }


GLOBALS = {
    "traction": torch.tensor([0.0, 1e-300], dtype=torch.float64),
    "load": torch.tensor(3.25),
    "table": torch.arange(6, dtype=torch.int32).reshape(2, 3),
    "note": 'Grüße, "quotes" & <tags>\nand a second line',
}
UNITS = {"points": "mm", "von_mises": "Pa", "displacement": "µm", "traction": "N/m"}


def with_fields(points: torch.Tensor, cells: Cells | None, seed: int = 0) -> Mesh | PointCloud:
    """A shape with fields of all sorts."""
    if cells is None:
        return PointCloud(points, fields(len(points), seed), GLOBALS, UNITS)
    return Mesh(points, cells, fields(len(points), seed), fields(len(cells), seed + 1), GLOBALS, UNITS)


def _points(count: int, dim: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(count, dim, generator=torch.Generator().manual_seed(count), dtype=dtype)


TRIANGLES = torch.tensor([[0, 1, 2], [2, 1, 3], [3, 4, 2]])
QUADS = torch.tensor([[4, 3, 5, 6], [6, 5, 7, 8]])

SHAPES = {
    "triangles": with_fields(_points(5, 2), Cells.from_blocks({"triangle": TRIANGLES})),
    "mixed": with_fields(
        _points(9, 2, torch.float32),
        Cells.from_blocks([("quad", QUADS[:1]), ("triangle", TRIANGLES), ("quad", QUADS[1:])]),
    ),
    "polygons": with_fields(
        _points(9, 2),
        Cells.from_blocks([("polygon", torch.arange(5)[None]), ("polygon", torch.tensor([[1, 2, 3, 4]])), ("triangle", TRIANGLES)]),
    ),
    "tets": with_fields(_points(6, 3), Cells.from_blocks({"tetra": torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]])})),
    "solids": with_fields(
        _points(30, 3),
        Cells.from_blocks(
            [
                ("wedge", torch.arange(6)[None]),
                ("hexahedron", torch.arange(6, 14)[None]),
                ("pyramid", torch.arange(14, 19)[None]),
                ("tetra10", torch.arange(20, 30)[None]),
                ("hexahedron20", torch.arange(20)[None]),
            ]
        ),
    ),
    "surface": with_fields(_points(5, 3), Cells.from_blocks({"triangle": TRIANGLES})),
    "quadratic": with_fields(
        _points(9, 2), Cells.from_blocks([("triangle6", torch.arange(6)[None]), ("quad8", torch.arange(8)[None])])
    ),
    "lines": with_fields(
        _points(6, 2),
        Cells.from_blocks([("triangle", TRIANGLES), ("line", torch.tensor([[0, 1], [1, 2]])), ("vertex", torch.tensor([[5]]))]),
    ),
    "cloud": with_fields(_points(7, 3), None),
    "flat_cloud": with_fields(_points(7, 2, torch.float32), None),
}


@pytest.fixture
def shapes():
    return SHAPES
