"""What a tuned network does to pictures that it was not tuned on, against its teacher."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from binorm.experiments.common.errors import UserError
from binorm.experiments.rescue.restyling import Normalize, Restyle
from binorm.experiments.rescue.tuning.settings import TuningSettings


@dataclass(frozen=True)
class HeldOutScore:
    """Of held-out pictures, as they are (``clean``) and restyled.

    Attributes:
        loss: what tuning lowers: the divergences, weighted by how much clean pictures count, and where there are labels
            the cross-entropy beside them.
        clean_divergence: the mean of KL(teacher || network), in nats, times the temperature's square.
        restyled_divergence: the same, the network looking at the picture restyled and the teacher at it as it is.
        clean_agreement: the share of pictures whose class is the teacher's.
        restyled_agreement: the same of restyled ones.
    """

    loss: float
    clean_divergence: float
    restyled_divergence: float
    clean_agreement: float
    restyled_agreement: float


@dataclass(frozen=True)
class HeldOut:
    """Held-out pictures and what the teacher says of them.

    Attributes:
        clean: pictures, uint8 (N, 3, H, W).
        restyled: the same pictures R times over, restyled, uint8 (R N, 3, H, W).
        taught: the teacher's outputs for the clean ones, (N, classes).
        labels: int64 (N,), or None.
    """

    clean: Tensor
    restyled: Tensor
    taught: Tensor
    labels: Tensor | None

    @torch.no_grad()
    def score(self, network: nn.Module, normalize: Normalize, settings: TuningSettings) -> HeldOutScore:
        """Score the network as it is now, in the mode that it is in."""
        clean = outputs(network, torch.split(self.clean, settings.micro_batch), normalize)
        restyled = outputs(network, torch.split(self.restyled, settings.micro_batch), normalize)
        if clean.shape != self.taught.shape:
            raise UserError(
                f"network and teacher should have the same classes (got {clean.shape[1]} and {self.taught.shape[1]})"
            )
        times = len(restyled) // len(clean)
        taught, labels = self.taught.repeat(times, 1), None if self.labels is None else self.labels.repeat(times)
        weight = settings.clean_weight
        loss = weight * losses(clean, self.taught, self.labels, settings).mean()
        loss += (1 - weight) * losses(restyled, taught, labels, settings).mean()
        return HeldOutScore(
            loss.item(),
            divergence(clean, self.taught, settings.temperature).mean().item(),
            divergence(restyled, taught, settings.temperature).mean().item(),
            (clean.argmax(1) == self.taught.argmax(1)).double().mean().item(),
            (restyled.argmax(1) == taught.argmax(1)).double().mean().item(),
        )


def divergence(learned: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """KL(teacher || network) of outputs (N, classes), in nats, times the temperature's square as its gradient needs."""
    own, other = functional.log_softmax(learned / temperature, 1), functional.log_softmax(taught / temperature, 1)
    return functional.kl_div(own, other, reduction="none", log_target=True).sum(1) * temperature**2


def losses(learned: Tensor, taught: Tensor, labels: Tensor | None, settings: TuningSettings) -> Tensor:
    """What each picture costs, (N,)."""
    found = divergence(learned, taught, settings.temperature)
    if labels is None:
        return found
    smoothing = settings.label_smoothing
    cross_entropy = functional.cross_entropy(learned, labels, reduction="none", label_smoothing=smoothing)
    return found + settings.label_weight * cross_entropy


@torch.no_grad()
def outputs(network: nn.Module, batches: Iterable[Tensor], normalize: Normalize) -> Tensor:
    """The network's outputs for batches of pictures, uint8 (N, 3, H, W): float, on the CPU, (all N, classes)."""
    return torch.cat([compute(network, each, normalize).cpu() for each in batches])


def compute(network: nn.Module, pictures: Tensor, normalize: Normalize) -> Tensor:
    """The outputs, float32 or float64 (N, classes), where the network computes.

    Raises:
        UserError: for a network whose outputs are not one row of classes for each picture.
    """
    device = next((each.device for each in network.parameters()), pictures.device)
    found: object = network(normalize(pictures).to(device))
    if not isinstance(found, Tensor) or found.dim() != 2 or len(found) != len(pictures) or found.shape[1] < 2:
        came = f"a tensor {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"the network should give a row of classes for each picture, ({len(pictures)}, classes), to be tuned as a "
            f"classifier (got {came})"
        )
    return found if found.dtype == torch.float64 else found.float()


def restyled_by(restyle: Restyle, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """``restyle`` held to what it promises.

    Raises:
        ValueError: for pictures of another shape or dtype than those that were given.
    """
    found = restyle(pictures.clone(), generator)
    if found.shape != pictures.shape or found.dtype != pictures.dtype:
        raise ValueError(
            f"restyle should give pictures as it got them, uint8 {tuple(pictures.shape)} (got {found.dtype} "
            f"{tuple(found.shape)})"
        )
    return found
