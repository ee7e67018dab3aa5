"""The feed-forward network that draws an image anew in one style, its input and output, and its gates."""

import copy

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from binorm.experiments.common.errors import UserError, lookup
from binorm.experiments.models.norms import NORMS, NormLayer

STYLE_NORMS = tuple(name for name, norm in NORMS.items() if norm.affine)


class ConvNorm(nn.Module):
    """Nearest upsampling (if any), a convolution without bias with reflected borders, a norm, and ReLU (if any)."""

    def __init__(
        self,
        norm_layer: NormLayer,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        upsample: bool = False,
        apply_act: bool = True,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False, padding_mode="reflect"
        )
        self.norm = norm_layer(out_channels, apply_act=apply_act)

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H', W')."""
        if self.upsample:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        y: Tensor = self.norm(self.conv(x), residual)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions with norms whose result is added to the input; no ReLU after the sum."""

    def __init__(self, norm_layer: NormLayer, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(norm_layer, channels, channels, 3)
        self.second = ConvNorm(norm_layer, channels, channels, 3, apply_act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = self.second(self.first(x), x)
        return y


class StyleNetwork(nn.Module):
    """Johnson et al.'s network: two halvings of the size, residual blocks, two doublings.

    Takes and gives pictures as (N, 3, H, W), RGB in [0, 1], of any height and width from `MIN_SIZE` pixels on; sizes
    that are no multiple of 4 are cut back to what came in.

    Args:
        width: channels at full size; twice as many at half, four times at a quarter of it.
        blocks: residual blocks.
        norm: ``bn``, ``in``, ``bn+in`` or ``bin``.

    Raises:
        UserError: for another norm, or a width or number of blocks that is not positive.

    Source: Johnson, Alahi & Fei-Fei, *Perceptual Losses for Real-Time Style Transfer and Super-Resolution*, ECCV 2016,
    supplementary material; reflected borders and upsampling by nearest neighbours instead of transposed convolutions
    (Odena, Dumoulin & Olah, *Deconvolution and Checkerboard Artifacts*, 2016).
    """

    MIN_SIZE = 8

    def __init__(self, width: int = 16, blocks: int = 5, norm: str = "bin") -> None:
        super().__init__()
        norm_layer = lookup("norm of a style network:", norm, {name: NORMS[name].layer for name in STYLE_NORMS})
        for name, value in (("width", width), ("blocks", blocks)):
            if value < 1:
                raise UserError(f"{name} should be at least 1 (got {value})")
        self.width, self.norm_name = width, norm
        self.encoder = nn.Sequential(
            ConvNorm(norm_layer, 3, width, 9),
            ConvNorm(norm_layer, width, 2 * width, 3, stride=2),
            ConvNorm(norm_layer, 2 * width, 4 * width, 3, stride=2),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(norm_layer, 4 * width) for _ in range(blocks)))
        self.decoder = nn.Sequential(
            ConvNorm(norm_layer, 4 * width, 2 * width, 3, upsample=True),
            ConvNorm(norm_layer, 2 * width, width, 3, upsample=True),
        )
        self.last = nn.Conv2d(width, 3, 9, padding=4, padding_mode="reflect")

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> the same shape and range."""
        x = self.decoder(self.blocks(self.encoder(2 * pictures - 1)))
        y: Tensor = self.last(x[..., : pictures.shape[-2], : pictures.shape[-1]])
        return y.sigmoid()


def shift_gates(network: StyleNetwork, shift: float) -> StyleNetwork:
    r"""A copy whose gates lie nearer to instance norm or to batch norm.

    .. math:: \rho' = \rho \, (1 + s) \text{ for } s < 0, \quad \rho' = \rho + (1 - \rho) \, s \text{ for } s \ge 0

    ``shift`` is s, from -1 (every gate 0: instance norm) over 0 (as trained) to 1 (every gate 1: batch norm).

    Raises:
        UserError: for a shift outside [-1, 1], and for any but 0 where the network's norm has no gates.
    """
    if not -1.0 <= shift <= 1.0:
        raise UserError(f"the gates' shift should lie between -1 (all IN) and 1 (all BN) (got {shift})")
    shifted = copy.deepcopy(network)
    if shift == 0.0:
        return shifted
    gates = [value.data for name, value in shifted.named_parameters() if name.endswith(".gate")]
    if not gates:
        raise UserError(
            f"a style network with the norm {network.norm_name!r} has no gates to shift (got {shift}): take 0, or a "
            "style trained with 'bin'"
        )
    for gate in gates:
        gate.clamp_(0.0, 1.0)
        torch.lerp(gate, torch.full_like(gate, float(shift > 0)), abs(shift), out=gate)
    return shifted


def network_input(pixels: numpy.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> (1, 3, H, W) in [0, 1], float32 and channels_last."""
    return torch.from_numpy(numpy.array(pixels, dtype=numpy.float32, order="C")).permute(2, 0, 1)[None].div_(255)


def network_output(images: Tensor) -> numpy.ndarray:
    """(1, 3, H, W) in [0, 1], which is overwritten -> uint8 (H, W, 3)."""
    levels: numpy.ndarray = images[0].permute(1, 2, 0).mul_(255).round_().to(torch.uint8).contiguous().numpy()
    return levels
