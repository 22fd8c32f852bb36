"""A case of two cells, written by hand."""

import pytest
import torch

from geoops import io
from geoops.geometry import boundary_facets, cell_measures

HEAD = "FoamFile\n{{\n    version 2.0;\n    format ascii;\n    class {kind};\n    object {name};\n}}\n"
POINTS = [(x, y, z) for z in (0, 1) for y in (0, 1) for x in (0, 1, 2)]


def foam(path, kind, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(kind=kind, name=path.name) + body)


def listed(rows):
    return f"{len(rows)}\n(\n" + "\n".join(rows) + "\n)\n"


@pytest.fixture
def case(tmp_path):
    mesh = tmp_path / "case" / "constant" / "polyMesh"
    foam(mesh / "points", "vectorField", listed([f"({x} {y} {z})" for x, y, z in POINTS]))
    # The inner face first, then the ten outer ones; normals look out of the owner.
    faces = [
        (1, 4, 10, 7), (0, 6, 9, 3), (2, 5, 11, 8), (0, 1, 7, 6), (1, 2, 8, 7), (3, 9, 10, 4), (4, 10, 11, 5),
        (0, 3, 4, 1), (1, 4, 5, 2), (6, 7, 10, 9), (7, 8, 11, 10),
    ]  # fmt: skip
    foam(mesh / "faces", "faceList", listed([f"4({' '.join(map(str, f))})" for f in faces]))
    foam(mesh / "owner", "labelList", listed(["0", "0", "1", "0", "1", "0", "1", "0", "1", "0", "1"]))
    foam(mesh / "neighbour", "labelList", listed(["1"]))
    patches = "3\n(\n inlet { type patch; nFaces 1; startFace 1; }\n outlet { type patch; nFaces 1; startFace 2; }\n"
    foam(mesh / "boundary", "polyBoundaryMesh", patches + " walls { type wall; nFaces 8; startFace 3; }\n)\n")
    control = "startFrom startTime; startTime 0; stopAt endTime; endTime 2; deltaT 1;\n"
    control += "writeControl timeStep; writeInterval 1;\n"
    foam(tmp_path / "case" / "system" / "controlDict", "dictionary", control)
    sides = "".join(f" {name} {{ type zeroGradient; }}\n" for name in ("inlet", "outlet", "walls"))
    walls = f"boundaryField\n{{\n{sides}}}\n"
    for time, shift in ((0, 0.0), (1, 10.0), (2, 20.0)):
        folder = tmp_path / "case" / str(time)
        p = f"dimensions [0 2 -2 0 0 0 0];\ninternalField nonuniform List<scalar> 2 ({1 + shift} {3 + shift});\n"
        u = f"dimensions [0 1 -1 0 0 0 0];\ninternalField nonuniform List<vector> 2 (({shift} 0 0) (1 2 3));\n"
        foam(folder / "p", "volScalarField", p + walls)
        foam(folder / "U", "volVectorField", u + walls)
    (tmp_path / "case" / "case.foam").touch()
    return tmp_path / "case"


@pytest.mark.parametrize("by", ["case.foam", "folder"])
def test_the_last_time_of_a_case(case, by, capfd):
    found = io.read(case / by if by == "case.foam" else case)
    assert found.cells.counts() == {"hexahedron": 2}
    assert found.cell_fields["p"].tolist() == [21, 23]
    assert found.cell_fields["U"].tolist() == [[20, 0, 0], [1, 2, 3]]
    assert torch.allclose(cell_measures(found), torch.ones(2))
    assert boundary_facets(found).size.sum().item() == pytest.approx(10)
    # Averages over the cells around each point.
    middle = (found.points[:, 0] == 1).nonzero().flatten()
    assert found.point_fields["p"][middle].tolist() == [22] * 4
    assert capfd.readouterr().err == ""


def test_polyhedra_are_split(tmp_path, case):
    """Split the face between the cells in two, and the right cell too: the left cell then has seven faces."""
    mesh = case / "constant" / "polyMesh"
    points = [*POINTS, (1, 0, 0.5), (1, 1, 0.5), (2, 0, 0.5), (2, 1, 0.5)]
    foam(mesh / "points", "vectorField", listed([f"({x} {y} {z})" for x, y, z in points]))
    faces = [
        (1, 4, 13, 12), (12, 13, 10, 7), (12, 14, 15, 13), (0, 6, 9, 3), (2, 5, 15, 14), (14, 15, 11, 8),
        (0, 1, 12, 7, 6),
        (1, 2, 14, 12), (12, 14, 8, 7), (3, 9, 10, 13, 4), (4, 13, 15, 5), (13, 10, 11, 15), (0, 3, 4, 1), (1, 4, 5, 2),
        (6, 7, 10, 9), (7, 8, 11, 10),
    ]  # fmt: skip
    foam(mesh / "faces", "faceList", listed([f"{len(f)}({' '.join(map(str, f))})" for f in faces]))
    foam(mesh / "owner", "labelList", listed([str(c) for c in (0, 0, 1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0, 2)]))
    foam(mesh / "neighbour", "labelList", listed(["1", "2", "2"]))
    foam(mesh / "boundary", "polyBoundaryMesh", "1\n(\n walls { type wall; nFaces 13; startFace 3; }\n)\n")
    for time in ("0", "1", "2"):
        (case / time / "U").unlink()
        body = "dimensions [0 2 -2 0 0 0 0];\ninternalField nonuniform List<scalar> 3 (1 2 3);\n"
        foam(case / time / "p", "volScalarField", body + "boundaryField { walls { type zeroGradient; } }\n")
    found = io.read(case)
    assert set(found.cells.counts()) == {"tetra"}
    volume = cell_measures(found)
    assert [volume[found.cell_fields["p"] == p].sum().item() for p in (1, 2, 3)] == pytest.approx([1, 0.5, 0.5])


def test_what_is_no_case(tmp_path, case):
    (tmp_path / "other").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder constant/polyMesh"):
        io.read(tmp_path / "other")
    (case / "system" / "controlDict").unlink()
    with pytest.raises(FileNotFoundError, match=r"no system/controlDict"):
        io.read(case / "case.foam")


@pytest.mark.parametrize("name", ["points", "faces", "owner"])
def test_truncated_case(case, name, capfd):
    path = case / "constant" / "polyMesh" / name
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"case\.foam: cannot read it as OpenFOAM"):
        io.read(case / "case.foam")
    assert capfd.readouterr().err == ""
