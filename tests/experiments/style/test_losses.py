import numpy
import pytest
import tiny_style
import torch
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.training.loss_network import LossNetwork, load_loss_network
from binorm.experiments.style.training.losses import PerceptualLoss, gram_matrix, relative_error, total_variation


@pytest.fixture
def vgg(tmp_path):
    return load_loss_network(str(tiny_style.write_loss_network(tmp_path / "vgg.npz")))


def test_gram_matrix_is_the_mean_product_of_channels():
    features = torch.randn(2, 3, 4, 5)
    gram = gram_matrix(features)
    expected = sum(features[1, 0, i, j] * features[1, 2, i, j] for i in range(4) for j in range(5)) / 20
    assert gram.shape == (2, 3, 3)
    torch.testing.assert_close(gram[1, 0, 2], expected)


def test_relative_error_is_0_for_equal_and_1_for_nothing():
    wanted = torch.randn(2, 3)
    assert relative_error(wanted, wanted) == 0
    torch.testing.assert_close(relative_error(torch.zeros(2, 3), wanted), torch.tensor(1.0))
    torch.testing.assert_close(relative_error(1.5 * wanted, wanted), torch.tensor(0.25))


def test_total_variation_of_a_ramp():
    ramp = torch.arange(5.0).expand(1, 3, 4, 5)
    assert total_variation(ramp) == 1.0
    assert total_variation(torch.ones(1, 3, 4, 5)) == 0


def test_caffe_weights_see_blue_green_red_less_their_means(vgg):
    picture = torch.rand(1, 3, 8, 8)
    bgr = 255 * picture[:, [2, 1, 0]] - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    first = vgg.layers["conv1_1"]
    expected = F.relu(F.conv2d(bgr, first.weight, first.bias, padding=1))
    torch.testing.assert_close(vgg(picture, ["relu1_1"])["relu1_1"], expected)
    pooled = F.max_pool2d(vgg(picture, ["relu1_2"])["relu1_2"], 2)
    second = vgg.layers["conv2_1"]
    expected = F.relu(F.conv2d(pooled, second.weight, second.bias, padding=1))
    torch.testing.assert_close(vgg(picture, ["relu2_1"])["relu2_1"], expected)


def test_nothing_behind_the_last_layer_is_computed(vgg):
    vgg.layers["conv2_1"].weight.data.fill_(float("nan"))
    assert torch.isfinite(vgg(torch.rand(1, 3, 8, 8), ["relu1_2"])["relu1_2"]).all()


def test_weights_as_safetensors_give_the_same(vgg, tmp_path):
    save_file(
        {
            f"{n}.{k}": getattr(vgg.layers[n], k).data
            for n in ("conv1_1", "conv1_2", "conv2_1")
            for k in ("weight", "bias")
        },
        tmp_path / "vgg.safetensors",
    )
    again = load_loss_network(str(tmp_path / "vgg.safetensors"))
    picture = torch.rand(1, 3, 8, 8)
    assert torch.equal(again(picture, ["relu2_1"])["relu2_1"], vgg(picture, ["relu2_1"])["relu2_1"])


