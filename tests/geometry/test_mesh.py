"""Meshes and clouds check themselves."""

import copy
import dataclasses
import pickle

import pytest
import torch

from geoops.geometry import Cells, Mesh, PointCloud, boundary_facets, check_finite, interpolate

CELLS = Cells.from_blocks({"triangle": torch.tensor([[0, 1, 2]])})


def test_a_good_mesh():
    points = torch.rand(3, 2)
    given = {"u": torch.rand(3, 4)}
    mesh = Mesh(points, CELLS, given, {"c": torch.rand(1)}, {"g": "text", "n": torch.tensor(1)}, {"u": "m", "points": "mm"})
    assert (mesh.dim, len(mesh)) == (2, 3)
    assert repr(mesh) == (
        "Mesh(3 points in 2D, cells {'triangle': 1}; point fields u: float32[3, 4]; cell fields c: float32[1]; "
        "global fields g: text, n: int64[])"
    )
    assert repr(PointCloud(points)) == "PointCloud(3 points in 2D)"
    given["late"] = torch.rand(7)
    assert list(mesh.point_fields) == ["u"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        mesh.points = points


def test_changed_copies(same):
    mesh = Mesh(torch.rand(3, 2), CELLS, {"u": torch.rand(3)}, {"c": torch.rand(1)}, {"g": "x"}, {"u": "m", "c": "K"})
    more = mesh.with_fields(
        points={"v": torch.zeros(3), "u": torch.ones(3)},
        cells={"d": torch.ones(1)},
        globals={"h": "y"},
        units={"v": "s"},
    )
    assert list(more.point_fields) == ["u", "v"]
    assert more.point_fields["u"].tolist() == [1, 1, 1]
    assert list(more.cell_fields) == ["c", "d"]
    assert more.units == {"u": "m", "c": "K", "v": "s"}
    assert list(mesh.point_fields) == ["u"]
    cloud = more.to_cloud()
    assert cloud.units == {"u": "m", "v": "s"}
    assert cloud.with_fields(points={"w": torch.ones(3)}, globals={"i": "z"}, units={"w": "1"}).units["w"] == "1"
    for made in (pickle.loads(pickle.dumps(more)), copy.deepcopy(more)):
        same(more, made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": torch.rand(3, 4)}, r"shape \(n, 2\) or \(n, 3\), got \(3, 4\)"),
        ({"points": torch.rand(0, 2)}, "zero points"),
        (
            {"points": torch.tensor([[0.0, 0], [1, torch.nan], [torch.inf, 0]])},
            "2 of 3 points have NaN or infinite coordinates, first point 1",
        ),
        ({"points": torch.rand(2, 2)}, "cell 0 refers to the absent point 2; there are 2 points, numbered from 0 to 1"),
        (
            {"cells": Cells.from_blocks({"tetra": torch.tensor([[0, 1, 2, 0]])})},
            r"in the plane cannot carry solid cells \(tetra\)",
        ),
        (
            {"point_fields": {"u": torch.rand(4)}},
            "point field 'u' must have one row for each of the 3 points, got shape",
        ),
        ({"point_fields": {"u": torch.tensor(1.0)}}, "point field 'u' must have one row"),
        ({"cell_fields": {"c": torch.rand(3)}}, "cell field 'c' must have one row for each of the 1 cells"),
        ({"units": {"w": "m"}}, r"units name 'w', but there is no such field; there are \['points'\]"),
    ],
)
def test_impossible_meshes(change, message):
    with pytest.raises(ValueError, match=message):
        Mesh(**{"points": torch.rand(3, 2), "cells": CELLS, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"points": torch.zeros(3, 2, dtype=torch.int64)},
        {"points": torch.rand(3, 2).half()},
        {"points": [[0, 0]]},
        {"points": torch.rand(3, 2, device="meta")},
        {"cells": torch.zeros(1, 3)},
        {"point_fields": [torch.rand(3)]},
        {"point_fields": {"u": [1, 2, 3]}},
        {"point_fields": {"": torch.rand(3)}},
        {"point_fields": {"u": torch.rand(3, device="meta")}},
        {"global_fields": {"g": 3}},
        {"units": {"points": 1}},
        {"units": "m"},
    ],
)
def test_wrong_types(change):
    with pytest.raises(TypeError):
        Mesh(**{"points": torch.rand(3, 2), "cells": CELLS, **change})


def test_wrong_types_of_clouds():
    with pytest.raises(ValueError, match="point cloud: point field 'u'"):
        PointCloud(torch.rand(3, 2), {"u": torch.rand(2)})
    with pytest.raises(ValueError, match="point cloud: there are no points"):
        PointCloud(torch.rand(0, 2))


def test_check_finite():
    mesh = Mesh(
        torch.rand(3, 2),
        CELLS,
        {"u": torch.tensor([1, torch.nan, 2])},
        {"u": torch.ones(1)},
        {"t": "text", "n": torch.tensor(1)},
    )
    with pytest.raises(ValueError, match="point field 'u' at 1 of 3 rows, first 1"):
        check_finite(mesh)
    check_finite(mesh, ["n", "t"])
    check_finite(PointCloud(torch.rand(2, 2), {"i": torch.arange(2)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": torch.zeros(3, 2, dtype=torch.int64)}, "points must be float32 or float64, got torch.int64"),
        ({"points": [[0, 0]]}, r"points must be a torch tensor .*got list"),
        ({"points": torch.rand(3, 2, device="meta")}, "points must be on the CPU, got meta"),
        ({"cells": torch.zeros(1, 3)}, r"cells must be Cells .*got Tensor"),
        ({"point_fields": [torch.rand(3)]}, "point fields must be a dict of tensors by name, got list"),
        ({"point_fields": {"u": [1, 2, 3]}}, "point field 'u' must be a tensor, got list"),
        ({"point_fields": {3: torch.rand(3)}}, "names of point fields must be non-empty text, got 3"),
        ({"cell_fields": {"c": torch.rand(1, device="meta")}}, "cell field 'c' must be on the CPU"),
        ({"global_fields": {"g": 3}}, "global field 'g' must be a tensor or text, got int"),
        ({"units": {"points": 1}}, "the unit of 'points' must be text, got int"),
        ({"units": "m"}, "units must be a dict of text by field name, got str"),
    ],
)
def test_wrong_types_are_named(unchecked, change, message):
    with pytest.raises(TypeError, match=message):
        Mesh(**{"points": torch.rand(3, 2), "cells": CELLS, **change})


def test_wrong_types_of_functions(unchecked):
    cloud = PointCloud(torch.rand(3, 2))
    with pytest.raises(TypeError, match="boundary_facets needs a Mesh with cells, got PointCloud"):
        boundary_facets(cloud)
    with pytest.raises(TypeError, match="interpolation needs a Mesh with cells, got PointCloud"):
        interpolate(cloud, torch.rand(3), torch.rand(2, 2))
    with pytest.raises(TypeError, match=r"kinds must be a one-axis tensor of torch.uint8, got torch.float32"):
        Cells(torch.zeros(1), torch.tensor([0, 1]), torch.tensor([0]))
    with pytest.raises(TypeError, match=r"offsets must be .* got list"):
        Cells(torch.zeros(1, dtype=torch.uint8), [0, 1], torch.tensor([0]))
