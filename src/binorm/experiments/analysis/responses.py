"""What a channel with a low gate sees: the pictures that it responds to most, and how its gate changes the response."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.data.batches.batches import EVALUATION_BATCH, EvaluationBatches
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.report.figure_style import for_print
from binorm.experiments.report.response_figures import response_figure
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.training.settings import choose_settings
from binorm.functional import batch_instance_norm
from binorm.gates import named_gates
from binorm.modules import BatchInstanceNorm2d

CHANNELS = 6
PICTURES = 5
LOW_GATE = 0.1
RULE = (
    f"up to {CHANNELS} channels, those with a gate below {LOW_GATE} first: of these the lowest of each layer, then the "
    "second lowest of each, and so on; of equal gates the one whose weight is larger"
)
SUMMARY_FILE = "responses.json"


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
        pictures: (K, H, W, 3) bytes: those with the strongest response, the strongest first.
        maps: (3, K, H', W'): the response to each, for the three gates.
        variation: for the three gates, the standard deviation over all pictures of the response's spatial mean: how
            much of a picture's brightness and contrast the channel passes on. With gate 0 the mean is always β.
    """

    channel: Channel
    pictures: Tensor
    maps: Tensor
    variation: tuple[float, float, float]


def write_responses(run: Path, dataset: Dataset, out: Path, file_format: str = "png") -> list[Path]:
    """Draw one figure for each of the channels with the lowest gates, and write their numbers to ``responses.json``.

    Args:
        run: the folder of a run with learned gates, or its ``model.safetensors``.
        dataset: that it was trained on; its first evaluation set is looked at.
        out: the folder of the figures.
        file_format: pdf, svg or png. PNG files in ``responses/`` of a run's folder become part of the report.

    Returns:
        The figures' files.

    Raises:
        UserError: for an unusable run, one without learned gates, other data or data that is not kept in memory, and an
            unknown format.
    """
    output = for_print(file_format)
    network, trained = load_network(run)
    if dataset.classes != trained.classes:
        raise UserError(f"{run} knows the classes {', '.join(trained.classes)}; the data has others")
    name, images = next(iter(dataset.evaluation.items()))
    if not isinstance(images, ImageSet):
        raise UserError(f"responses need pictures that are kept in memory; those of {dataset.name} are streamed")
    channels = lowest_gates(network)
    if not channels:
        raise UserError(f"{run} has no learned gates: it was trained with {trained.norm}")
    device = torch.device(choose_settings(trained.recipe, 0).device)
    network.to(device).to(memory_format=torch.channels_last)
    batches = EvaluationBatches(images, dataset, EVALUATION_BATCH, device, trained.recipe.image_size)
    responses = strongest_responses(network, batches, channels)
    paths = []
    for each in responses:
        slug = re.sub(r"[^A-Za-z0-9]+", "-", each.channel.layer)
        paths.append(out / f"{slug}-channel{each.channel.index}.{file_format}")
        content = response_figure(_label(each.channel), _note(each), each.pictures, each.maps, output)
        write_bytes_atomically(paths[-1], content)
    entries = [{**asdict(each.channel), "variation": _named(each.variation)} for each in responses]
    summary = {"evaluation": name, "pictures": len(images), "rule": RULE, "channels": entries}
    write_text_atomically(out / SUMMARY_FILE, json.dumps(summary, indent=1) + "\n")
    return paths


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
    """Find the pictures with the largest response (over space, gate as learned) of each channel, and vary its gate.

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
            for pictures, _, count in batches:
                network(pictures)
                for place, channel in enumerate(channels):
                    maps = _respond(norms[channel.layer], inputs[channel.layer][:count], channel)
                    peaks[place].append(maps[0].amax((1, 2)))
                    means[place].append(maps.double().mean((2, 3)))
            return [
                _look(network, norms[channel.layer], inputs, batches, channel, torch.cat(peak), torch.cat(mean, 1))
                for channel, peak, mean in zip(channels, peaks, means, strict=True)
            ]
    finally:
        network.train(training)


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
    strongest = peaks.topk(min(PICTURES, len(peaks))).indices
    pictures = batches.images[strongest]
    network(batches.normalize(pictures))
    maps = _respond(norm, inputs[channel.layer], channel)
    learned, instance, batch = means.std(1, correction=0).tolist()
    return Responses(channel, pictures.cpu(), maps.cpu(), (learned, instance, batch))


def _respond(norm: BatchInstanceNorm2d, x: Tensor, channel: Channel) -> Tensor:
    """Input (N, C, H, W) -> (3, N, H, W): this channel's output with its gate as learned, at 0 and at 1."""
    only = slice(channel.index, channel.index + 1)
    weight, bias, mean, var = (
        None if each is None else each[only] for each in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    x = x[:, only].float().contiguous()
    gates = (norm.gate[only], torch.zeros_like(norm.gate[only]), torch.ones_like(norm.gate[only]))
    maps = [batch_instance_norm(x, gate, weight, bias, mean, var, mean is None, 0.0, norm.eps) for gate in gates]
    return torch.stack(maps)[:, :, 0]


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


def _label(channel: Channel) -> str:
    return f"{channel.layer}, channel {channel.index}: gate {channel.gate:.3f}"


def _note(responses: Responses) -> str:
    learned, instance, batch = responses.variation
    return f"std of the mean response: {learned:.2f} as learned, {instance:.2f} at 0, {batch:.2f} at 1"


def _named(variation: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("as learned", "gate 0", "gate 1"), (round(value, 6) for value in variation), strict=True))