def test_squeezenet_pools_before_fire_2_4_and_6_and_ends_where_its_file_ends(tmp_path):
    random = numpy.random.default_rng(0)
    shapes = {"conv1": (8, 3, 3, 3)}
    inputs = 8
    for index in range(2, 7):
        shapes[f"fire{index}/squeeze1x1"] = (2, inputs, 1, 1)
        shapes[f"fire{index}/expand1x1"], shapes[f"fire{index}/expand3x3"] = (4, 2, 1, 1), (4, 2, 3, 3)
    arrays = {f"{name}.weight": random.standard_normal(shape).astype("f") for name, shape in shapes.items()}
    arrays |= {f"{name}.bias": numpy.zeros(shape[0], "f") for name, shape in shapes.items()}
    arrays["fire7/squeeze1x1.weight"] = numpy.zeros((2, 8, 1, 1), "f")  # a module that is not whole
    numpy.savez(tmp_path / "squeeze.npz", **arrays)
    network = load_loss_network(str(tmp_path / "squeeze.npz"))
    assert network.names() == ["conv1", "fire2", "fire3", "fire4", "fire5", "fire6"]
    features = network(torch.rand(1, 3, 65, 65), network.names())
    assert [tuple(each.shape[1:]) for each in features.values()] == [
        (8, 32, 32), (8, 16, 16), (8, 16, 16), (8, 8, 8), (8, 8, 8), (8, 4, 4)
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "layers"), [("vgg16", 13), ("vgg19", 16)])
def test_torchvisions_vggs_are_rebuilt_layer_by_layer(monkeypatch, name, layers):
    from torchvision import models

    real = models.get_model
    made = []

    def untrained(asked, weights):
        made.append(real(asked, init_weights=False))
        return made[0]

    monkeypatch.setattr(models, "get_model", untrained)
    network = load_loss_network(name)
    assert len(network.names()) == layers
    picture = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (picture - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    for layer in made[0].features[: 16 if name == "vgg16" else 18]:  # to relu3_3 and relu3_4
        x = layer(x)
    last = "relu3_3" if name == "vgg16" else "relu3_4"
    torch.testing.assert_close(network(picture, [last])[last], x)


def test_weights_that_cannot_be_downloaded_say_what_to_do(monkeypatch):
    from torchvision import models

    def unreachable(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model", unreachable)
    with pytest.raises(UserError, match="no route to host.*--loss_network"):
        load_loss_network("vgg19")


def test_files_that_are_no_loss_network_are_refused(tmp_path):
    numpy.savez(tmp_path / "other.npz", a=numpy.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no")
    numpy.savez(tmp_path / "flat.npz", **{"conv1_1.weight": numpy.zeros((4, 3)), "conv1_1.bias": numpy.zeros(4)})
    numpy.savez(tmp_path / "pickled.npz", **{"conv1_1.weight": numpy.array([{}], dtype=object)})
    for name, words in {
        "other.npz": "no loss network: expected conv1_1.weight",
        "broken.npz": "damaged or no .npz",
        "flat.npz": r"should have a weight \(O, I, H, W\)",
        "pickled.npz": "damaged or no .npz",
        "absent.npz": "there is no file of weights",
        "vgg11": "loss_network should be vgg16, vgg19",
    }.items():
        with pytest.raises(UserError, match=words):
            load_loss_network(name if name == "vgg11" else str(tmp_path / name))


def test_losses_are_0_where_they_should_be(vgg):
    photograph, style = torch.rand(2, 3, 16, 16), torch.rand(1, 3, 24, 24)
    loss = PerceptualLoss(vgg, style, ["relu1_2"], ["relu1_1", "relu2_1"])
    same = loss(photograph, photograph)
    assert same.content == 0
    assert set(same.style) == {"relu1_1", "relu2_1"}
    assert same.total_style() > 0.01
    assert loss(style, style).total_style() < 1e-10


def test_the_gradient_of_the_losses_reaches_the_picture_only(vgg):
    style, photograph = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    stylized = torch.rand(1, 3, 16, 16, requires_grad=True)
    losses = PerceptualLoss(vgg, style, ["relu1_2"], ["relu2_1"])(stylized, photograph)
    (losses.content + losses.total_style() + losses.variation).backward()
    assert stylized.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in vgg.parameters())


def test_unknown_layers_are_named(vgg):
    assert isinstance(vgg, LossNetwork)
    with pytest.raises(UserError, match="unknown layer of the loss network: 'relu4_1'.*relu1_1, relu1_2, relu2_1"):
        PerceptualLoss(vgg, torch.rand(1, 3, 8, 8), ["relu1_1"], ["relu4_1"])
