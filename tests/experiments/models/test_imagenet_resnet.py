import pytest
import torch
import torchvision

from binorm.experiments.models.imagenet_resnet import IMAGENET_DEPTHS, ImageNetResNet
from binorm.experiments.models.norms import NORMS


@pytest.mark.parametrize("depth", IMAGENET_DEPTHS)
def test_with_torchvisions_weights_it_computes_what_torchvision_does(depth):
    torch.manual_seed(0)
    reference = torchvision.models.get_model(f"resnet{depth}", weights=None, num_classes=10)
    network = ImageNetResNet(depth, 10, NORMS["bn"])
    values = reference.state_dict().values()
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))
    pictures = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(network(pictures), reference(pictures), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", [32, 33, 50, 224, 256])
@pytest.mark.parametrize("depth", IMAGENET_DEPTHS)
def test_pictures_of_any_size_from_32_pass(depth, side):
    with torch.device("meta"):
        network = ImageNetResNet(depth, 10, NORMS["bn"])
        assert network(torch.empty(2, 3, side, side)).shape == (2, 10)


@pytest.mark.parametrize("norm", ["bn", "bn+in", "bin"])
def test_pictures_of_32_pixels_train_although_the_last_maps_are_single_pixels(norm):
    torch.manual_seed(0)
    network = ImageNetResNet(18, 10, NORMS[norm])
    network(torch.randn(2, 3, 32, 32)).logsumexp(1).sum().backward()
    assert all(each.grad.isfinite().all() for each in network.parameters() if each.requires_grad)


def test_instance_norm_needs_33_pixels():
    network = ImageNetResNet(18, 10, NORMS["in"])
    assert network(torch.randn(2, 3, 33, 33)).shape == (2, 10)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        network(torch.randn(2, 3, 32, 32))
