"""A page of the pictures that a classifier got wrong, or is least sure of."""

import io
from collections.abc import Mapping
from itertools import groupby

import torch
from PIL import Image
from torch import Tensor

from binorm.experiments.classifiers.classifier import Classifier
from binorm.experiments.classifiers.predict import Prediction, Predictions, pixels_of
from binorm.experiments.common.text import counted
from binorm.experiments.report.page import Figure, Gallery, Page, Section

MOST = 200  # pictures on a page: at some 8 kB each it stays below 3 MB
SIDE = 160  # pixels of a picture's longer side


def predictions_page(predictions: Predictions, classifier: Classifier) -> Page:
    """Those that are wrong, by their class, where classes are known; else all, by what they are taken for.

    Of more than `MOST` the page shows the surest of the wrong ones, or the least sure of all. Pictures are shown as the
    network sees them.
    """
    everything = predictions.pictures
    chosen = [each for each in everything if each.wrong] if predictions.labelled else list(everything)
    found = len(chosen)
    chosen = sorted(chosen, key=_sureness, reverse=predictions.labelled)[:MOST]
    pixels = pixels_of(classifier, predictions.source, [each.picture for each in chosen])
    groups = groupby(sorted(chosen, key=_group), key=_group)  # stable: within a group the order from above
    sections = [Section(group, [Gallery(_figures(list(each), pixels), "thumbs")]) for group, each in groups]
    return Page(
        title=f"{predictions.source.resolve().name}: {'predicted wrong' if predictions.labelled else 'predictions'}",
        summary=_summary(predictions, found),
        sections=sections,
        entries={},
        notes=[f"Shown are {MOST} of {found:,}: {_WHICH[predictions.labelled]}."] if found > MOST else [],
        wide=True,
    )


_WHICH = {True: "those of which the network is surest", False: "those of which the network is least sure"}


def _group(prediction: Prediction) -> str:
    return prediction.true or prediction.guesses[0].name


def _sureness(prediction: Prediction) -> float:
    return prediction.guesses[0].confidence


def _summary(predictions: Predictions, found: int) -> str:
    total = counted(len(predictions.pictures), "picture")
    accuracy = predictions.accuracy()
    if accuracy is None:
        return f"{total}, by the class that the network gives them, the least sure first."
    return f"{found:,} of {total} predicted wrong, by their true class, the surest first: top-1 {accuracy:.1%}."


def _figures(group: list[Prediction], pixels: Mapping[str, Tensor]) -> list[Figure]:
    return [
        Figure("picture.jpeg", _caption(each), _thumbnail(pixels[each.picture]))
        for each in group
        if each.picture in pixels
    ]


def _caption(prediction: Prediction) -> str:
    guesses = ", ".join(f"{guess.name} {guess.confidence:.0%}" for guess in prediction.guesses)
    return f"{guesses} — {prediction.picture}"


def _thumbnail(pixels: Tensor) -> bytes:
    """The file of a picture, (3, H, W), made small."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).to(torch.uint8).contiguous().numpy())
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()
