import pytest
import torch
import torch.nn.functional as F

from geoops.layers import FFN, activation, mlp


def test_ffn_is_linear_gelu_norm_linear():
    torch.manual_seed(0)
    block, x = FFN(3, 8, 2), torch.randn(5, 4, 3)
    expected = block.second(F.layer_norm(F.gelu(block.first(x)), (8,), block.norm.weight, block.norm.bias))
    torch.testing.assert_close(block(x), expected)


def test_mlp_has_activations_between_layers_only():
    net = mlp([2, 4, 4, 1], "relu")
    assert [type(layer).__name__ for layer in net] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert mlp([2, 1]).__len__() == 1


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="'gelux'"):
        activation("gelux")
