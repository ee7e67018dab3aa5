"""Loss networks: trained classifiers whose features say what is on a picture and how it is drawn."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.images import IMAGENET_MEAN, IMAGENET_STD
from binorm.experiments.common.tensors import read_safetensors

VGG_CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}  # of each of the five resolutions
FIRE_MODULES = range(2, 9)  # of SqueezeNet 1.1
POOLED_BEFORE = (2, 4, 6)  # fire modules of it that a pooling precedes
CAFFE_MEAN = (103.939, 116.779, 123.68)  # blue, green, red, of 255
MAX_WEIGHTS_BYTES = 2**30


class LossNetwork(nn.Module):
    """Features of images at named layers of a classifier whose weights never change.

    Layers are named as in the literature, after their ReLU: ``relu1_2`` of a VGG, ``conv1`` or ``fire4`` of SqueezeNet.

    Args:
        layers: convolutions (each followed by its ReLU), fire modules and poolings, by name, in order.
        caffe: whether images go in as blue, green, red in 0 to 255 less their means (the weights of Caffe's zoo),
            instead of as red, green, blue normalized by ImageNet's means and deviations (torchvision's).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: dict[str, nn.Module], caffe: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(layers)
        self.caffe = caffe
        mean, std = (CAFFE_MEAN, (1.0, 1.0, 1.0)) if caffe else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def names(self) -> list[str]:
        """The layers whose features can be asked for."""
        return [_feature_name(name) for name in self.layers if not name.startswith("pool")]

    def forward(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """(N, 3, H, W), RGB in [0, 1] -> the features of each layer in ``names``, (N, C, H', W').

        Nothing behind the last of them is computed.
        """
        x = 255 * images.flip(1) if self.caffe else images
        x = (x - self.mean) / self.std
        features: dict[str, Tensor] = {}
        for name, layer in self.layers.items():
            x = layer(x)
            if _feature_name(name) in names:
                features[_feature_name(name)] = x
                if len(features) == len(set(names)):
                    break
        return features


class _Convolution(nn.Conv2d):
    """A convolution with its ReLU."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(super().forward(input), inplace=True)


class _Fire(nn.Module):
    """SqueezeNet's module: a narrow 1x1 convolution, then 1x1 and 3x3 side by side."""

    def __init__(self, squeeze: nn.Module, expand1x1: nn.Module, expand3x3: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.expand1x1, self.expand3x3 = squeeze, expand1x1, expand3x3

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1)


def load_loss_network(name: str) -> LossNetwork:
    """A loss network by its name or from a file of weights.

    Args:
        name: ``vgg16`` or ``vgg19``, torchvision's with its ImageNet weights, downloaded the first time; or a ``.npz``
            or ``.safetensors`` file with ``conv1_1.weight``, ``conv1_1.bias``, … of a VGG in Caffe's convention, or
            ``conv1.weight``, ``fire2/squeeze1x1.weight``, … of SqueezeNet 1.1. A file may end early: it gives the
            layers that it holds whole.

    Raises:
        UserError: for another name, weights that cannot be downloaded, and a file that holds something else.
    """
    if name in VGG_CONVOLUTIONS:
        return _torchvision_vgg(name)
    path = Path(name)
    if path.suffix not in (".npz", ".safetensors"):
        raise UserError(f"loss_network should be {', '.join(VGG_CONVOLUTIONS)}, a .npz or .safetensors (got {name!r})")
    arrays = _read(path)
    if "conv1_1.weight" in arrays:
        return LossNetwork(_vgg(arrays, VGG_CONVOLUTIONS["vgg19"], path), caffe=True)
    if "conv1.weight" in arrays and "fire2/squeeze1x1.weight" in arrays:
        return LossNetwork(_squeezenet(arrays, path), caffe=False)
    raise UserError(
        f"{path} holds no loss network: expected conv1_1.weight (VGG) or conv1.weight and fire2/squeeze1x1.weight "
        f"(SqueezeNet 1.1), found {', '.join(sorted(arrays)[:3]) or 'nothing'}"
    )


def _torchvision_vgg(name: str) -> LossNetwork:
    from torchvision import models

    try:
        vgg = models.get_model(name, weights="IMAGENET1K_V1")
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights of {name} cannot be downloaded ({error}): give a file of weights with --loss_network"
        ) from error
    names = [f"{layer}.{kind}" for layer in _vgg_names(VGG_CONVOLUTIONS[name]) for kind in ("weight", "bias")]
    arrays = dict(zip(names, vgg.features.state_dict().values(), strict=True))
    return LossNetwork(_vgg(arrays, VGG_CONVOLUTIONS[name], Path(name)), caffe=False)


def _vgg_names(convolutions: Sequence[int]) -> list[str]:
    return [f"conv{stage}_{index}" for stage, count in enumerate(convolutions, 1) for index in range(1, count + 1)]


def _vgg(arrays: dict[str, Tensor], convolutions: Sequence[int], source: Path) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {}
    for name in _vgg_names(convolutions):
        if f"{name}.weight" not in arrays:
            break  # the file ends here
        if name.endswith("_1") and layers:
            layers[f"pool{name[4]}"] = nn.MaxPool2d(2)
        layers[name] = _convolution(arrays, name, source, padding=1)
    return layers


def _squeezenet(arrays: dict[str, Tensor], source: Path) -> dict[str, nn.Module]:
    layers: dict[str, nn.Module] = {"conv1": _convolution(arrays, "conv1", source, stride=2)}
    for index in FIRE_MODULES:
        parts = [f"fire{index}/{part}" for part in ("squeeze1x1", "expand1x1", "expand3x3")]
        if any(f"{part}.{kind}" not in arrays for part in parts for kind in ("weight", "bias")):
            break
        if index in POOLED_BEFORE:
            layers[f"pool{index}"] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        squeeze, one, three = (_convolution(arrays, part, source, padding=int("3x3" in part)) for part in parts)
        layers[f"fire{index}"] = _Fire(squeeze, one, three)
    return layers


def _convolution(arrays: dict[str, Tensor], name: str, source: Path, stride: int = 1, padding: int = 0) -> nn.Module:
    weight, bias = arrays[f"{name}.weight"], arrays.get(f"{name}.bias")
    if weight.dim() != 4 or bias is None or bias.shape != weight.shape[:1]:
        shapes = f"{tuple(weight.shape)} and {None if bias is None else tuple(bias.shape)}"
        raise UserError(f"{name} in {source} should have a weight (O, I, H, W) and a bias (O,), got {shapes}")
    out_channels, in_channels, *kernel = weight.shape
    layer = _Convolution(in_channels, out_channels, (kernel[0], kernel[1]), stride, padding)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _read(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise UserError(f"there is no file of weights at {path}: check --loss_network")
    if path.suffix == ".safetensors":
        return read_safetensors(path)[0]
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_WEIGHTS_BYTES:
            raise UserError(f"{path} holds {size:,} bytes, more than the {MAX_WEIGHTS_BYTES:,} that weights may have")
        with numpy.load(path, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name].astype(numpy.float32)) for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged or no .npz file of arrays ({error}): get it again") from error


def _feature_name(layer: str) -> str:
    """``relu1_2`` for the VGGs' ``conv1_2``; SqueezeNet's layers keep their names."""
    return f"relu{layer.removeprefix('conv')}" if "_" in layer else layer
