import pytest
import torch
from torch import nn

from geoops.learning._ema import Average


def test_average_with_short_memory_at_the_start():
    module, average = nn.Linear(1, 1, bias=False), Average(0.5)
    nn.init.constant_(module.weight, 0.0)
    average.start(module, module.parameters())
    expected = 0.0
    for t in range(12):
        nn.init.constant_(module.weight, t + 1.0)
        average.update(module)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * (t + 1.0)
        assert average.weights["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_only_active_parameters_are_averaged():
    module, average = nn.Linear(2, 2), Average(0.9)
    average.start(module, [module.weight])
    with torch.no_grad():
        module.weight += 1
        module.bias += 1
    before = average.weights["bias"].clone()
    average.update(module)
    assert torch.equal(average.weights["bias"], before)


def test_swap_is_idempotent_and_reversible():
    module, average = nn.Linear(2, 2), Average(0.9)
    average.start(module, module.parameters())
    first = module.weight.detach().clone()
    with torch.no_grad():
        module.weight += 1
    for _ in range(2):
        average.swap(module, averaged=True)
        assert torch.equal(module.weight, first)
    for _ in range(2):
        average.swap(module, averaged=False)
        assert torch.equal(module.weight, first + 1)
    average.keep(module)
    assert torch.equal(module.weight, first)


def test_state_round_trip_and_bad_decay():
    module, average = nn.Linear(2, 2), Average(0.9)
    average.start(module, module.parameters())
    average.update(module)
    other = Average(0.9)
    other.load_state_dict(average.state_dict())
    assert other.steps == 1
    assert torch.equal(other.weights["weight"], average.weights["weight"])
    assert other.weights["weight"] is not average.weights["weight"]
    with pytest.raises(ValueError, match=r"ema must lie in \[0, 1\), got 1"):
        Average(1.0)
