import numpy
import pytest
import torch
from random_styles import random_style_network
from sklearn.datasets import load_sample_image
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from binorm.experiments.style.drawing.affine import ChannelStatistics, norm_as_affine
from binorm.experiments.style.drawing.strips import MIN_STRIP_ROWS, StripWalk, stylize_in_strips
from binorm.experiments.style.network import STYLE_NORMS, network_input, network_output


@pytest.fixture(scope="module")
def photo():
    """Dark and flat above, bright and full of contrast below."""
    pixels = numpy.ascontiguousarray(load_sample_image("china.jpg")[:, :420])
    pixels[:200] //= 12
    return pixels


def _whole(network, pixels):
    return network_output(network(network_input(pixels)))


def _strip_bytes(rows, width, network):
    return 4 * network.width * width * rows


def _difference(one, other):
    return numpy.abs(one.astype(int) - other)


@pytest.mark.parametrize("norm", STYLE_NORMS)
@pytest.mark.parametrize("size", [(333, 101), (101, 333), (17, 16), (9, 8), (41, 42), (60, 60)])
def test_strips_draw_what_the_whole_network_draws(photo, norm, size):
    network = random_style_network(norm, blocks=2)
    pixels = photo[150:][: size[0], : size[1]]
    whole = _whole(network, pixels)
    for rows in (16, 20, 60, 1000):
        difference = _difference(stylize_in_strips(network, pixels, _strip_bytes(rows, min(size), network)), whole)
        assert difference.max() <= 1
        assert difference.mean() < 0.02


def test_statistics_are_those_of_the_whole_picture(photo):
    network = random_style_network("in", width=8)
    pixels = photo[:, :400]
    whole, alone = _whole(network, pixels), _whole(network, pixels[:200])
    assert _difference(alone, whole[:200]).mean() > 10  # tiles with statistics of their own would be seen at once
    strips = stylize_in_strips(network, pixels, _strip_bytes(32, 400, network))
    assert _difference(strips, whole).max() <= 1


def test_a_picture_of_one_colour_stays_without_seams():
    network = random_style_network("bin", width=8)
    pixels = numpy.full((200, 64, 3), (250, 3, 128), numpy.uint8)
    strips = stylize_in_strips(network, pixels, _strip_bytes(16, 64, network))
    assert _difference(strips, _whole(network, pixels)).max() <= 1


def test_large_weights_do_not_overflow(photo):
    network = random_style_network("in")
    for name, value in network.named_parameters():
        if "conv.weight" in name:
            value *= 1e6
    strips = stylize_in_strips(network, photo[:90, :80], 1)
    assert _difference(strips, _whole(network, photo[:90, :80])).max() <= 1


class _Sizes(TorchDispatchMode):
    """Notes the bytes of every tensor that is computed."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("size", [(640, 64), (64, 640)])
def test_no_tensor_is_as_large_as_a_map_of_the_whole_picture(size):
    network = random_style_network(width=4)
    pixels = numpy.random.default_rng(0).integers(0, 256, (*size, 3), dtype=numpy.uint8)
    map_bytes, strip_bytes = _strip_bytes(640, 64, network), _strip_bytes(16, 64, network)
    sizes = {}
    for name, draw in (("strips", lambda: stylize_in_strips(network, pixels, strip_bytes)),
                       ("whole", lambda: _whole(network, pixels))):  # fmt: skip
        with torch.inference_mode(), _Sizes() as noted:
            draw()
        sizes[name] = noted.largest
    assert sizes["whole"] >= 2 * map_bytes
    assert sizes["strips"] <= map_bytes / 4 + 1000  # what is kept at a quarter of the size


@pytest.mark.parametrize(("width", "strip_bytes", "rows"), [(1000, 10 * 16 * 1000, 16), (1000, 43 * 16 * 1000, 40)])
def test_strips_have_as_many_rows_as_memory_allows(width, strip_bytes, rows):
    pixels = numpy.zeros((1200, width, 3), numpy.uint8)
    assert StripWalk(random_style_network(), pixels, strip_bytes).strip_rows == rows >= MIN_STRIP_ROWS


def test_statistics_of_pieces_are_those_of_the_whole():
    torch.manual_seed(0)
    map_ = torch.randn(1, 5, 60, 7) * torch.linspace(1, 30, 60)[:, None] + 1000 * torch.rand(5, 1, 1)
    statistics = ChannelStatistics(5)
    for top, bottom in ((0, 1), (1, 30), (30, 59), (59, 60)):
        statistics.add(map_[:, :, top:bottom])
    expected = torch.var_mean(map_.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(statistics.variance, expected[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(statistics.mean, expected[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("norm", STYLE_NORMS)
def test_a_norm_is_an_affine_map(norm):
    layer: nn.Module = random_style_network(norm).blocks[0].second.norm
    x = torch.randn(1, 16, 9, 11) * 3 + 2
    statistics = ChannelStatistics(16)
    statistics.add(x)
    torch.testing.assert_close(norm_as_affine(layer, statistics)(x), layer(x), rtol=1e-5, atol=1e-5)
