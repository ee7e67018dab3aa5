"""What a channel with a low gate sees: the images that it responds to most, and how its gate changes the response."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from binorm.experiments.data.batches.batches import EvaluationBatches
from binorm.functional import batch_instance_norm
from binorm.gates import named_gates
from binorm.modules import BatchInstanceNorm2d

CHANNELS = 6
IMAGES = 5
LOW_GATE = 0.1
RULE = (
    f"up to {CHANNELS} channels, those with a gate below {LOW_GATE} first: of these the lowest of each layer, then the "
    "second lowest of each, and so on; of equal gates the one whose weight is larger"
)


@dataclass(frozen=True)
class Channel:
    """One channel of a norm layer, with its gate as learned."""

    layer: str
    index: int
    gate: float


@dataclass(frozen=True)
class Responses:
    """What a channel's norm gives with its gate as learned, at 0 and at 1, before a residual and the activation.

    Attributes:
        channel: whose gate is changed; all others stay as learned.
        images: (K, H, W, 3) bytes: those with the strongest response, the strongest first.
        maps: (3, K, H', W'): the response to each, for the three gates.
        variation: for the three gates, the standard deviation over all images of the response's spatial mean: how
            much of an image's brightness and contrast the channel passes on. With gate 0 the mean is always β.
    """

    channel: Channel
    images: Tensor
    maps: Tensor
    variation: tuple[float, float, float]


def lowest_gates(network: nn.Module, count: int = CHANNELS) -> list[Channel]:
    """The channels to look at, by `RULE`, in the order of the network; none where no gates are learned."""
    ranked = []
    for place, (layer, norm) in enumerate(_learned_norms(network).items()):
        gates = norm.gate.detach().double().cpu()
        weights = gates.new_ones(len(gates)) if norm.weight is None else norm.weight.detach().double().abs().cpu()
        ordered = sorted(range(len(gates)), key=lambda index: (gates[index].item(), -weights[index].item()))
        for rank, index in enumerate(ordered[:count]):
            gate = gates[index].item()
            key = (gate >= LOW_GATE, rank, gate, -weights[index].item(), place)
            ranked.append((key, Channel(layer, index, gate)))
    chosen = sorted(ranked, key=lambda entry: entry[0])[:count]
    return [channel for _, channel in sorted(chosen, key=lambda entry: (entry[0][-1], entry[1].index))]


def strongest_responses(network: nn.Module, batches: EvaluationBatches, channels: Sequence[Channel]) -> list[Responses]:
    """Find the images with the largest response (over space, gate as learned) of each channel, and vary its gate.

    A layer's input does not depend on its own gate, so one forward pass serves all three gates. The network is used in
    evaluation mode and left in the mode it was in.
    """
    norms = _learned_norms(network)
    training = network.training
    network.eval()
    try:
        with torch.inference_mode(), _inputs(norms, {channel.layer for channel in channels}) as inputs:
            peaks: list[list[Tensor]] = [[] for _ in channels]
            means: list[list[Tensor]] = [[] for _ in channels]
            for images, _, count in batches:
                network(images)
                for place, channel in enumerate(channels):
                    maps = respond(norms[channel.layer], inputs[channel.layer][:count], channel.index)
                    peaks[place].append(maps[0].amax((1, 2)))
                    means[place].append(maps.double().mean((2, 3)))
            return [
                _look(network, norms[channel.layer], inputs, batches, channel, torch.cat(peak), torch.cat(mean, 1))
                for channel, peak, mean in zip(channels, peaks, means, strict=True)
            ]
    finally:
        network.train(training)


def respond(norm: BatchInstanceNorm2d, x: Tensor, index: int) -> Tensor:
    """Input (N, C, H, W) -> (3, N, H, W): one channel's output with its gate as learned, at 0 and at 1."""
    only = slice(index, index + 1)
    weight, bias, mean, var = (
        None if each is None else each[only] for each in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    x = x[:, only].float().contiguous()
    gates = (norm.gate[only], torch.zeros_like(norm.gate[only]), torch.ones_like(norm.gate[only]))
    maps = [batch_instance_norm(x, gate, weight, bias, mean, var, mean is None, 0.0, norm.eps) for gate in gates]
    return torch.stack(maps)[:, :, 0]


def _look(
    network: nn.Module,
    norm: BatchInstanceNorm2d,
    inputs: dict[str, Tensor],
    batches: EvaluationBatches,
    channel: Channel,
    peaks: Tensor,
    means: Tensor,
) -> Responses:
    """Peaks: (N,), means: (3, N)."""
    strongest = peaks.topk(min(IMAGES, len(peaks))).indices
    images = batches.images[strongest]
    network(batches.normalize(images))
    maps = respond(norm, inputs[channel.layer], channel.index)
    learned, instance, batch = means.std(1, correction=0).tolist()
    return Responses(channel, images.cpu(), maps.cpu(), (learned, instance, batch))


def _learned_norms(network: nn.Module) -> dict[str, BatchInstanceNorm2d]:
    learned = {name.removesuffix(".gate") for name, gate in named_gates(network) if gate.requires_grad}
    modules = network.named_modules()
    return {name: module for name, module in modules if name in learned and isinstance(module, BatchInstanceNorm2d)}


@contextmanager
def _inputs(norms: dict[str, BatchInstanceNorm2d], layers: set[str]) -> Iterator[dict[str, Tensor]]:
    """While it lasts, what each of the layers was last given, by name."""
    seen: dict[str, Tensor] = {}

    def watch(layer: str) -> Any:
        def note(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen[layer] = arguments[0]

        return norms[layer].register_forward_pre_hook(note)

    handles = [watch(layer) for layer in sorted(layers)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
