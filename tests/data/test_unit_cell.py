"""The unit-cell generator: geometry, elements, equilibrium, and the set on disk."""

import sys
from itertools import pairwise

import numpy as np
import pytest

gmsh = pytest.importorskip("gmsh")
pytest.importorskip("skfem")

from geoops.data import unit_cell  # noqa: E402
from geoops.data.unit_cell import CaseRejected, Void, make, solve_case  # noqa: E402
from geoops.data.unit_cell._elements import QuadraticElements  # noqa: E402
from geoops.data.unit_cell._mesh import CellMesh, mesh_cell  # noqa: E402
from geoops.data.unit_cell._solve import equilibrium, nodal_stress  # noqa: E402
from geoops.physics import MooneyRivlin, von_mises_plane_stress  # noqa: E402

LAW = MooneyRivlin(1.863e5, 9.79e3)
COARSE = {"void_size": 0.08, "corner_size": 0.12}


def void_of(index: int) -> Void:
    return Void.draw(np.random.default_rng([0, index]))


def bottom(elements: QuadraticElements) -> np.ndarray:
    return elements.vector.get_dofs("bottom").flatten()


def pulled(elements: QuadraticElements, load: float, **options):
    return equilibrium(elements, LAW, elements.top_load(np.array([0.0, load])), bottom(elements), **options)


def norm(values: np.ndarray) -> float:
    return float(np.linalg.norm(values))


@pytest.fixture(scope="session")
def coarse() -> QuadraticElements:
    return QuadraticElements(mesh_cell(void_of(3), **COARSE))


@pytest.fixture(scope="session")
def full_size() -> unit_cell.Case:
    return solve_case(0)


# ---- void --------------------------------------------------------------------------------------------


def test_void_field_has_the_covariance_of_its_prior():
    theta = np.linspace(0, 2 * np.pi, 50)
    for modes, deviation in ((5, 1.349), (3000, 1.633)):
        # The field is linear in its coefficients: variance and covariance follow from one unit coefficient
        # each.
        k = np.arange(1, modes + 1)
        spectrum = np.concatenate(([16 / 9 / (2 * np.pi)], 16 / (k**2 + 9) / np.pi))
        assert np.sqrt(spectrum.sum()) == pytest.approx(deviation, abs=1e-3)
    basis = np.array([Void(unit).field(theta) for unit in np.eye(12)])
    gap = theta[:, None] - theta
    expected = sum(v * np.cos(i * gap) for i, v in enumerate(spectrum[:6]))
    np.testing.assert_allclose(basis.T @ basis, expected, atol=1e-13)


def test_void_is_drawn_cosines_first():
    void = void_of(7)
    np.testing.assert_array_equal(void.coefficients, np.random.default_rng([0, 7]).standard_normal(12))
    only = np.zeros(12)
    only[8] = 1.0  # b_2
    theta = np.linspace(0, 6, 9)
    np.testing.assert_allclose(Void(only).field(theta), np.sqrt(16 / 13 / np.pi) * np.sin(2 * theta), atol=1e-15)


def test_void_points_lie_on_the_curve_equally_spaced():
    void = void_of(1)
    theta = void.equally_spaced(0.0245)
    points = void.curve(theta)
    gaps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    assert gaps.max() / gaps.min() < 1.02  # chords of equal arcs
    assert gaps.mean() == pytest.approx(0.0245, rel=0.02)
    radius = void.radius(theta)
    assert ((radius > 0.2) & (radius < 0.4)).all()


# ---- mesh --------------------------------------------------------------------------------------------


