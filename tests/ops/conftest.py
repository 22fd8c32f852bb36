"""Derivatives of an op in every way that torch has of taking them."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck


def _check(function, *inputs):
    """Compares reverse mode, forward mode and their batched and second-order forms with finite differences and each other."""
    inputs = [x.detach().double().requires_grad_() for x in inputs]
    assert gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert gradgradcheck(function, inputs, check_fwd_over_rev=True)

    def energy(x):
        return function(x, *(y.detach() for y in inputs[1:])).sin().sum()

    x = inputs[0].detach()
    expected = torch.autograd.functional.hessian(energy, x)
    for hessian in (torch.func.hessian(energy), torch.func.jacrev(torch.func.jacrev(energy))):
        torch.testing.assert_close(hessian(x), expected)
    batch = torch.stack([x, x.flip(0), 0.5 * x])
    rows = torch.stack([torch.func.grad(energy)(row) for row in batch])
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(energy))(batch), rows)
    shared = [None for _ in inputs[1:]]
    values = torch.func.vmap(function, (0, *shared))(batch, *inputs[1:])
    torch.testing.assert_close(values[1], function(batch[1], *inputs[1:]))


@pytest.fixture
def check_derivatives():
    return _check
