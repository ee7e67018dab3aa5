import pytest
import torch
from torch import nn

from binorm.experiments.models.norms import NORMS
from binorm.experiments.models.plain import CifarAlexNet, CifarVGG19


@pytest.mark.parametrize(
    ("network", "kernels", "channels"),
    [
        (CifarAlexNet, [11, 5, 3, 3, 3], [64, 192, 384, 256, 256]),
        (CifarVGG19, [3] * 16, [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8),
    ],
)
def test_a_norm_of_the_same_width_follows_each_convolution(network, kernels, channels):
    with torch.device("meta"):
        modules = list(network(10, NORMS["bn"]).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    assert [conv.kernel_size[0] for conv in convolutions] == kernels
    assert [conv.out_channels for conv in convolutions] == channels
    assert [norm.num_features for norm in norms] == channels
    assert all(conv.bias is not None for conv in convolutions)


@pytest.mark.parametrize(
    ("network", "sides"),
    [(CifarAlexNet, [8, 4, 2, 2, 2]), (CifarVGG19, [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4)],
)
def test_sides_of_the_maps_at_the_norms(network, sides):
    with torch.device("meta"):
        model = network(10, NORMS["bn"])
    seen = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    model(torch.empty(2, 3, 32, 32, device="meta"))
    assert seen == sides


@pytest.mark.parametrize(("network", "smallest"), [(CifarAlexNet, 29), (CifarVGG19, 32)])
def test_the_smallest_pictures_that_pass(network, smallest):
    with torch.device("meta"):
        model = network(10, NORMS["bn"])
    assert model(torch.empty(2, 3, smallest, smallest, device="meta")).shape == (2, 10)
    with pytest.raises(RuntimeError, match="too small"):
        model(torch.empty(2, 3, smallest - 1, smallest - 1, device="meta"))