def test_level_zero_has_the_expected_size_and_topology(full_size):
    level = full_size.levels[0]
    assert 850 <= len(level.points) <= 1050
    edges = np.sort(level.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert len(level.points) - len(np.unique(edges, axis=0)) + len(level.triangles) == 0  # one hole
    assert set(np.unique(level.boundary)) == {0, 1, 2, 3, 4}
    x, y = level.points.T
    assert (level.boundary[y == 0] == 1).all()
    assert (level.boundary[y == 1] == 2).all()
    assert (level.boundary[((x == 0) | (x == 1)) & (y > 0) & (y < 1)] == 3).all()


def test_refinement_keeps_vertices_and_approaches_the_exact_area():
    void = void_of(0)
    meshes = [mesh_cell(void, **COARSE)]
    for _ in range(3):
        meshes.append(meshes[-1].refined())
    theta = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    exact = 1 - 0.5 * np.mean(void.radius(theta) ** 2) * 2 * np.pi
    for old, new in pairwise(meshes):
        np.testing.assert_array_equal(new.points[: len(old.points)], old.points)
        assert len(new.triangles) == 4 * len(old.triangles)
        assert new.areas().min() > 0
    errors = [abs(m.areas().sum() - exact) for m in meshes]
    assert np.log2(errors[-2] / errors[-1]) == pytest.approx(2, abs=0.1)
    for mesh in meshes:
        on = mesh.boundary() == 4
        offset = mesh.points[on] - 0.5
        np.testing.assert_allclose(np.hypot(*offset.T), void.radius(np.arctan2(offset[:, 1], offset[:, 0])), atol=1e-14)
    curved = QuadraticElements(meshes[1]).vector.dx.sum()
    assert abs(curved - exact) < 0.05 * errors[1]


def test_a_running_gmsh_session_is_left_as_it_was():
    gmsh.initialize(readConfigFiles=False, interruptible=False)
    try:
        gmsh.model.add("mine")
        mesh_cell(void_of(0), **COARSE)
        assert gmsh.isInitialized()
        assert gmsh.model.getCurrent() == "mine"
    finally:
        gmsh.finalize()
    mesh_cell(void_of(0), **COARSE)
    assert not gmsh.isInitialized()


@pytest.mark.parametrize("module", ["gmsh", "skfem"])
def test_a_missing_package_is_named(module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{module}: pip install geoops\[data\]"):
        solve_case(0, **COARSE)
    with pytest.raises(ImportError, match=rf"{module}: pip install geoops\[data\]"):
        make(tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_folded_triangle_is_rejected():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    clockwise = CellMesh(points, np.array([[0, 2, 1]]), np.full(3, np.nan), None)
    with pytest.raises(CaseRejected, match="folded"):
        QuadraticElements(clockwise)


# ---- elements and equilibrium ------------------------------------------------------------------------


def test_unknowns_and_nodes_correspond(coarse):
    assert len(np.unique(coarse.dofs)) == coarse.vector.N == 2 * len(coarse.nodes)
    for component in (0, 1):
        np.testing.assert_allclose(coarse.vector.doflocs[:, coarse.dofs[:, component]].T, coarse.nodes, atol=1e-15)
    np.testing.assert_allclose(coarse.scalar.doflocs.T, coarse.nodes, atol=1e-15)
    u = coarse.vector.zeros()
    u[coarse.dofs] = coarse.nodes @ np.array([[0.1, 0.0], [0.2, 0.3]])
    expected = np.broadcast_to([[1.1, 0.2], [0.0, 1.3]], (*coarse.vector.dx.shape, 2, 2))
    np.testing.assert_allclose(coarse.deformation_gradient(u), expected, atol=1e-13)


def test_integrals_of_polynomials_are_exact():
    """Strain energy, products and loads of quadratic fields on the full square, integrated by hand."""
    elements = QuadraticElements(mesh_cell(None, corner_size=0.2))
    x, y = elements.nodes.T
    u = elements.vector.zeros()
    u[elements.dofs] = np.stack((x**2, x * y), axis=1)  # strains 2 x, x and y / 2
    mu = 2 * (LAW.c1 + LAW.c2)
    k = elements.stiffness(LAW.tangent(elements.deformation_gradient(0 * u)))
    # plane stress and Poisson ratio 1/2: the other constant of Lame is 2 mu
    assert u @ (k @ u) == pytest.approx(2 * mu * (4 / 3 + 1 / 3 + 1 / 6) + 2 * mu * 3, rel=1e-11)
    assert x**2 @ (elements.mass() @ (x * y)) == pytest.approx(1 / 8, rel=1e-11)
    at = np.moveaxis(np.asarray(elements.vector.global_coordinates()), 0, 2)
    np.testing.assert_allclose(x**2 @ elements.moments(at), [1 / 4, 1 / 6], rtol=1e-11)
    assert elements.top_load(np.array([3.0, 5.0])) @ u == pytest.approx(3 / 3 + 5 / 2, rel=1e-11)


def test_stiffness_is_the_derivative_of_the_force(coarse):
    rng = np.random.default_rng(1)
    u = coarse.vector.zeros()
    u[coarse.dofs] = 0.02 * np.sin(3 * coarse.nodes)
    d = rng.standard_normal(u.shape)

    def force(v):
        return coarse.internal_force(LAW.first_piola(coarse.deformation_gradient(v)))

    h = 1e-6
    slope = (force(u + h * d) - force(u - h * d)) / (2 * h)
    exact = coarse.stiffness(LAW.tangent(coarse.deformation_gradient(u))) @ d
    assert norm(slope - exact) / norm(exact) < 1e-7


def test_affine_patch(coarse):
    h = np.array([[0.2, 0.1], [-0.05, -0.1]])
    exact = coarse.vector.zeros()
    exact[coarse.dofs] = coarse.nodes @ h.T
    fixed = coarse.vector.get_dofs().flatten()  # outer edges and void
    free = coarse.vector.complement_dofs(fixed)
    force = coarse.internal_force(LAW.first_piola(coarse.deformation_gradient(exact)))
    assert np.abs(force[free]).max() / np.abs(force).max() < 1e-11

    start = exact.copy()
    start[free] += 1e-3 * np.random.default_rng(2).uniform(-1, 1, len(free))
    found = equilibrium(coarse, LAW, 0 * exact, fixed, prescribed=exact, start=start, reuse=0.0, tolerance=1e-12)
    assert np.abs(found.displacement - exact).max() < 1e-12
    stress = nodal_stress(coarse, LAW, found.displacement)
    expected = LAW.cauchy(np.eye(2) + h)
    assert np.abs(stress - expected).max() / np.abs(expected).max() < 1e-11


def test_stretched_solid_square():
    elements = QuadraticElements(mesh_cell(None, corner_size=0.15))
    x, y = elements.nodes.T
    stretch = 1.3
    rollers = {"left": "u^1", "bottom": "u^2", "top": "u^2"}
    fixed = np.unique(np.concatenate([elements.vector.get_dofs(k).all(v) for k, v in rollers.items()]))
    prescribed = elements.vector.zeros()
    prescribed[elements.vector.get_dofs("top").all("u^2")] = stretch - 1
    found = equilibrium(elements, LAW, 0 * prescribed, fixed, prescribed=prescribed, reuse=0.0)
    other = 1 + found.displacement[elements.dofs[x == 1, 0]]
    assert np.abs(other - stretch**-0.5).max() < 1e-8
    pull = 2 * (LAW.c1 + LAW.c2 / stretch) * (stretch - stretch**-2)
    stress = nodal_stress(elements, LAW, found.displacement)
    assert np.abs(stress[:, 1] / (pull * stretch) - 1).max() < 1e-8
    assert found.reactions[elements.dofs[y == 1, 1]].sum() == pytest.approx(pull, rel=1e-8)


@pytest.mark.parametrize("load", [100.0, 2e4])
def test_reactions_balance_the_load(coarse, load):
    found = pulled(coarse, load, tolerance=1e-10)
    reaction = found.reactions[coarse.dofs[coarse.nodes[:, 1] == 0]].sum(0)
    assert np.abs(reaction - [0, -load]).max() / load < 1e-9


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_newton_converges_with_second_order(index):
    elements = QuadraticElements(mesh_cell(void_of(index), **COARSE))
    (residuals,) = pulled(elements, 4e4, reuse=0.0, tolerance=3e-12).residuals
    # Slow and fast steps alternate (stiff and soft directions take turns), so the usual quotient of
    # logarithms of three residuals scatters between 1.3 and 4; the bound r_{k+1} <= C r_k^2 with one C is
    # what order 2 means.
    last = [(a, b) for a, b in pairwise(residuals) if a < 0.05 and b > 1e-12]
    assert last
    assert all(b < 10 * a**2 for a, b in last)
    a, b = last[-1]
    assert np.log(b) / np.log(a) > 1.8


def test_reused_factors_change_nothing_but_the_way(coarse):
    full, reused = pulled(coarse, 2e4, reuse=0.0), pulled(coarse, 2e4)
    assert norm(full.displacement - reused.displacement) / norm(full.displacement) < 1e-8
    assert full.residuals[-1][-1] < 1e-9
    assert reused.residuals[-1][-1] < 1e-9


def test_a_load_too_large_for_one_step_is_reached_in_several(coarse):
    found = pulled(coarse, 4e5)
    assert len(found.residuals) > 1
    assert all(r[-1] < 1e-9 for r in found.residuals)
    reaction = found.reactions[coarse.dofs[coarse.nodes[:, 1] == 0]].sum(0)
    assert np.abs(reaction - [0, -4e5]).max() / 4e5 < 1e-7


def test_small_loads_act_linearly(coarse):
    stress = [
        von_mises_plane_stress(nodal_stress(coarse, LAW, pulled(coarse, t, tolerance=1e-8).displacement)) / t for t in (1.0, 100.0)
    ]
    assert norm(stress[0] - stress[1]) / norm(stress[1]) < 2e-3


@pytest.mark.slow
def test_von_mises_converges_with_second_order_away_from_the_singular_corners():
    mesh = mesh_cell(void_of(0))
    x, y = mesh.points.T
    far = (np.hypot(x, y) > 0.1) & (np.hypot(x - 1, y) > 0.1)
    found = []
    for _ in range(3):
        elements = QuadraticElements(mesh)
        stress = nodal_stress(elements, LAW, pulled(elements, 100.0).displacement)
        found.append(von_mises_plane_stress(stress)[: len(x)][far])
        mesh = mesh.refined()
    errors = [norm(s - found[2]) / norm(found[2]) for s in found[:2]]
    assert errors[0] < 0.03
    assert np.log2(errors[0] / errors[1]) > 1.7


def test_triangles_are_sorted_and_anticlockwise(full_size):
    for level in full_size.levels:
        t = level.triangles
        assert (t[:, 0] == t.min(axis=1)).all()
        assert (np.lexsort(t.T[::-1]) == np.arange(len(t))).all()
        assert CellMesh(level.points, t, np.full(len(level.points), np.nan), None).areas().min() > 0


# ---- a case ------------------------------------------------------------------------------------------


def test_all_levels_read_one_solution(full_size):
    coarse, middle, fine = full_size.levels
    for level in (coarse, middle):
        n = len(level.points)
        np.testing.assert_array_equal(fine.points[:n], level.points)
        np.testing.assert_array_equal(fine.von_mises[:n], level.von_mises)
    np.testing.assert_allclose(fine.von_mises, von_mises_plane_stress(fine.cauchy))
    assert full_size.residuals[-1][-1] < 1e-9
    assert full_size.radius[0] == pytest.approx(full_size.radius[41], abs=1e-12)
    assert np.abs(fine.displacement[fine.boundary == 1]).max() == 0
    assert 1e-4 < np.abs(fine.displacement).max() < 1e-3
    assert 100 < coarse.von_mises.mean() < 400


def test_the_stress_on_the_top_edge_is_the_traction(full_size):
    fine = full_size.levels[2]
    x = fine.points[:, 0]
    inner = (fine.boundary == 2) & (x > 0.2) & (x < 0.8)
    assert np.abs(fine.cauchy[inner, 1] / 100 - 1).max() < 0.05
    assert np.abs(fine.cauchy[inner, 2] / 100).max() < 0.05


def test_nodes_and_vertices_must_coincide(monkeypatch):
    from geoops.data.unit_cell import _case

    monkeypatch.setattr(_case, "SAME_POINT", -1.0)
    with pytest.raises(CaseRejected, match="from the nearest node"):
        solve_case(0, **COARSE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"load": 0.0}, "finite load"),
        ({"load": float("nan")}, "finite load"),
        ({"seed": -1}, "seed >= 0"),
        ({"modes": -1}, "modes >= 0"),
        ({"void_size": 0.0}, "void_size"),
        ({"corner_size": 0.3}, "corner_size"),
    ],
)
def test_bad_options_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        solve_case(0, **options)
    with pytest.raises(ValueError, match=message):
        make(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_bad_index_and_bad_coefficients_are_refused():
    with pytest.raises(ValueError, match="index >= 0"):
        solve_case(-1)
    with pytest.raises(ValueError, match="coefficients"):
        Void(np.zeros(3))
