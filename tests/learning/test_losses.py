import math

import pytest
import torch

from geoops.data import Normalizer, Task
from geoops.learning import FieldScale, mse, rel_l2, relative_errors

PLAIN = FieldScale(torch.zeros(1), torch.ones(1), (0,))


def test_two_samples_by_hand():
    target = torch.tensor([[[3.0], [4.0]], [[1.0], [0.0]]])
    prediction = torch.tensor([[[3.0], [1.0]], [[1.5], [0.0]]])
    torch.testing.assert_close(relative_errors(prediction, target, PLAIN), torch.tensor([[3 / 5], [0.5]]))
    torch.testing.assert_close(rel_l2(prediction, target, PLAIN), torch.tensor(0.55))
    torch.testing.assert_close(mse(prediction, target), torch.tensor((9 + 0.25) / 4))


def test_the_mean_is_added_back():
    """On standardised values the ratio is that of physical values, (2 z) / (2 z + 10) here."""
    scale = FieldScale(torch.tensor([10.0]), torch.tensor([2.0]), (0,))
    target, prediction = torch.tensor([[[-1.0], [1.0]]]), torch.tensor([[[-1.5], [1.5]]])
    expected = math.sqrt(2) / math.sqrt(8**2 + 12**2)
    assert rel_l2(prediction, target, scale).item() == pytest.approx(expected, rel=1e-6)


def test_padding_does_not_count():
    target, prediction = torch.rand(2, 5, 1), torch.rand(2, 5, 1)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected = relative_errors(prediction[1:, :3], target[1:, :3], PLAIN)
    for wild in (0.0, 1e6, math.nan):
        prediction[1, 3:] = wild
        torch.testing.assert_close(relative_errors(prediction, target, PLAIN, mask)[1:], expected)
    square = (prediction - target).square()[..., 0]
    torch.testing.assert_close(mse(prediction, target, mask), (square[0].mean() + square[1, :3].mean()) / 2)


def test_fields_of_any_unit_weigh_the_same():
    """The error of a vector is one number; units of another field do not matter."""
    target = torch.rand(3, 7, 3) + 0.5
    prediction = target + 0.1 * torch.rand(3, 7, 3)
    one = relative_errors(prediction, target, FieldScale(torch.zeros(3), torch.ones(3), (0, 1, 1)))
    two = relative_errors(prediction, target, FieldScale(torch.zeros(3), torch.tensor([1e6, 1e-6, 1e-6]), (0, 1, 1)))
    torch.testing.assert_close(one, two)
    vector = (prediction - target)[..., 1:].flatten(1).norm(dim=1) / target[..., 1:].flatten(1).norm(dim=1)
    torch.testing.assert_close(one[:, 1], vector)


def test_a_perfect_prediction_has_finite_gradient():
    target = torch.rand(2, 4, 1)
    prediction = target.clone().requires_grad_()
    loss = rel_l2(prediction, target, PLAIN)
    loss.backward()
    assert loss < 1e-10
    assert torch.isfinite(prediction.grad).all()


def test_scale_of_a_normaliser(folder):
    from geoops.data import MeshFolder

    task = Task([], ["stress", "shift"])
    normalizer = Normalizer.fit(MeshFolder(folder, split="train", inputs=[], targets=["stress", "shift"]), task)
    scale = FieldScale.of(normalizer)
    assert scale.fields == (0, 1, 1)
    assert scale.to(torch.zeros(1, dtype=torch.double)).std.dtype == torch.double
