import torch

from binorm.experiments.models.densenet import DenseLayer, DenseNetBC, Transition
from binorm.experiments.models.norms import NORMS


def test_a_dense_layer_passes_its_input_on_and_adds_channels():
    x = torch.randn(2, 6, 4, 4)
    y = DenseLayer(6, 3, NORMS["bn"].layer)(x)
    assert y.shape == (2, 9, 4, 4)
    assert torch.equal(y[:, :6], x)
    assert y[:, 6:].abs().sum() > 0


def test_a_transition_averages_two_by_two_pixels():
    transition = Transition(4, 2, NORMS["bn"].layer).eval()
    transition.conv.weight.data = torch.eye(4)[:2, :, None, None]
    x = torch.rand(1, 4, 2, 2)
    torch.testing.assert_close(transition(x), x[:, :2].mean((2, 3), keepdim=True), atol=1e-4, rtol=1e-4)


def test_widths_of_densenet_bc_100_12():
    with torch.device("meta"):
        network = DenseNetBC(100, 12, 10, NORMS["bn"].layer)
    assert [len(stage) for stage in (network.stage1, network.stage2, network.stage3)] == [16, 16, 16]
    transitions = (network.transition1.conv, network.transition2.conv)
    assert [(conv.in_channels, conv.out_channels) for conv in transitions] == [(216, 108), (300, 150)]
    assert network.head.in_features == 342
