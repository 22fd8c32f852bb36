"""Prediction on any kind of mesh, at any points, under any budget."""

import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from geoops import io
from geoops.geometry import Mesh, PointCloud, Sizes
from geoops.inference import Predictor
from geoops.inference import _predictor as module
from geoops.inference._memory import LARGEST_CHUNK
from geoops.inference._predictor import free_name
from geoops.models import PointNet, Transolver


@pytest.fixture
def expected(normalizer):
    """The formula in physical units at points."""

    def field(points):
        mean, std = normalizer.target_scale()
        x = normalizer.positions(torch.as_tensor(points))
        return ((x[:, 0] ** 2 + 3 * x[:, 1]) * std + mean).float()

    return field


@pytest.fixture
def bare(mesh):
    """A mesh without target, with other arrays of several kinds."""
    n, m = len(mesh.points), len(mesh.cells)
    return Mesh(
        mesh.points,
        mesh.cells,
        {
            "kind": mesh.point_fields["kind"],
            "id": torch.arange(n, dtype=torch.int32).flip(0),
            "flow": torch.rand(n, 3, dtype=torch.float64),
        },
        {"part": torch.arange(m) % 7},
        {"speed": torch.tensor([3.0])},
        {"flow": "m/s"},
    )


def _same(a, b):
    assert list(a) == list(b)
    for name, value in a.items():
        assert value.dtype == b[name].dtype
        torch.testing.assert_close(value, b[name], rtol=0, atol=0)


def test_a_mesh_keeps_everything_and_gains_the_target(formula, bare, expected):
    result = formula.predict(bare)
    assert isinstance(result, Mesh)
    assert list(result.point_fields) == ["kind", "id", "flow", "u"]
    _same({k: v for k, v in result.point_fields.items() if k != "u"}, bare.point_fields)
    _same(result.cell_fields, bare.cell_fields)
    _same(result.global_fields, bare.global_fields)
    assert torch.equal(result.points, bare.points)
    assert torch.equal(result.cells.connectivity, bare.cells.connectivity)
    torch.testing.assert_close(result.point_fields["u"], expected(bare.points))
    assert result.units == {"flow": "m/s", "u": "Pa"}
    assert "u" not in bare.point_fields


def test_a_cloud_stays_a_cloud(formula, bare, expected):
    result = formula.predict(bare.to_cloud())
    assert isinstance(result, PointCloud)
    torch.testing.assert_close(result.point_fields["u"], expected(bare.points))


def test_an_array_of_the_name_stays_and_the_prediction_gets_another(formula, mesh, expected):
    result = formula.predict(mesh)
    assert torch.equal(result.point_fields["u"], mesh.point_fields["u"])
    torch.testing.assert_close(result.point_fields["u_predicted"], expected(mesh.points))
    assert result.units["u_predicted"] == "Pa"
    again = formula.predict(result)
    assert list(again.point_fields) == ["kind", "u", "u_predicted", "u_predicted_2"]
    assert free_name("u", []) == "u"


@pytest.mark.parametrize("kind", ["pyvista", "meshio", "data"])
def test_objects_of_other_libraries_come_back_as_they_were(formula, bare, expected, kind):
    given = getattr(bare, f"to_{kind}")()
    result = formula.predict(given)
    assert type(result) is type(given)
    back = getattr(Mesh, f"from_{kind}")(result)
    values = back.point_fields["u"]
    torch.testing.assert_close(values.flatten().float(), expected(bare.points))
    _same({k: v for k, v in back.point_fields.items() if k != "u"}, bare.point_fields)
    _same(back.cell_fields, bare.cell_fields)
    assert torch.equal(back.cells.connectivity, bare.cells.connectivity)


def test_a_trimesh_comes_back_as_one(formula, mesh, expected):
    trimesh = pytest.importorskip("trimesh")
    given = trimesh.Trimesh(
        np.pad(mesh.points.numpy(), ((0, 0), (0, 1))), mesh.cells.of_kind("triangle").numpy(), process=False,
        vertex_attributes={"kind": mesh.point_fields["kind"].numpy()},
    )  # fmt: skip
    result = formula.predict(given)
    assert isinstance(result, trimesh.Trimesh)
    assert np.array_equal(result.faces, given.faces)
    assert np.array_equal(result.vertex_attributes["kind"], given.vertex_attributes["kind"])
    np.testing.assert_allclose(result.vertex_attributes["u"].ravel(), expected(mesh.points), rtol=1e-5)


def test_a_path_gives_a_mesh(formula, bare, expected, tmp_path):
    io.write(tmp_path / "a.vtu", bare)
    result = formula.predict(tmp_path / "a.vtu")
    assert isinstance(result, Mesh)
    torch.testing.assert_close(result.point_fields["u"], expected(bare.points))
    assert isinstance(formula.predict(str(tmp_path / "a.vtu")), Mesh)


