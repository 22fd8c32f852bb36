import pytest
import torch

from geoops.layers import context_gradient, inner_loop


def quadratic(target, theta):
    """The misfit of each shape; its gradient is 2 theta^2 (theta c - target) / theta."""

    def misfit(c, k):
        return (theta * c - target).square().sum((1, 2))

    return misfit


@pytest.fixture
def problem():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(3, 2, 4, generator=generator, dtype=torch.float64)
    theta = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    alpha = torch.full((4,), 0.1, dtype=torch.float64, requires_grad=True)
    start = torch.ones(3, 2, 4, dtype=torch.float64)
    return target, theta, alpha, start


@pytest.mark.parametrize("order", ["second", "first", "reptile", "last"])
def test_all_orders_take_the_same_steps(problem, order):
    target, theta, alpha, start = problem
    expected = start
    for _ in range(3):
        expected = expected - alpha.detach() * 2 * theta.detach() * (theta.detach() * expected - target)
    contexts = inner_loop(quadratic(target, theta), start, alpha, 3, order)
    assert len(contexts) == 4
    torch.testing.assert_close(contexts[-1].detach(), expected)


def test_a_shape_takes_the_same_steps_alone(problem):
    target, theta, alpha, start = problem
    together = inner_loop(quadratic(target, theta), start, alpha, 2)[-1]
    alone = inner_loop(quadratic(target[1:2], theta), start[1:2], alpha, 2)[-1]
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-15)


def outer(problem, order, alpha=None, theta=None):
    target, theta_0, alpha_0, start = problem
    theta, alpha = theta_0 if theta is None else theta, alpha_0 if alpha is None else alpha
    misfit = quadratic(target, theta)
    return misfit(inner_loop(misfit, start, alpha, 2, order)[-1], 2).sum()


def test_second_order_gradient_is_the_derivative(problem):
    _, theta, alpha, _ = problem
    assert torch.autograd.gradcheck(lambda a, t: outer(problem, "second", a, t), (alpha, theta))


def test_other_orders_leave_something_out(problem):
    _, theta, alpha, _ = problem
    exact = torch.autograd.grad(outer(problem, "second"), (theta, alpha))
    for order in ("first", "last", "reptile"):
        other = torch.autograd.grad(outer(problem, order), (theta, alpha))
        assert not torch.allclose(exact[0], other[0])
        assert (other[1] != 0).all()


def test_the_start_receives_gradients_unless_reptile(problem):
    target, theta, alpha, start = problem
    for order, expected in (("second", True), ("last", True), ("first", True), ("reptile", False)):
        c = start.clone().requires_grad_()
        loss = inner_loop(quadratic(target, theta), c, alpha, 2, order)[-1].sum()
        assert (torch.autograd.grad(loss, c, allow_unused=True)[0] is not None) == expected


def test_gradient_exists_where_gradients_are_off(problem):
    target, theta, _, start = problem
    misfit = quadratic(target, theta)
    with torch.no_grad():
        got = context_gradient(lambda c: misfit(c, 0), start.requires_grad_())
    torch.testing.assert_close(got, 2 * 1.5 * (1.5 * torch.ones_like(target) - target))
    assert not got.requires_grad


def test_order_is_checked(problem):
    with pytest.raises(ValueError, match="'third'"):
        inner_loop(quadratic(*problem[:2]), problem[3], problem[2], 1, "third")
