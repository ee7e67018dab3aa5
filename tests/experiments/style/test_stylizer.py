import numpy
import pytest
import torch
from random_styles import random_style_network
from sklearn.datasets import load_sample_image

from binorm.experiments.common.errors import UserError
from binorm.experiments.style.drawing import stylizer as stylizer_module
from binorm.experiments.style.drawing.stylizer import Stylizer


@pytest.fixture(scope="module")
def photo():
    return numpy.ascontiguousarray(load_sample_image("flower.jpg")[100:167, 200:293])


def test_a_picture_is_what_the_network_draws(photo):
    network = random_style_network()
    stylized = Stylizer(network)(photo)
    expected = network(torch.from_numpy(photo.transpose(2, 0, 1) / 255).float()[None])[0].permute(1, 2, 0) * 255
    assert stylized.dtype == numpy.uint8
    assert stylized.flags.c_contiguous
    assert numpy.abs(stylized - expected.numpy()).max() < 0.51


def test_the_gates_shift_and_the_network_stays(photo):
    network = random_style_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    as_trained, shifted = Stylizer(network)(photo), Stylizer(network, gate_shift=-1.0)(photo)
    assert numpy.abs(as_trained.astype(int) - shifted).mean() > 2
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_strength_blends_photo_and_style(photo):
    stylizer = Stylizer(random_style_network())
    stylized = stylizer(photo)
    assert numpy.array_equal(stylizer(photo, 0.0), photo)
    for strength in (0.25, 0.9):
        expected = (1 - strength) * photo + strength * stylized
        assert numpy.abs(stylizer(photo, strength) - expected).max() < 0.501


def test_blending_in_parts_makes_no_difference(photo, monkeypatch):
    stylizer = Stylizer(random_style_network())
    at_once = stylizer(photo, 0.5)
    monkeypatch.setattr("binorm.experiments.style.drawing.stylizer.BLENDED_VALUES", 1000)
    assert numpy.array_equal(stylizer(photo, 0.5), at_once)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_out_of_range_are_refused(photo, strength):
    with pytest.raises(UserError, match="between 0 .* and 1"):
        Stylizer(random_style_network())(photo, strength)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 3), (7, 7), (8, 8), (9, 11)])
def test_small_pictures_are_enlarged_by_their_edges(photo, size):
    small = photo[: size[0], : size[1]]
    stylizer = Stylizer(random_style_network())
    stylized = stylizer(small)
    assert stylized.shape == (*size, 3)
    enlarged = small[numpy.arange(max(8, size[0])).clip(max=size[0] - 1)]
    enlarged = enlarged[:, numpy.arange(max(8, size[1])).clip(max=size[1] - 1)]
    assert numpy.array_equal(stylized, stylizer(enlarged)[: size[0], : size[1]])


def test_large_pictures_go_by_strips_to_the_same_result(photo, monkeypatch):
    network = random_style_network()
    calls = []
    original = stylizer_module.stylize_in_strips
    monkeypatch.setattr(
        stylizer_module, "stylize_in_strips", lambda *given: calls.append(given[1].shape) or original(*given)
    )
    whole = Stylizer(network, max_whole_pixels=photo.shape[0] * photo.shape[1])(photo)
    assert calls == []
    strips = Stylizer(network, max_whole_pixels=photo.shape[0] * photo.shape[1] - 1)(photo)
    assert calls == [photo.shape]
    assert numpy.abs(whole.astype(int) - strips).max() <= 1


def test_read_only_and_turned_arrays_are_fine(photo):
    stylizer = Stylizer(random_style_network())
    turned = photo.copy()[::-1, :, ::-1]
    turned.flags.writeable = False
    assert numpy.array_equal(stylizer(turned), stylizer(numpy.ascontiguousarray(turned)))


@pytest.mark.parametrize(
    "array", [numpy.zeros((9, 9), numpy.uint8), numpy.zeros((9, 9, 4), numpy.uint8), numpy.zeros((9, 9, 3)),
              numpy.zeros((0, 9, 3), numpy.uint8)]
)  # fmt: skip
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match=r"expected a uint8 array \(H, W, 3\) \(got"):
        Stylizer(random_style_network())(array)
