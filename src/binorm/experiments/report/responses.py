"""Draws what the channels with the lowest gates of a run see, beside a file of their numbers."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import torch

from binorm.experiments.analysis.responses import RULE, Channel, Responses, lowest_gates, strongest_responses
from binorm.experiments.common.errors import UserError
from binorm.experiments.common.files import write_bytes_atomically, write_text_atomically
from binorm.experiments.data.batches.batches import EVALUATION_BATCH, EvaluationBatches
from binorm.experiments.data.dataset import Dataset, ImageSet
from binorm.experiments.report.figures.responses import response_figure
from binorm.experiments.report.figures.theme import for_print
from binorm.experiments.runs.checkpoint import load_network
from binorm.experiments.training.settings import choose_settings

SUMMARY_FILE = "responses.json"


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
        content = response_figure(_label(each.channel), _note(each), each.images.numpy(), each.maps.numpy(), output)
        write_bytes_atomically(paths[-1], content)
    entries = [{**asdict(each.channel), "variation": _named(each.variation)} for each in responses]
    summary = {"evaluation": name, "pictures": len(images), "rule": RULE, "channels": entries}
    write_text_atomically(out / SUMMARY_FILE, json.dumps(summary, indent=1) + "\n")
    return paths


def _label(channel: Channel) -> str:
    return f"{channel.layer}, channel {channel.index}: gate {channel.gate:.3f}"


def _note(responses: Responses) -> str:
    learned, instance, batch = responses.variation
    return f"std of the mean response: {learned:.2f} as learned, {instance:.2f} at 0, {batch:.2f} at 1"


def _named(variation: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("as learned", "gate 0", "gate 1"), (round(value, 6) for value in variation), strict=True))
