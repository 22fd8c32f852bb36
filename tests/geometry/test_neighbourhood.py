import pytest
import torch

from geoops.geometry import combine, nearest_samples, neighbourhood, spline_shape


@pytest.mark.parametrize("dim", [2, 3])
def test_nearest_of_bodies_in_any_order(dim, device, dtype):
    samples, queries = torch.rand(60, dim, dtype=dtype, device=device), torch.rand(40, dim, dtype=dtype, device=device)
    sample_body, query_body = torch.randint(0, 3, (60,), device=device), torch.randint(0, 3, (40,), device=device)
    nearest = nearest_samples(samples, queries, 5, sample_body, query_body)
    distance = torch.cdist(queries, samples, compute_mode="donot_use_mm_for_euclid_dist")
    distance[query_body[:, None] != sample_body] = torch.inf
    assert nearest.there.all()
    torch.testing.assert_close(distance.gather(1, nearest.index), distance.topk(5, largest=False)[0])


def test_missing_samples_are_marked():
    samples, queries = torch.rand(6, 2), torch.rand(3, 2)
    nearest = nearest_samples(samples, queries, 8)
    assert nearest.index.shape == (3, 8)
    assert nearest.there.sum(1).eq(6).all()
    nearest = nearest_samples(samples, queries, 4, torch.tensor([1, 0, 0, 0, 1, 1]), torch.tensor([1, 0, 7]))
    assert nearest.there.sum(1).tolist() == [3, 3, 0]
    around = neighbourhood(samples, queries[:2], nearest_samples(samples, queries[:2], 8))
    assert (around.weight[:, 6:] == 0).all()
    torch.testing.assert_close(around.weight.sum(1), torch.ones(2))


def test_empty(dtype):
    nearest = nearest_samples(torch.rand(10, 3, dtype=dtype), torch.rand(0, 3, dtype=dtype), 6)
    around = neighbourhood(torch.rand(10, 3, dtype=dtype), torch.rand(0, 3, dtype=dtype), nearest)
    assert spline_shape(around).shape == (0, 6)
    assert combine(around.index, around.shape, torch.rand(2, 10, 3, dtype=dtype)).shape == (2, 0, 3)


@pytest.mark.parametrize("dim", [2, 3])
def test_affine_functions_have_their_gradient_and_value(dim, device, dtype):
    samples, queries = torch.rand(80, dim, dtype=dtype, device=device), torch.rand(50, dim, dtype=dtype, device=device)
    around = neighbourhood(samples, queries, nearest_samples(samples, queries, dim + 9))
    A, b = torch.randn(dim, dim, dtype=dtype, device=device), torch.randn(dim, dtype=dtype, device=device)
    u = samples @ A.mT + b
    gradient = u[around.index].mT @ around.slope
    loose = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(gradient, A.expand_as(gradient), **loose)
    for shape in (around.shape, spline_shape(around)):
        torch.testing.assert_close(combine(around.index, shape, u[None])[0], queries @ A.mT + b, rtol=1e-4, atol=1e-4)
    assert (around.weight >= 0).all()
    torch.testing.assert_close(around.weight.sum(1), torch.ones_like(around.radius))


def test_weights_do_not_jump():
    """Their largest change falls with the step along a path, though neighbours change on it."""
    samples, changes = torch.rand(100, 2, dtype=torch.float64), []
    for steps in (2000, 20000):
        path = torch.linspace(0.2, 0.8, steps + 1, dtype=torch.float64)[:, None].expand(-1, 2)
        around = neighbourhood(samples, path, nearest_samples(samples, path, 10))
        shapes = torch.stack([around.weight, around.shape, spline_shape(around)])
        index = around.index.expand(3, -1, -1)
        dense = torch.zeros(3, len(path), 100, dtype=torch.float64).scatter_add(2, index, shapes)
        changes.append(dense.diff(dim=1).abs().amax((1, 2)))
    assert (changes[1] < 0.2 * changes[0]).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_odd_neighbourhoods_are_finite(dim, dtype):
    line = torch.linspace(0, 1, 30, dtype=dtype)[:, None].expand(30, dim)
    for samples in (line, torch.full((30, dim), 0.3, dtype=dtype), torch.full((30, dim), 1e6, dtype=dtype)):
        queries = torch.cat([samples, torch.rand(10, dim, dtype=dtype)])
        around = neighbourhood(samples, queries, nearest_samples(samples, queries, 8))
        for value in (around.weight, around.shape, around.slope, spline_shape(around)):
            assert value.isfinite().all()


def test_combine_is_differentiable():
    index = torch.randint(0, 7, (4, 3))
    weights, values = torch.rand(4, 3, dtype=torch.float64), torch.rand(2, 7, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w, v: combine(index, w, v), (weights.requires_grad_(), values.requires_grad_()))
    torch.testing.assert_close(combine(index, weights, values), (weights[..., None] * values[:, index]).sum(2))
