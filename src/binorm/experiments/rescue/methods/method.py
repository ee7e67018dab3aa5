"""What a method is that sets a trained network right for other pictures, before or while it sees them."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import Normalize, Restyle


@dataclass(frozen=True)
class Calibration:
    """Unlabelled pictures that a method may learn from beforehand.

    Attributes:
        pictures: uint8 (N, 3, H, W), RGB.
        normalize: such pictures to what the network takes, (N, 3, H, W) in floating point.
        restyle: such pictures and a generator to the same pictures in another style, uint8 of the same shape.
        seed: of all that is drawn; the same seed gives the same bits.

    Raises:
        UserError: for pictures of another shape or dtype, or none.
    """

    pictures: Tensor
    normalize: Normalize
    restyle: Restyle
    seed: int = 0

    def __post_init__(self) -> None:
        shape = tuple(self.pictures.shape)
        if self.pictures.dtype != torch.uint8 or len(shape) != 4 or not self.pictures.numel():
            raise UserError(
                f"expected pictures to calibrate with as uint8 of shape (N, 3, height, width) (got "
                f"{self.pictures.dtype} {shape}): give some dozens of unlabelled ones"
            )

    def generator(self) -> torch.Generator:
        """A new one from the seed."""
        return torch.Generator().manual_seed(self.seed)

    def pairs(self, network: nn.Module, batch_size: int = 64) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of all pictures as they are and restyled, each once, normalized, where ``network`` computes."""
        restyled = self.restyled(self.pictures, self.generator())
        for clean, other in zip(torch.split(self.pictures, batch_size), torch.split(restyled, batch_size), strict=True):
            yield self.seen(clean, network), self.seen(other, network)

    def restyled(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """``restyle``, whose result is checked: a `ValueError` for pictures of another shape or dtype."""
        restyled = self.restyle(pictures, generator)
        if restyled.shape != pictures.shape or restyled.dtype != torch.uint8:
            raise ValueError(
                f"restyle should give uint8 of shape {tuple(pictures.shape)} (got {restyled.dtype} "
                f"{tuple(restyled.shape)})"
            )
        return restyled

    def seen(self, pictures: Tensor, network: nn.Module) -> Tensor:
        """Pictures, uint8 (N, 3, H, W), as ``network`` takes them, on its device."""
        device = next((each.device for each in network.parameters()), None)
        return self.normalize(pictures).to(device)


class Adapted:
    """A network with a method at work: called batch after batch, in the order in which pictures come.

    Args:
        network: a copy that is the method's own, in evaluation mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, batch: Tensor) -> Tensor:
        """Normalized pictures, (N, 3, H, W), to logits, (N, classes), without a graph."""
        logits: Tensor = self.network(batch)
        return logits

    def reset(self) -> None:
        """Forget what was learned from batches so far, to the bit. Methods that learn from none have nothing to do."""


@dataclass(frozen=True)
class Method:
    """One method of `METHODS`.

    Attributes:
        name: on the command line, and in files.
        title: in reports.
        source: the paper.
        summary: what it does, in a sentence.
        batch: whether what it says of a picture depends on other test pictures, beside or before it.
        calibrates: whether it needs unlabelled pictures beforehand.
        prepare: a trained network, which is never changed, and those pictures, to the network at work. Raises a
            `UserError` for networks that the method cannot work on, and where pictures are needed and there are none.
    """

    name: str
    title: str
    source: str
    summary: str
    batch: bool
    calibrates: bool
    prepare: Callable[[nn.Module, Calibration | None], Adapted]


def own_copy(network: nn.Module) -> nn.Module:
    """A deep copy in evaluation mode, of which nothing needs gradients."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def needed(calibration: Calibration | None, method: str) -> Calibration:
    """The pictures beforehand, or a `UserError` where there are none."""
    if calibration is None:
        raise UserError(
            f"{method} needs unlabelled pictures beforehand (got none): give some dozens, or choose a method that does "
            "without"
        )
    return calibration