def test_points_give_an_array_like_them(formula, bare, expected):
    points = np.random.default_rng(0).random((30, 2))
    values = formula.predict(bare, at=points)
    assert isinstance(values, np.ndarray)
    assert values.shape == (30, 1)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[:, 0], expected(points), rtol=1e-5)
    tensor = formula.predict(bare, at=torch.as_tensor(points))
    assert isinstance(tensor, torch.Tensor)
    assert torch.equal(tensor, torch.as_tensor(values))
    assert formula.predict(bare, at=[[0.5, 0.5]]).shape == (1, 1)
    assert formula.predict(bare, at=np.pad(points, ((0, 0), (0, 1)))).shape == (30, 1)
    assert formula.predict(bare, at=np.zeros((0, 2))).shape == (0, 1)


def test_another_mesh_gives_that_mesh(formula, bare, expected, plate, tmp_path):
    other = plate(8)
    other = replace(other, point_fields={}, units={})
    result = formula.predict(bare, at=other)
    assert list(result.point_fields) == ["u"]
    torch.testing.assert_close(result.point_fields["u"], expected(other.points))
    io.write(tmp_path / "o.vtu", other)
    assert isinstance(formula.predict(bare, at=tmp_path / "o.vtu"), Mesh)
    assert type(formula.predict(bare, at=other.to_pyvista())).__module__.startswith("pyvista")


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (np.zeros((3, 4)), r"shape \(n, 2\); got shape \(3, 4\)"),
        (np.zeros(3), r"got shape \(3,\)"),
        (np.array([[0, np.nan]]), "NaN"),
        (np.array([[0, 0, 1.0]]), "z != 0"),
    ],
)
def test_bad_points_are_refused(formula, bare, points, words):
    with pytest.raises(ValueError, match=words):
        formula.predict(bare, at=points)


@pytest.mark.filterwarnings("ignore:the query points")
@pytest.mark.parametrize("kind", ["transolver", "pointnet"])
def test_chunks_do_not_change_the_result(normalizer, plate, kind):
    make = {"transolver": partial(Transolver, hidden=16, layers=2, slices=4, heads=2), "pointnet": PointNet}[kind]
    predictor = Predictor(make(normalizer.sizes), normalizer)
    mesh = plate(9)
    points = torch.rand(4000, 2)
    sizes = []
    whole = _recorded(predictor, sizes).predict(mesh, at=points, memory="2GB")
    assert max(sizes) == LARGEST_CHUNK
    sizes.clear()
    chunked = predictor.predict(mesh, at=points, memory="1.2MB")
    assert max(sizes) < 2000
    assert (whole - chunked).abs().max() < 1e-6 * whole.abs().max()
    permuted = torch.randperm(4000)
    torch.testing.assert_close(predictor.predict(mesh, at=points[permuted]), whole[permuted], rtol=1e-5, atol=1e-6)


def _recorded(predictor, sizes):
    decode = predictor.network.decode

    def recording(code, pos, sdf):
        sizes.append(pos.shape[1])
        return decode(code, pos, sdf)

    predictor.network.decode = recording
    return predictor


@pytest.mark.filterwarnings("ignore:the query points")
def test_long_lists_of_points_are_prepared_in_blocks(formula, bare, expected, monkeypatch):
    monkeypatch.setattr(module, "_QUERY_BLOCK", 700)
    points = torch.rand(2000, 2)
    torch.testing.assert_close(formula.predict(bare, at=points)[:, 0], expected(points))


def test_a_budget_that_is_too_small_says_so(predictor, bare):
    with pytest.raises(ValueError, match="memory budget of 0 MB is too small"):
        predictor.predict(bare, at=torch.rand(5000, 2), memory="10kB")


def test_large_shapes_are_encoded_from_a_fixed_subset_of_their_nodes(normalizer, plate, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "ENCODED_NODES", 50)
    network = PointNet(normalizer.sizes, hidden=8, code=8, depth=2)
    encode = network.encode
    network.encode = lambda shapes: seen.append(shapes) or encode(shapes)
    predictor = Predictor(network, normalizer)
    first, second = (predictor.predict(plate(9)).point_fields["u_predicted"] for _ in range(2))
    assert seen[0].pos.shape == (1, 50, 2)
    assert torch.equal(first, second)
    assert len(first) == len(plate(9).points)


@pytest.mark.slow
def test_the_memory_budget_is_kept(tmp_path, bare):
    """200 000 points under 300 MB, measured as the growth of the process."""
    io.write(tmp_path / "mesh.vtu", bare)
    code = f"""
        import resource, torch
        torch.set_num_threads(1)
        from geoops import io
        from geoops.data import Normalizer, Task
        from geoops.inference import Predictor
        from geoops.models import Transolver
        mesh = io.read({str(tmp_path / "mesh.vtu")!r})
        mesh = mesh.with_fields(points={{"u": mesh.points[:, 0]}})
        normalizer = Normalizer.fit([mesh], Task(("kind",), ("u",)))
        predictor = Predictor(Transolver(normalizer.sizes, hidden=128, layers=1, slices=64, heads=8), normalizer)
        points = torch.rand(200_000, 2)
        predictor.predict(mesh, at=points[:300])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        predictor.predict(mesh, at=points, memory="300MB")
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
    """
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 300e6


