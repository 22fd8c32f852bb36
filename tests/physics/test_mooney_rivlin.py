"""The plane-stress Mooney-Rivlin law against independent formulas."""

import numpy as np
import pytest
import torch

from geoops.physics import MooneyRivlin, von_mises_plane_stress

C1, C2 = 1.863e5, 9.79e3
MODULUS = 6 * (C1 + C2)
LAW = MooneyRivlin(C1, C2)


@pytest.fixture
def f() -> np.ndarray:
    """Deformation gradients with det F between about 0.3 and 2.5."""
    rng = np.random.default_rng(3)
    f = np.eye(2) + 0.3 * rng.uniform(-1, 1, (200, 2, 2))
    return f[np.linalg.det(f) > 0.3]


def energy_in_three_dimensions(f: torch.Tensor) -> torch.Tensor:
    """Energy from the invariants of the 3x3 gradient diag(F, 1/J): another route than the package's."""
    full = torch.block_diag(f, 1 / torch.linalg.det(f).reshape(1, 1))
    c = full.T @ full
    i1 = c.trace()
    i2 = 0.5 * (i1**2 - (c @ c).trace())
    return C1 * (i1 - 3) + C2 * (i2 - 3)


def test_energy_stress_and_tangent_are_those_of_three_dimensions_by_automatic_differentiation(f):
    for one in f[:20]:
        x = torch.from_numpy(one)
        p = torch.autograd.functional.jacobian(energy_in_three_dimensions, x).numpy()
        a = torch.autograd.functional.hessian(energy_in_three_dimensions, x).numpy()
        np.testing.assert_allclose(LAW.energy(one), energy_in_three_dimensions(x).item(), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(LAW.first_piola(one), p, rtol=0, atol=1e-10 * MODULUS)
        np.testing.assert_allclose(LAW.tangent(one), a, rtol=0, atol=1e-10 * np.abs(a).max())


def test_stress_and_tangent_agree_with_central_differences(f):
    rng = np.random.default_rng(4)
    direction = rng.standard_normal(f.shape)
    h = 1e-5
    slope = (LAW.energy(f + h * direction) - LAW.energy(f - h * direction)) / (2 * h)
    exact = np.einsum("nij,nij->n", LAW.first_piola(f), direction)
    assert np.abs(slope - exact).max() / np.abs(exact).max() < 1e-7
    change = (LAW.first_piola(f + h * direction) - LAW.first_piola(f - h * direction)) / (2 * h)
    exact = np.einsum("nijkl,nkl->nij", LAW.tangent(f), direction)
    assert np.abs(change - exact).max() / np.abs(exact).max() < 1e-7


def test_tangent_is_symmetric(f):
    a = LAW.tangent(f)
    assert np.abs(a - a.transpose(0, 3, 4, 1, 2)).max() / np.abs(a).max() < 1e-13


def test_rotations_leave_the_energy_unchanged_and_turn_the_stress(f):
    angle = np.random.default_rng(5).uniform(0, 2 * np.pi, len(f))
    q = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), -1, 0)
    assert np.abs(LAW.energy(q @ f) - LAW.energy(f)).max() / MODULUS < 1e-12
    assert np.abs(LAW.first_piola(q @ f) - q @ LAW.first_piola(f)).max() / MODULUS < 1e-12
    np.testing.assert_allclose(von_mises_plane_stress(LAW.cauchy(q @ f)), von_mises_plane_stress(LAW.cauchy(f)), rtol=1e-9)


def test_no_stress_and_no_energy_without_deformation():
    assert np.abs(LAW.first_piola(np.eye(2))).max() / MODULUS < 1e-12
    assert abs(LAW.energy(np.eye(2))) / MODULUS < 1e-12


def test_small_strains_follow_plane_stress_elasticity_with_poisson_ratio_one_half():
    rng = np.random.default_rng(6)
    h = rng.standard_normal((2, 2))
    strain = 0.5 * (h + h.T)
    nu = 0.5
    expected = MODULUS / (1 - nu**2) * ((1 - nu) * strain + nu * np.trace(strain) * np.eye(2))
    np.testing.assert_allclose(np.einsum("ijkl,kl->ij", LAW.tangent(np.eye(2)), h), expected, atol=1e-9 * MODULUS)


def test_cauchy_stress_is_first_piola_times_transpose(f):
    sigma = LAW.first_piola(f) @ f.transpose(0, 2, 1)
    s11, s22, s12 = LAW.cauchy(f).T
    for got, expected in (
        (s11, sigma[:, 0, 0]),
        (s22, sigma[:, 1, 1]),
        (s12, sigma[:, 0, 1]),
        (s12, sigma[:, 1, 0]),
    ):
        assert np.abs(got - expected).max() / MODULUS < 1e-12


def test_second_piola_has_a_minus_sign_between_i1_and_c(f):
    for one in f[:20]:
        j = np.linalg.det(one)
        c = np.zeros((3, 3))
        c[:2, :2], c[2, 2] = one.T @ one, j**-2
        s = 2 * C1 * np.eye(3) + 2 * C2 * (np.trace(c) * np.eye(3) - c)
        s -= s[2, 2] * c[2, 2] * np.linalg.inv(c)  # the pressure that leaves no stress across the thickness
        expected = np.linalg.solve(one, LAW.first_piola(one))
        np.testing.assert_allclose(s[:2, :2], expected, atol=1e-10 * MODULUS)


def test_uniaxial_tension():
    stretch = 1.3
    f = np.diag([stretch**-0.5, stretch])
    p = LAW.first_piola(f)
    assert p[1, 1] == pytest.approx(2 * (C1 + C2 / stretch) * (stretch - stretch**-2), rel=1e-12)
    assert np.abs(p[[0, 0, 1], [0, 1, 0]]).max() / MODULUS < 1e-12
    assert von_mises_plane_stress(LAW.cauchy(f)) == pytest.approx(p[1, 1] * stretch, rel=1e-12)


def test_von_mises_agrees_with_the_deviator():
    s = np.random.default_rng(7).standard_normal((50, 3))
    full = np.zeros((50, 3, 3))
    full[:, 0, 0], full[:, 1, 1] = s[:, 0], s[:, 1]
    full[:, 0, 1] = full[:, 1, 0] = s[:, 2]
    deviator = full - np.trace(full, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    np.testing.assert_allclose(von_mises_plane_stress(s), np.sqrt(1.5 * (deviator**2).sum((1, 2))), rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
def test_any_leading_shape_is_kept(shape):
    f = np.broadcast_to(np.eye(2), (*shape, 2, 2)).copy()
    assert LAW.energy(f).shape == shape
    assert LAW.first_piola(f).shape == (*shape, 2, 2)
    assert LAW.tangent(f).shape == (*shape, 2, 2, 2, 2)
    assert LAW.cauchy(f).shape == (*shape, 3)
    assert von_mises_plane_stress(LAW.cauchy(f)).shape == shape


def test_single_precision_stays_single():
    f = np.eye(2, dtype=np.float32) * np.float32(1.1)
    for value in (LAW.energy(f), LAW.first_piola(f), LAW.tangent(f), LAW.cauchy(f)):
        assert value.dtype == np.float32


@pytest.mark.parametrize(("c1", "c2"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1), (float("nan"), 1.0)])
def test_unstable_constants_are_refused(c1, c2):
    with pytest.raises(ValueError, match="expected c1 > 0 and c2 >= 0"):
        MooneyRivlin(c1, c2)