def test_missing_inputs_are_listed(formula, mesh, tmp_path):
    without = Mesh(mesh.points, mesh.cells, {"heat": mesh.points[:, 0]})
    with pytest.raises(KeyError, match=r"no point field 'kind'.*heat"):
        formula.predict(without)
    io.write(tmp_path / "w.vtu", without)
    with pytest.raises(KeyError, match=r"w\.vtu: no point field 'kind'"):
        formula.predict(tmp_path / "w.vtu")


def test_unknown_categories_are_named(formula, mesh):
    kind = mesh.point_fields["kind"].clone()
    kind[3] = 9
    with pytest.raises(ValueError, match=r"'kind' has categories \[9\].*\[0, 1\]"):
        formula.predict(mesh.with_fields(points={"kind": kind}))


def test_other_dimensions_and_other_things_are_refused(formula, unchecked):
    solid = PointCloud(torch.rand(5, 3), {"kind": torch.zeros(5, dtype=torch.uint8)})
    with pytest.raises(ValueError, match="is 3D, the training set is 2D"):
        formula.predict(solid)
    with pytest.raises(TypeError, match=r"cannot make a mesh of a builtins\.int"):
        formula.predict(7)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        formula.predict("nowhere.vtu")


def test_the_network_must_fit_the_normaliser(normalizer):
    with pytest.raises(ValueError, match="belongs to another data set"):
        Predictor(PointNet(Sizes(3, 1, 1)), normalizer)


def test_leaving_the_trained_range_warns_once_and_inside_not(formula, mesh, plate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        formula.predict(mesh)
        formula.predict(mesh, at=mesh.points)
    with pytest.warns(UserWarning, match="finer") as caught:
        formula.predict(plate(33))
    assert len(caught) == 1
    assert "times finer than trained" in str(caught[0].message)
    moved = replace(mesh, points=mesh.points + 1)
    with pytest.warns(UserWarning, match=r"outside of the training meshes' box \[0, 1\] x \[0, 1\]"):
        formula.predict(moved)
    coarse = plate(9)
    keep = torch.arange(0, len(coarse.points), 7)
    with pytest.warns(UserWarning, match="times coarser than trained"):
        formula.predict(PointCloud(coarse.points[keep], {"kind": coarse.point_fields["kind"][keep]}))


def test_many_meshes_warn_once(formula, plate):
    with pytest.warns(UserWarning, match="of 3 meshes") as caught:
        results = list(formula.predict_many([plate(9), plate(33), plate(33)]))
    assert [len(r.points) for r in results] == [len(plate(n).points) for n in (9, 33, 33)]
    assert len(caught) == 1
    assert "2 of 3 meshes leave" in str(caught[0].message)
    with pytest.raises(TypeError, match="list of meshes"):
        formula.predict_many("a.vtu")


def test_one_encoding_serves_many_decodes(predictor, mesh):
    encoded = predictor.encode(mesh)
    torch.testing.assert_close(predictor.decode(encoded)[:, 0], predictor.predict(mesh).point_fields["u_predicted"])
    assert predictor.decode(encoded, mesh.points[:5]).shape == (5, 1)


def test_results_carry_no_gradient_even_if_encoding_needs_them(normalizer, mesh):
    class Inner(PointNet.__base__):
        encodes_with_grad = True

        def encode(self, shapes):
            c = torch.ones(len(shapes), 1, requires_grad=True)
            (gradient,) = torch.autograd.grad((c * shapes.pos.sum()).sum(), c)
            return {"c": [gradient + c, (c * 2,)]}

        def decode(self, code, pos, sdf):
            assert not code["c"][0].requires_grad
            assert not code["c"][1][0].requires_grad
            return pos[..., :1] * code["c"][0][:, None]

    result = Predictor(Inner(normalizer.sizes), normalizer).predict(mesh)
    assert not result.point_fields["u_predicted"].requires_grad


def test_a_predictor_introduces_itself(predictor):
    assert repr(predictor).startswith("Predictor(small: Transolver, ")
    assert repr(predictor).endswith("kind -> u)")
    assert predictor.to("cpu").device == torch.device("cpu")


def test_several_targets_are_restored_one_by_one(plate):
    from geoops.data import Normalizer, Task

    mesh = plate(9)
    mesh = mesh.with_fields(points={"v": torch.stack([mesh.points[:, 1], 5 + 0 * mesh.points[:, 0]], 1).clone()})
    normalizer = Normalizer.fit([mesh], Task((), ("v", "u")))
    predictor = Predictor(PointNet(normalizer.sizes, hidden=8, code=8, depth=2), normalizer)
    bare = replace(mesh, point_fields={}, units={})
    result = predictor.predict(bare)
    assert {k: tuple(v.shape) for k, v in result.point_fields.items()} == {
        "v": (len(mesh.points), 2),
        "u": (len(mesh.points),),
    }
    values = predictor.predict(bare, at=bare.points)
    torch.testing.assert_close(values[:, :2], result.point_fields["v"])
    torch.testing.assert_close(values[:, 2], result.point_fields["u"])
